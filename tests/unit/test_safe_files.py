"""Of a folder that a stranger sent, only plain files of its own are read or written."""

from __future__ import annotations

import os
import socket

import pytest

from swe_router import safe_files
from swe_router.errors import UsageError


@pytest.mark.parametrize("name", ["../outside", "link/file", "/etc/passwd", ".", "a/../.."])
def test_a_name_that_leads_out_of_the_folder_is_refused(name, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="leads out of"):
        safe_files.path_within(folder, name)


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is no file under"):
        safe_files.path_within(tmp_path, "a\0b")


def test_a_file_that_is_not_there_yet_has_its_place_inside(tmp_path):
    assert safe_files.path_within(tmp_path, "new/file") == tmp_path.resolve() / "new/file"


def test_a_folder_of_plain_files_and_inner_links_is_plain(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").write_text("x")
    (tmp_path / "link").symlink_to("inner/file")
    safe_files.check_plain_folder(tmp_path)
    safe_files.check_regular_file(tmp_path / "link")
    safe_files.check_regular_file(tmp_path / "missing")
    safe_files.check_plain_folder(tmp_path / "missing")


def test_a_link_out_of_the_folder_is_found_however_deep(tmp_path):
    (tmp_path / "run/inner").mkdir(parents=True)
    (tmp_path / "run/inner/link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="leads out of"):
        safe_files.check_plain_folder(tmp_path / "run")


def test_a_pipe_and_a_socket_are_named_for_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"pipe is a named pipe, not a file"):
        safe_files.check_plain_folder(tmp_path)
    with pytest.raises(UsageError, match=r"pipe is a named pipe, not a file"):
        safe_files.check_regular_file(tmp_path / "pipe")
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(UsageError, match=r"s is a socket, not a file"):
            safe_files.check_plain_folder(tmp_path)
    with pytest.raises(UsageError, match=r"is a folder, not a file"):
        safe_files.check_regular_file(tmp_path)
    with pytest.raises(UsageError, match=r"null is a device, not a file"):
        safe_files.check_regular_file(type(tmp_path)("/dev/null"))


def test_what_cannot_be_looked_at_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Not a directory"):
        safe_files.check_plain_folder(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be read"):
        safe_files.check_regular_file(tmp_path / "file" / "below")
