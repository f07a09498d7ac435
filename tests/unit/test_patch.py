"""The patch survives what agents do to files; one test a way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swe_router.grading.predictions import Prediction
from swe_router.sandboxes.patch_application import apply_patch
from swe_router.sandboxes.patch_capture import StartSnapshot
from tests.doubles.plain_sandbox import PlainSandbox
from tests.doubles.repository import commit, content, copy_of, made_by, repository


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("project"))


@pytest.fixture
def sandbox(tmp_path: Path, project: Path) -> PlainSandbox:
    return copy_of(project, tmp_path)


def test_an_edit_a_new_file_and_a_deletion(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "echo four >> a.py; mkdir -p new; echo x > new/n.py; rm pkg/b.py")
    assert got.files == ("a.py", "new/n.py", "pkg/b.py")
    assert got.left_out == ()


def test_nothing_changed_is_an_empty_proved_candidate(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "touch a.py")
    assert (got.attempt_id, got.patch, got.files, got.proven) == ("t1", "", (), True)


def test_crlf_and_lone_carriage_returns(sandbox: PlainSandbox) -> None:
    act = "printf 'one\\r\\nTWO\\r\\nthree\\r\\n' > crlf.txt; printf 'a\\rb\\rc' > mac.txt"
    assert "\r\n" in made_by(sandbox, act).patch


def test_bytes_that_are_no_utf8_go_in_binary_form(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "printf 'caf\\351!\\n' > latin.txt; echo y > a.py")
    assert "GIT binary patch" in got.patch
    assert "+y" in got.patch


def test_a_late_nul_byte_goes_in_binary_form(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, lambda: sandbox.write("/testbed/late.txt", b"x\n" * 9000 + b"\0\n"))
    assert "\0" not in got.patch


def test_binary_files(sandbox: PlainSandbox) -> None:
    made_by(sandbox, lambda: sandbox.write("/testbed/blob.bin", bytes(range(255, -1, -1)) * 9))


def test_renames_are_a_deletion_and_a_creation(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "git mv pkg/b.py pkg/z.py")
    assert got.files == ("pkg/b.py", "pkg/z.py")
    assert "rename" not in got.patch


def test_symbolic_links(sandbox: PlainSandbox) -> None:
    act = (
        "ln -s /etc/passwd abs; ln -s nowhere broken; ln -sfn pkg/b.py link; ln -s pkg dirlink;"
        " rm run.sh; ln -s a.py run.sh"
    )
    assert made_by(sandbox, act).files == ("abs", "broken", "dirlink", "link", "run.sh")


def test_a_directory_that_becomes_a_link(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "mv pkg real; ln -s real pkg")
    assert "pkg" in got.files
    assert "real/b.py" in got.files


def test_mode_changes_alone_are_left_out_and_listed(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "chmod +x a.py; echo x >> pkg/b.py")
    assert got.files == ("pkg/b.py",)
    assert got.left_out == ("a.py (mode only)",)
    assert "new mode" not in got.patch


def test_new_executables_keep_their_mode(sandbox: PlainSandbox) -> None:
    assert "new file mode 100755" in made_by(sandbox, "echo x > tool; chmod +x tool").patch


def test_file_and_directory_swap(sandbox: PlainSandbox) -> None:
    made_by(sandbox, "rm a.py; mkdir a.py; echo x > a.py/x; rm -r pkg; echo file > pkg")


def test_odd_file_names(sandbox: PlainSandbox) -> None:
    names = [
        "a b",
        'q"uote',
        "new\nline",
        "тест",
        "-dash",
        ":(glob)x",
        "*",
        "tab\there",
        "back\\s",
        " ",
    ]

    def act() -> None:
        for name in names:
            (sandbox.tree / name).write_text("x\n")
        Path(os.fsdecode(os.fsencode(sandbox.tree) + b"/raw\xff")).write_text("y\n")

    got = made_by(sandbox, act)
    assert set(names) < set(got.files)
    assert "raw\\xff" in got.files


def test_huge_new_files_are_left_out_and_listed(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "head -c 10000001 /dev/zero > huge.bin; echo x > a.py")
    assert got.files == ("a.py",)
    assert got.left_out == ("huge.bin (over 10000000 bytes)",)


def test_untracked_at_the_start_is_start_state(sandbox: PlainSandbox) -> None:
    sandbox.write("/testbed/notes.md", b"mine\n")
    got = made_by(sandbox, "echo more >> notes.md; echo x > a.py")
    assert got.files == ("a.py", "notes.md")
    assert "new file" not in got.patch


def test_a_dirty_start_is_start_state(sandbox: PlainSandbox) -> None:
    sandbox.must("echo dirty >> a.py; rm run.sh")
    assert made_by(sandbox, "echo x >> pkg/b.py").files == ("pkg/b.py",)


def test_empty_files_and_missing_final_newline(sandbox: PlainSandbox) -> None:
    made_by(
        sandbox, "touch empty; : > a.py; printf x > pkg/b.py; printf 'ends\\n' >> pkg/deep/c.txt"
    )


def test_unreadable_files_and_folders(sandbox: PlainSandbox) -> None:
    made_by(
        sandbox, "echo x > a.py; chmod 000 a.py; mkdir d; echo y > d/y; chmod 000 d; chmod 755 d"
    )


def test_same_size_and_time_are_seen(sandbox: PlainSandbox) -> None:
    assert made_by(
        sandbox, "echo ONE | dd of=a.py conv=notrunc 2>/dev/null; touch -d @0 a.py"
    ).files == ("a.py",)


def test_litter_is_left_out_and_listed(sandbox: PlainSandbox) -> None:
    act = (
        "mkdir -p pkg/__pycache__ .pytest_cache/v node_modules/m build x.egg-info venv/bin;"
        " echo 1 > pkg/__pycache__/b.pyc; echo 1 > .pytest_cache/v/x; echo 1 > node_modules/m/i.js;"
        " echo 1 > build/o; echo 1 > x.egg-info/PKG-INFO; echo 1 > .coverage; echo 1 > a.py.orig;"
        " echo 1 > a.py.rej; echo 1 > .DS_Store; echo 1 > .a.py.swp; echo 1 > core.123;"
        " echo h > venv/pyvenv.cfg; echo 1 > venv/bin/python; echo l > t.log; echo x > a.py"
    )
    got = made_by(sandbox, act)
    assert got.files == ("a.py",)
    assert got.left_out == (
        ".DS_Store", ".a.py.swp", ".coverage", ".pytest_cache/", "a.py.orig", "a.py.rej", "build/",
        "core.123", "node_modules/", "pkg/__pycache__/", "t.log", "venv/", "x.egg-info/",
    )  # fmt: skip


def test_litter_that_was_there_is_not_listed(sandbox: PlainSandbox) -> None:
    sandbox.must("mkdir -p __pycache__ ignored; echo 1 > __pycache__/a.pyc; echo 1 > ignored/x")
    assert made_by(sandbox, "sleep 0.02; echo x > a.py").left_out == ()
    snapshot = StartSnapshot.take(sandbox)
    sandbox.must("sleep 0.02; echo 2 > __pycache__/a.pyc; echo 2 > ignored/x")
    assert snapshot.candidate(sandbox, "t").left_out == ("__pycache__/", "ignored/x")


def test_tracked_litter_is_no_litter(sandbox: PlainSandbox) -> None:
    sandbox.must(
        "mkdir -p build fix/node_modules; echo 1 > build/a; echo 1 > fix/node_modules/x; echo 1 > t.log"  # noqa: E501
    )
    sandbox.must("git add -f t.log")
    commit(sandbox)
    got = made_by(
        sandbox, "echo 2 > build/a; echo 2 > build/b; echo 2 > fix/node_modules/y; echo 2 > t.log"
    )
    assert got.files == ("build/a", "build/b", "fix/node_modules/y", "t.log")


def test_same_change_same_bytes(sandbox: PlainSandbox) -> None:
    snapshot = StartSnapshot.take(sandbox)
    sandbox.must("echo x > a.py; echo n > n.py")
    first = snapshot.candidate(sandbox, "t")
    assert snapshot.candidate(sandbox, "t") == first


def test_a_second_attempt_on_the_same_sandbox_starts_where_it_stands(sandbox: PlainSandbox) -> None:
    made_by(sandbox, "echo x > a.py")
    assert StartSnapshot.take(sandbox).candidate(sandbox, "t2").patch == ""


def test_apply_gives_the_bytes_and_says_no(sandbox: PlainSandbox) -> None:
    snapshot = StartSnapshot.take(sandbox)
    sandbox.must(
        "printf 'caf\\351!\\n' > latin.txt; printf 'x\\r\\n' >> crlf.txt; ln -s a.py l2; echo t >> a.py"  # noqa: E501
    )
    patch = snapshot.candidate(sandbox, "t").patch
    end = content(sandbox.tree)
    sandbox.must(
        "git checkout -q .; rm l2; printf '* text=auto eol=crlf\\n' > .git/info/attributes"
    )
    assert apply_patch(sandbox, patch).exit_code == 0
    assert content(sandbox.tree) == end
    assert apply_patch(sandbox, patch).exit_code != 0
    assert content(sandbox.tree) == end
    for bad in ("", "  \n", "not a diff"):
        assert apply_patch(sandbox, bad).exit_code != 0


def test_a_link_whose_target_is_no_utf_8_and_such_a_text_are_in_the_patch(
    sandbox: PlainSandbox,
) -> None:
    got = made_by(sandbox, "ln -s \"$(printf 'a\\377')\" nowhere; printf 'x\\351\\n' > latin.txt")
    assert got.files == ("latin.txt", "nowhere"), got
    assert got.proven
    assert got.digest == Prediction(instance_id="any", patch=got.patch).digest
