"""The patch survives what agents do to repositories; one test a way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from swe_router.errors import SandboxError, WouldNotStart
from swe_router.records import Candidate
from swe_router.sandboxes.fitting import apply
from swe_router.sandboxes.patch import Snapshot, empty_candidate
from tests.doubles.plain_box import PlainBox

FILES = {
    "a.py": b"one\ntwo\nthree\n",
    "pkg/b.py": b"b\n" * 20,
    "pkg/deep/c.txt": b"no newline at the end",
    "crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "latin.txt": b"caf\xe9\nline\n",
    "blob.bin": bytes(range(256)) * 4,
    "run.sh": b"#!/bin/sh\n",
    ".gitignore": b"*.log\nignored/\n",
}


def commit(box: PlainBox, message: str = "base") -> None:
    box.must(
        "git init -q -b main . 2>/dev/null; git add -A && "
        f"git -c user.name=p -c user.email=p@x -c gc.auto=0 commit -q --allow-empty -m '{message}'"
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a file of each kind, committed."""
    made = PlainBox(tmp_path_factory.mktemp("project"))
    for name, data in FILES.items():
        made.write(f"/testbed/{name}", data)
    (made.tree / "link").symlink_to("a.py")
    commit(made)
    return made.tree


@pytest.fixture
def box(tmp_path: Path, project: Path) -> PlainBox:
    shutil.copytree(project, tmp_path / "tree", symlinks=True)
    return PlainBox(tmp_path)


def content(tree: Path) -> dict[str, object]:
    """Every file of a tree but git's own, with kind and bytes."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*names, *links]:
            path = Path(folder, name)
            key = repr(os.fsencode(path.relative_to(tree)))
            if path.is_symlink():
                found[key] = ("link", str(path.readlink()))
            elif path.is_file() and name != ".git":
                found[key] = (bool(path.stat().st_mode & 0o100), path.read_bytes())
    return found


def made_by(box: PlainBox, act: Callable[[], object] | str) -> Candidate:
    """The candidate of an action; proved, and re-applied to a copy it gives the end state."""
    before = box.folder / "before"
    shutil.copytree(box.tree, before, symlinks=True)
    snapshot = Snapshot.take(box)
    _ = box.must(act) if isinstance(act, str) else act()
    candidate = snapshot.candidate(box, "t1")
    assert candidate.proven, candidate.left_out
    assert candidate.digest == hashlib.sha256(candidate.patch.encode()).hexdigest()
    assert json.loads(candidate.model_dump_json())["patch"] == candidate.patch
    if candidate.patch:
        file = box.folder / "p.diff"
        file.write_bytes(candidate.patch.encode())
        done = subprocess.run(
            ["git", "apply", "--verbose", str(file)],
            cwd=before,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    if not candidate.left_out:
        assert content(before) == content(box.tree)
    return candidate


def test_an_edit_a_new_file_and_a_deletion(box: PlainBox) -> None:
    got = made_by(box, "echo four >> a.py; mkdir -p new; echo x > new/n.py; rm pkg/b.py")
    assert got.files == ("a.py", "new/n.py", "pkg/b.py")
    assert got.left_out == ()


def test_nothing_changed_is_an_empty_proved_candidate(box: PlainBox) -> None:
    got = made_by(box, "touch a.py")
    assert got == empty_candidate("t1")


def test_agent_commits(box: PlainBox) -> None:
    got = made_by(
        box, "echo x > a.py; git add -A; git -c user.name=a -c user.email=a@x commit -qm z"
    )
    assert got.files == ("a.py",)


def test_agent_stash_leaves_what_is_on_disk(box: PlainBox) -> None:
    act = "echo x > a.py; git -c user.name=a -c user.email=a@x stash -q; echo y > pkg/b.py"
    assert made_by(box, act).files == ("pkg/b.py",)


def test_branch_switch(box: PlainBox) -> None:
    act = "git checkout -q --orphan other; git rm -rqf --cached .; echo x > a.py"
    assert made_by(box, act).files == ("a.py",)


def test_gitignore_edit_hides_nothing_and_shows_nothing(box: PlainBox) -> None:
    got = made_by(box, "echo '*' > .gitignore; echo x > new.py; echo l > trace.log")
    assert got.files == (".gitignore", "new.py")
    assert got.left_out == ("trace.log",)


def test_info_exclude_edit(box: PlainBox) -> None:
    assert made_by(box, "echo '*.py' >> .git/info/exclude; echo x > new.py").files == ("new.py",)


def test_info_exclude_of_the_start_decides(box: PlainBox) -> None:
    box.must("mkdir -p .git/info; echo 'local.*' > .git/info/exclude")
    got = made_by(box, "rm .git/info/exclude; echo x > local.cfg; echo y > a.py")
    assert (got.files, got.left_out) == (("a.py",), ("local.cfg",))


def test_hooks_of_the_repository_never_run(box: PlainBox) -> None:
    hooks = "pre-commit post-checkout post-index-change post-applypatch fsmonitor-watchman"
    box.must(
        f"mkdir -p .git/hooks; for h in {hooks}; do printf '#!/bin/sh\\ntouch /testbed/../ran\\n'"
        " > .git/hooks/$h; chmod +x .git/hooks/$h; done;"
        " git config core.fsmonitor .git/hooks/fsmonitor-watchman; rm -f ../ran"
    )
    made_by(box, lambda: box.write("/testbed/a.py", b"x\n"))
    assert not (box.folder / "ran").exists()


def test_hostile_configuration(box: PlainBox) -> None:
    hostile = {
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.external": "/bin/false",
        "core.quotePath": "false", "core.autocrlf": "true", "core.fileMode": "false",
        "core.symlinks": "false", "core.ignoreCase": "true", "core.worktree": "/nowhere",
        "core.bare": "true", "core.attributesFile": "/testbed/a.py", "color.ui": "always",
        "diff.renames": "copies", "diff.context": "0", "apply.whitespace": "fix",
        "core.hooksPath": "/testbed", "core.excludesFile": "/testbed/all", "core.untrackedCache":
        "true", "diff.orderFile": "/testbed/a.py", "index.version": "4", "diff.relative": "true",
    }  # fmt: skip
    lines = "; ".join(f"git config --global {k} '{v}'" for k, v in hostile.items())
    local = "; ".join(f"git config {k} '{v}'" for k, v in hostile.items())
    act = f"echo '*' > all; {local}; {lines}; echo x > a.py; echo 'y ' > crlf.txt"
    got = made_by(box, lambda: box.run(act, timeout=60))
    assert got.files == ("a.py", "all", "crlf.txt")
    assert "--- a/a.py" in got.patch


def test_hostile_environment(box: PlainBox) -> None:
    snapshot = Snapshot.take(box)
    box.env |= {
        "GIT_DIR": "/nowhere", "GIT_EXTERNAL_DIFF": "/bin/false", "GIT_DIFF_OPTS": "-u0",
        "GIT_WORK_TREE": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "BASH_ENV": "/nowhere",
    }  # fmt: skip
    box.write("/testbed/a.py", b"x\n")
    got = snapshot.candidate(box, "t")
    assert (got.files, got.proven) == (("a.py",), True)


def test_gitattributes_with_filters_and_line_ends(box: PlainBox) -> None:
    attributes = "*.py filter=evil text eol=crlf ident diff=odd\\n*.txt -diff working-tree-encoding=UTF-16\\n"  # noqa: E501
    act = (
        f"printf '{attributes}' > .gitattributes; git config filter.evil.clean 'tr a-z A-Z';"
        " git config diff.odd.textconv 'tr a-z b-za'; echo '$Id$ x' >> a.py; printf 'q\\r\\n' >> crlf.txt"  # noqa: E501
    )
    before = Snapshot.take(box)
    box.must(act)
    got = before.candidate(box, "t")
    assert got.proven
    assert got.files == (".gitattributes", "a.py", "crlf.txt")
    assert "+$Id$ x" in got.patch
    assert "GIT binary patch" not in got.patch


def test_attributes_of_the_start_state_change_no_byte(box: PlainBox) -> None:
    box.must("printf '*.txt text eol=crlf\\n*.py ident\\n' > .gitattributes")
    commit(box)
    snapshot = Snapshot.take(box)
    box.must("printf 'four\\r\\n' >> crlf.txt; echo '$Id: 5$' >> a.py")
    end = content(box.tree)
    got = snapshot.candidate(box, "t")
    assert got.files == ("a.py", "crlf.txt")
    box.must("git checkout -q . && printf 'one\\r\\ntwo\\r\\nthree\\r\\n' > crlf.txt")
    assert apply(box, got.patch).exit_code == 0
    assert content(box.tree) == end


def test_crlf_and_lone_carriage_returns(box: PlainBox) -> None:
    act = "printf 'one\\r\\nTWO\\r\\nthree\\r\\n' > crlf.txt; printf 'a\\rb\\rc' > mac.txt"
    assert "\r\n" in made_by(box, act).patch


def test_bytes_that_are_no_utf8_go_in_binary_form(box: PlainBox) -> None:
    got = made_by(box, "printf 'caf\\351!\\n' > latin.txt; echo y > a.py")
    assert "GIT binary patch" in got.patch
    assert "+y" in got.patch


def test_a_late_nul_byte_goes_in_binary_form(box: PlainBox) -> None:
    got = made_by(box, lambda: box.write("/testbed/late.txt", b"x\n" * 9000 + b"\0\n"))
    assert "\0" not in got.patch


def test_binary_files(box: PlainBox) -> None:
    made_by(box, lambda: box.write("/testbed/blob.bin", bytes(range(255, -1, -1)) * 9))


def test_renames_are_a_deletion_and_a_creation(box: PlainBox) -> None:
    got = made_by(box, "git mv pkg/b.py pkg/z.py")
    assert got.files == ("pkg/b.py", "pkg/z.py")
    assert "rename" not in got.patch


def test_symbolic_links(box: PlainBox) -> None:
    act = (
        "ln -s /etc/passwd abs; ln -s nowhere broken; ln -sfn pkg/b.py link; ln -s pkg dirlink;"
        " rm run.sh; ln -s a.py run.sh"
    )
    assert made_by(box, act).files == ("abs", "broken", "dirlink", "link", "run.sh")


def test_a_directory_that_becomes_a_link(box: PlainBox) -> None:
    got = made_by(box, "mv pkg real; ln -s real pkg")
    assert "pkg" in got.files
    assert "real/b.py" in got.files


def test_mode_changes_alone_are_left_out_and_listed(box: PlainBox) -> None:
    got = made_by(box, "chmod +x a.py; echo x >> pkg/b.py")
    assert got.files == ("pkg/b.py",)
    assert got.left_out == ("a.py (mode only)",)
    assert "new mode" not in got.patch


def test_new_executables_keep_their_mode(box: PlainBox) -> None:
    assert "new file mode 100755" in made_by(box, "echo x > tool; chmod +x tool").patch


def test_file_and_directory_swap(box: PlainBox) -> None:
    made_by(box, "rm a.py; mkdir a.py; echo x > a.py/x; rm -r pkg; echo file > pkg")


def test_file_becomes_an_embedded_repository(box: PlainBox) -> None:
    act = (
        "rm a.py; git init -q a.py; cd a.py; echo x > x; git add x;"
        " git -c user.name=a -c user.email=a@x commit -qm i"
    )
    assert made_by(box, act).files == ("a.py", "a.py/x")


def test_odd_file_names(box: PlainBox) -> None:
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
            (box.tree / name).write_text("x\n")
        Path(os.fsdecode(os.fsencode(box.tree) + b"/raw\xff")).write_text("y\n")

    got = made_by(box, act)
    assert set(names) < set(got.files)
    assert "raw\\xff" in got.files


def test_deleted_git_folder(box: PlainBox) -> None:
    assert made_by(box, "rm -rf .git; echo x > a.py; echo n > new.py").files == ("a.py", "new.py")


def test_a_new_repository_in_place_of_the_old(box: PlainBox) -> None:
    assert made_by(box, "rm -rf .git; git init -q; git add -A; echo x > a.py").files == ("a.py",)


def test_embedded_repositories_are_plain_folders(box: PlainBox) -> None:
    act = (
        "git init -q sub; echo x > sub/x.py; git init -q sub/inner; echo y > sub/inner/y;"
        " cd sub; git add x.py; git -c user.name=a -c user.email=a@x commit -qm i"
    )
    assert made_by(box, act).files == ("sub/inner/y", "sub/x.py")


def test_submodules_present_at_the_start(box: PlainBox) -> None:
    box.must(
        "git init -q mod; cd mod; echo m > m.txt; git add -A;"
        " git -c user.name=a -c user.email=a@x commit -qm i; cd ..; git add mod 2>/dev/null;"
        " git -c user.name=a -c user.email=a@x commit -qm 'a submodule'; mkdir empty"
    )
    assert made_by(box, "echo more >> mod/m.txt; echo n > mod/n.txt").files == (
        "mod/m.txt",
        "mod/n.txt",
    )


def test_huge_new_files_are_left_out_and_listed(box: PlainBox) -> None:
    got = made_by(box, "head -c 10000001 /dev/zero > huge.bin; echo x > a.py")
    assert got.files == ("a.py",)
    assert got.left_out == ("huge.bin (over 10000000 bytes)",)


def test_untracked_at_the_start_is_start_state(box: PlainBox) -> None:
    box.write("/testbed/notes.md", b"mine\n")
    got = made_by(box, "echo more >> notes.md; echo x > a.py")
    assert got.files == ("a.py", "notes.md")
    assert "new file" not in got.patch


def test_a_dirty_start_is_start_state(box: PlainBox) -> None:
    box.must("echo dirty >> a.py; rm run.sh")
    assert made_by(box, "echo x >> pkg/b.py").files == ("pkg/b.py",)


def test_a_lock_left_behind(box: PlainBox) -> None:
    assert made_by(box, "touch .git/index.lock; echo x > a.py").files == ("a.py",)


def test_assume_unchanged_and_skip_worktree(box: PlainBox) -> None:
    act = (
        "git update-index --assume-unchanged a.py; git update-index --skip-worktree pkg/b.py;"
        " echo x > a.py; echo y > pkg/b.py"
    )
    assert made_by(box, act).files == ("a.py", "pkg/b.py")


def test_sparse_checkout_by_the_agent_is_a_deletion(box: PlainBox) -> None:
    got = made_by(
        box, "git update-index --refresh; git sparse-checkout set --no-cone /a.py; echo x > a.py"
    )
    assert "pkg/b.py" in got.files


def test_sparse_checkout_at_the_start(box: PlainBox) -> None:
    box.must("git sparse-checkout set --no-cone '/*' '!/pkg' >/dev/null")
    assert made_by(box, "echo x > a.py").files == ("a.py",)


def test_empty_files_and_missing_final_newline(box: PlainBox) -> None:
    made_by(box, "touch empty; : > a.py; printf x > pkg/b.py; printf 'ends\\n' >> pkg/deep/c.txt")


def test_unreadable_files_and_folders(box: PlainBox) -> None:
    made_by(box, "echo x > a.py; chmod 000 a.py; mkdir d; echo y > d/y; chmod 000 d; chmod 755 d")


def test_same_size_and_time_are_seen(box: PlainBox) -> None:
    assert made_by(
        box, "echo ONE | dd of=a.py conv=notrunc 2>/dev/null; touch -d @0 a.py"
    ).files == ("a.py",)


def test_litter_is_left_out_and_listed(box: PlainBox) -> None:
    act = (
        "mkdir -p pkg/__pycache__ .pytest_cache/v node_modules/m build x.egg-info venv/bin;"
        " echo 1 > pkg/__pycache__/b.pyc; echo 1 > .pytest_cache/v/x; echo 1 > node_modules/m/i.js;"
        " echo 1 > build/o; echo 1 > x.egg-info/PKG-INFO; echo 1 > .coverage; echo 1 > a.py.orig;"
        " echo 1 > a.py.rej; echo 1 > .DS_Store; echo 1 > .a.py.swp; echo 1 > core.123;"
        " echo h > venv/pyvenv.cfg; echo 1 > venv/bin/python; echo l > t.log; echo x > a.py"
    )
    got = made_by(box, act)
    assert got.files == ("a.py",)
    assert got.left_out == (
        ".DS_Store", ".a.py.swp", ".coverage", ".pytest_cache/", "a.py.orig", "a.py.rej", "build/",
        "core.123", "node_modules/", "pkg/__pycache__/", "t.log", "venv/", "x.egg-info/",
    )  # fmt: skip


def test_litter_that_was_there_is_not_listed(box: PlainBox) -> None:
    box.must("mkdir -p __pycache__ ignored; echo 1 > __pycache__/a.pyc; echo 1 > ignored/x")
    assert made_by(box, "sleep 0.02; echo x > a.py").left_out == ()
    snapshot = Snapshot.take(box)
    box.must("sleep 0.02; echo 2 > __pycache__/a.pyc; echo 2 > ignored/x")
    assert snapshot.candidate(box, "t").left_out == ("__pycache__/", "ignored/x")


def test_tracked_litter_is_no_litter(box: PlainBox) -> None:
    box.must(
        "mkdir -p build fix/node_modules; echo 1 > build/a; echo 1 > fix/node_modules/x; echo 1 > t.log"  # noqa: E501
    )
    box.must("git add -f t.log")
    commit(box)
    got = made_by(
        box, "echo 2 > build/a; echo 2 > build/b; echo 2 > fix/node_modules/y; echo 2 > t.log"
    )
    assert got.files == ("build/a", "build/b", "fix/node_modules/y", "t.log")


def test_no_repository_at_all(tmp_path: Path) -> None:
    box = PlainBox(tmp_path)
    box.write("/testbed/a.py", b"x\n")
    assert made_by(box, "echo y > a.py; echo n > b.py").files == ("a.py", "b.py")


def test_the_private_folder_is_destroyed(box: PlainBox) -> None:
    box.must("printf 'local.*\\n' > .git/info/exclude")
    got = made_by(
        box, "rm -rf ~/.swe-router-git-*; echo x > a.py; echo l > local.x; echo > .gitignore"
    )
    assert got.files == (".gitignore", "a.py")


def test_everything_is_destroyed(box: PlainBox) -> None:
    snapshot = Snapshot.take(box)
    box.must("rm -rf ~/.swe-router-git-* .git")
    with pytest.raises(SandboxError, match="destroyed"):
        snapshot.candidate(box, "t")


def test_a_box_without_git(tmp_path: Path) -> None:
    box = PlainBox(tmp_path)
    box.env["PATH"] = str(tmp_path)
    with pytest.raises(WouldNotStart, match="no git"):
        Snapshot.take(box)


def test_same_change_same_bytes(box: PlainBox) -> None:
    snapshot = Snapshot.take(box)
    box.must("echo x > a.py; echo n > n.py")
    first = snapshot.candidate(box, "t")
    assert snapshot.candidate(box, "t") == first


def test_a_second_attempt_on_the_same_box_starts_where_it_stands(box: PlainBox) -> None:
    made_by(box, "echo x > a.py")
    assert Snapshot.take(box).candidate(box, "t2").patch == ""


def test_apply_gives_the_bytes_and_says_no(box: PlainBox) -> None:
    snapshot = Snapshot.take(box)
    box.must(
        "printf 'caf\\351!\\n' > latin.txt; printf 'x\\r\\n' >> crlf.txt; ln -s a.py l2; echo t >> a.py"  # noqa: E501
    )
    patch = snapshot.candidate(box, "t").patch
    end = content(box.tree)
    box.must("git checkout -q .; rm l2; printf '* text=auto eol=crlf\\n' > .git/info/attributes")
    assert apply(box, patch).exit_code == 0
    assert content(box.tree) == end
    assert apply(box, patch).exit_code != 0
    assert content(box.tree) == end
    for bad in ("", "  \n", "not a diff"):
        assert apply(box, bad).exit_code != 0


def test_the_work_tree_and_the_repository_are_not_touched(box: PlainBox) -> None:
    files = {p: p.read_bytes() for p in (box.tree / ".git").rglob("*") if p.is_file()}
    before = content(box.tree)
    Snapshot.take(box).candidate(box, "t")
    assert content(box.tree) == before
    assert {p: p.read_bytes() for p in (box.tree / ".git").rglob("*") if p.is_file()} == files
