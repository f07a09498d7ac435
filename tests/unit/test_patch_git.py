"""The patch survives what agents do to git and to its settings; one test a way."""

from __future__ import annotations

from pathlib import Path

import pytest

from swe_router.errors import SandboxError, WouldNotStart
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


def test_agent_commits(sandbox: PlainSandbox) -> None:
    got = made_by(
        sandbox, "echo x > a.py; git add -A; git -c user.name=a -c user.email=a@x commit -qm z"
    )
    assert got.files == ("a.py",)


def test_agent_stash_leaves_what_is_on_disk(sandbox: PlainSandbox) -> None:
    act = "echo x > a.py; git -c user.name=a -c user.email=a@x stash -q; echo y > pkg/b.py"
    assert made_by(sandbox, act).files == ("pkg/b.py",)


def test_branch_switch(sandbox: PlainSandbox) -> None:
    act = "git checkout -q --orphan other; git rm -rqf --cached .; echo x > a.py"
    assert made_by(sandbox, act).files == ("a.py",)


def test_gitignore_edit_hides_nothing_and_shows_nothing(sandbox: PlainSandbox) -> None:
    got = made_by(sandbox, "echo '*' > .gitignore; echo x > new.py; echo l > trace.log")
    assert got.files == (".gitignore", "new.py")
    assert got.left_out == ("trace.log",)


def test_info_exclude_edit(sandbox: PlainSandbox) -> None:
    assert made_by(sandbox, "echo '*.py' >> .git/info/exclude; echo x > new.py").files == (
        "new.py",
    )


def test_info_exclude_of_the_start_decides(sandbox: PlainSandbox) -> None:
    sandbox.must("mkdir -p .git/info; echo 'local.*' > .git/info/exclude")
    got = made_by(sandbox, "rm .git/info/exclude; echo x > local.cfg; echo y > a.py")
    assert (got.files, got.left_out) == (("a.py",), ("local.cfg",))


def test_hooks_of_the_repository_never_run(sandbox: PlainSandbox) -> None:
    hooks = "pre-commit post-checkout post-index-change post-applypatch fsmonitor-watchman"
    sandbox.must(
        f"mkdir -p .git/hooks; for h in {hooks}; do printf '#!/bin/sh\\ntouch /testbed/../ran\\n'"
        " > .git/hooks/$h; chmod +x .git/hooks/$h; done;"
        " git config core.fsmonitor .git/hooks/fsmonitor-watchman; rm -f ../ran"
    )
    made_by(sandbox, lambda: sandbox.write("/testbed/a.py", b"x\n"))
    assert not (sandbox.folder / "ran").exists()


def test_hostile_configuration(sandbox: PlainSandbox) -> None:
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
    got = made_by(sandbox, lambda: sandbox.run(act, timeout=60))
    assert got.files == ("a.py", "all", "crlf.txt")
    assert "--- a/a.py" in got.patch


def test_hostile_environment(sandbox: PlainSandbox) -> None:
    snapshot = StartSnapshot.take(sandbox)
    sandbox.env |= {
        "GIT_DIR": "/nowhere", "GIT_EXTERNAL_DIFF": "/bin/false", "GIT_DIFF_OPTS": "-u0",
        "GIT_WORK_TREE": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "BASH_ENV": "/nowhere",
    }  # fmt: skip
    sandbox.write("/testbed/a.py", b"x\n")
    got = snapshot.candidate(sandbox, "t")
    assert (got.files, got.proven) == (("a.py",), True)


def test_gitattributes_with_filters_and_line_ends(sandbox: PlainSandbox) -> None:
    attributes = "*.py filter=evil text eol=crlf ident diff=odd\\n*.txt -diff working-tree-encoding=UTF-16\\n"  # noqa: E501
    act = (
        f"printf '{attributes}' > .gitattributes; git config filter.evil.clean 'tr a-z A-Z';"
        " git config diff.odd.textconv 'tr a-z b-za'; echo '$Id$ x' >> a.py; printf 'q\\r\\n' >> crlf.txt"  # noqa: E501
    )
    before = StartSnapshot.take(sandbox)
    sandbox.must(act)
    got = before.candidate(sandbox, "t")
    assert got.proven
    assert got.files == (".gitattributes", "a.py", "crlf.txt")
    assert "+$Id$ x" in got.patch
    assert "GIT binary patch" not in got.patch


def test_attributes_of_the_start_state_change_no_byte(sandbox: PlainSandbox) -> None:
    sandbox.must("printf '*.txt text eol=crlf\\n*.py ident\\n' > .gitattributes")
    commit(sandbox)
    snapshot = StartSnapshot.take(sandbox)
    sandbox.must("printf 'four\\r\\n' >> crlf.txt; echo '$Id: 5$' >> a.py")
    end = content(sandbox.tree)
    got = snapshot.candidate(sandbox, "t")
    assert got.files == ("a.py", "crlf.txt")
    sandbox.must("git checkout -q . && printf 'one\\r\\ntwo\\r\\nthree\\r\\n' > crlf.txt")
    assert apply_patch(sandbox, got.patch).exit_code == 0
    assert content(sandbox.tree) == end


def test_file_becomes_an_embedded_repository(sandbox: PlainSandbox) -> None:
    act = (
        "rm a.py; git init -q a.py; cd a.py; echo x > x; git add x;"
        " git -c user.name=a -c user.email=a@x commit -qm i"
    )
    assert made_by(sandbox, act).files == ("a.py", "a.py/x")


def test_deleted_git_folder(sandbox: PlainSandbox) -> None:
    assert made_by(sandbox, "rm -rf .git; echo x > a.py; echo n > new.py").files == (
        "a.py",
        "new.py",
    )


def test_a_new_repository_in_place_of_the_old(sandbox: PlainSandbox) -> None:
    assert made_by(sandbox, "rm -rf .git; git init -q; git add -A; echo x > a.py").files == (
        "a.py",
    )


def test_embedded_repositories_are_plain_folders(sandbox: PlainSandbox) -> None:
    act = (
        "git init -q sub; echo x > sub/x.py; git init -q sub/inner; echo y > sub/inner/y;"
        " cd sub; git add x.py; git -c user.name=a -c user.email=a@x commit -qm i"
    )
    assert made_by(sandbox, act).files == ("sub/inner/y", "sub/x.py")


def test_submodules_present_at_the_start(sandbox: PlainSandbox) -> None:
    sandbox.must(
        "git init -q mod; cd mod; echo m > m.txt; git add -A;"
        " git -c user.name=a -c user.email=a@x commit -qm i; cd ..; git add mod 2>/dev/null;"
        " git -c user.name=a -c user.email=a@x commit -qm 'a submodule'; mkdir empty"
    )
    assert made_by(sandbox, "echo more >> mod/m.txt; echo n > mod/n.txt").files == (
        "mod/m.txt",
        "mod/n.txt",
    )


def test_a_lock_left_behind(sandbox: PlainSandbox) -> None:
    assert made_by(sandbox, "touch .git/index.lock; echo x > a.py").files == ("a.py",)


def test_assume_unchanged_and_skip_worktree(sandbox: PlainSandbox) -> None:
    act = (
        "git update-index --assume-unchanged a.py; git update-index --skip-worktree pkg/b.py;"
        " echo x > a.py; echo y > pkg/b.py"
    )
    assert made_by(sandbox, act).files == ("a.py", "pkg/b.py")


def test_sparse_checkout_by_the_agent_is_a_deletion(sandbox: PlainSandbox) -> None:
    got = made_by(
        sandbox,
        "git update-index --refresh; git sparse-checkout set --no-cone /a.py; echo x > a.py",
    )
    assert "pkg/b.py" in got.files


def test_sparse_checkout_at_the_start(sandbox: PlainSandbox) -> None:
    sandbox.must("git sparse-checkout set --no-cone '/*' '!/pkg' >/dev/null")
    assert made_by(sandbox, "echo x > a.py").files == ("a.py",)


def test_no_repository_at_all(tmp_path: Path) -> None:
    sandbox = PlainSandbox(tmp_path)
    sandbox.write("/testbed/a.py", b"x\n")
    assert made_by(sandbox, "echo y > a.py; echo n > b.py").files == ("a.py", "b.py")


def test_the_private_folder_is_destroyed(sandbox: PlainSandbox) -> None:
    sandbox.must("printf 'local.*\\n' > .git/info/exclude")
    got = made_by(
        sandbox, "rm -rf ~/.swe-router-git-*; echo x > a.py; echo l > local.x; echo > .gitignore"
    )
    assert got.files == (".gitignore", "a.py")


def test_everything_is_destroyed(sandbox: PlainSandbox) -> None:
    snapshot = StartSnapshot.take(sandbox)
    sandbox.must("rm -rf ~/.swe-router-git-* .git")
    with pytest.raises(SandboxError, match="destroyed"):
        snapshot.candidate(sandbox, "t")


def test_a_sandbox_without_git(tmp_path: Path) -> None:
    sandbox = PlainSandbox(tmp_path)
    sandbox.env["PATH"] = str(tmp_path)
    with pytest.raises(WouldNotStart, match="no git"):
        StartSnapshot.take(sandbox)


def test_the_work_tree_and_the_repository_are_not_touched(sandbox: PlainSandbox) -> None:
    files = {p: p.read_bytes() for p in (sandbox.tree / ".git").rglob("*") if p.is_file()}
    before = content(sandbox.tree)
    StartSnapshot.take(sandbox).candidate(sandbox, "t")
    assert content(sandbox.tree) == before
    assert {p: p.read_bytes() for p in (sandbox.tree / ".git").rglob("*") if p.is_file()} == files
