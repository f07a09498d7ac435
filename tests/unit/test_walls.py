"""Which wall a local sandbox gets, what is mounted in it, and the sizes of its limits."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from swe_router.errors import UsageError
from swe_router.sandboxes import resource_limits, unshare, visible_mounts
from swe_router.sandboxes.kind_choice import choose_kind
from swe_router.sandboxes.local import best_wall
from swe_router.sandboxes.temp_folders import folder_prefix
from swe_router.settings import SandboxSettings


def test_without_walls_only_unsafe_goes_on():
    with pytest.raises(UsageError, match="bubblewrap"):
        best_wall(unsafe=False, works=lambda command: False)
    assert best_wall(unsafe=True, works=lambda command: False) == "process"


@pytest.mark.parametrize(
    ("text", "size"), [("4g", 4 << 30), ("512M", 512 << 20), ("1.5k", 1536), ("100", 100)]
)
def test_sizes_are_read_as_docker_does(text, size):
    assert resource_limits.memory_bytes(SandboxSettings(memory=text)) == size


@pytest.mark.parametrize("text", ["", "lots", "-1g", "0", "4gg"])
def test_a_size_that_is_none_is_a_usage_error(text):
    with pytest.raises(UsageError, match=r"sandbox\.memory"):
        resource_limits.memory_bytes(SandboxSettings(memory=text))
    with pytest.raises(UsageError, match=r"sandbox\.disk"):
        resource_limits.disk_bytes(SandboxSettings(disk=text))


def test_a_copy_of_ours_in_the_interpreter_behind_a_venv_is_found(tmp_path):
    copy = tmp_path / "lib" / "python3.11" / "dist-packages" / "swe_router"
    copy.mkdir(parents=True)
    assert copy in visible_mounts.package_copies([str(tmp_path)])


@pytest.mark.parametrize("user", [False, True], ids=["root", "user"])
def test_unshare_asks_for_no_sbin_in_path(tmp_path, user):
    extra = ["--map-root-user"] if user else []
    tried = subprocess.run(["unshare", *extra, "--mount", "true"], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip(f"no such namespaces here: {tried.stderr.decode().strip()}")
    work, root = tmp_path / "work", tmp_path / "root"
    work.mkdir()
    root.mkdir()
    mounts = visible_mounts.mount_plan(work, "/testbed", [])
    command = unshare.unshare_command(
        mounts, ["echo", "up"], visible_mounts.command_environment(), root=root, user=user
    )
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin"}, check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("up\n", "")


def test_a_folder_to_hide_lies_on_top_of_the_one_that_shows_it(tmp_path):
    prefix = Path(sys.prefix)
    mounts = visible_mounts.mount_plan(tmp_path, "/testbed", [prefix / "lib"])
    kinds = [(mount.kind, mount.target) for mount in mounts]
    assert kinds.index(("show", str(prefix))) < kinds.index(("hide", str(prefix / "lib")))


def test_without_an_engine_auto_is_an_error_and_never_a_sandbox_without_the_image():
    def no_engine():
        raise UsageError("no Docker engine answers")

    def no_wall(*, unsafe):
        raise UsageError("no local sandbox is to be had")

    settings = SandboxSettings()
    assert choose_kind(settings, check=lambda: None) == "docker"
    with pytest.raises(UsageError, match="Docker"):
        choose_kind(settings, check=no_engine, wall=lambda **_: "bwrap")
    local = SandboxSettings(kind="local")
    assert choose_kind(local, check=no_engine, wall=lambda **_: "bwrap") == "local"
    with pytest.raises(UsageError, match="no local sandbox"):
        choose_kind(local, check=no_engine, wall=no_wall)
    with pytest.raises(UsageError, match="Docker"):
        choose_kind(SandboxSettings(kind="docker"), check=no_engine)


def test_what_a_kill_leaves_of_the_trial_of_walls_has_a_name_that_the_reaper_knows():
    seen = []

    def works(command):
        folders = Path(tempfile.gettempdir()).glob(f"{folder_prefix('r')}*")
        seen.extend(folder for folder in folders if str(folder) in " ".join(command))
        return False

    assert best_wall(unsafe=True, run="r", works=works) == "process"
    assert seen
    assert not any(folder.exists() for folder in seen)
