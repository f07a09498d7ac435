"""A tree from memory is the tree that git made, and no more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swe_router.errors import WouldNotStart
from swe_router.sandboxes import work_trees
from swe_router.sandboxes.visible_mounts import SandboxOwner
from swe_router.sandboxes.work_trees import WorkTrees

ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{
        f"GIT_{who}_{what}": "a@b.c"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def git(where: Path, *words: str) -> str:
    told = subprocess.run(["git", *words], cwd=where, env=ENV, capture_output=True, check=True)
    return told.stdout.decode().strip()


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, str]:
    """A repository with an executable, a link, a folder that git ignores; and its first commit."""
    home = tmp_path / "project"
    home.mkdir()
    git(home, "init", "-q")
    (home / "run.sh").write_text("#!/bin/sh\n")
    (home / "run.sh").chmod(0o755)
    (home / "sub").mkdir()
    (home / "sub" / "a.py").write_text("A = 1\n")
    (home / "link.py").symlink_to("sub/a.py")
    (home / "über name.txt").write_text("x")
    git(home, "add", "-A")
    git(home, "commit", "-q", "-m", "one")
    commit = git(home, "rev-parse", "HEAD")
    (home / "sub" / "a.py").write_text("THE FIX\n")
    git(home, "commit", "-q", "-a", "-m", "the future")
    return home, commit


def seen(tree: Path) -> dict[str, tuple[int, str]]:
    """Every path with its mode and content, git's index aside: it holds inode numbers."""
    found = {}
    for path in sorted(tree.rglob("*")):
        if path.name == "index":
            continue
        text = path.readlink() if path.is_symlink() else "" if path.is_dir() else path.read_bytes()
        found[path.relative_to(tree).as_posix()] = (path.lstat().st_mode, str(text))
    return found


def test_the_second_tree_is_the_first_without_what_was_done_to_it(
    tmp_path: Path, project: tuple[Path, str]
) -> None:
    made = WorkTrees()
    first, second = tmp_path / "a" / "tree", tmp_path / "b" / "tree"
    for tree in (first, second):
        tree.parent.mkdir()
    made.make(*project, first)
    before = seen(first)
    (first / "sub" / "a.py").write_text("SPOILT\n")
    made.make(*project, second)
    assert seen(second) == before
    assert git(second, "status", "--porcelain") == ""
    assert git(second, "rev-parse", "HEAD") == project[1]
    assert git(second, "log", "--all", "--format=%s") == "one"
    git(second, "fsck", "--strict")


def test_a_large_tree_is_not_kept_and_few_are(tmp_path: Path, project: tuple[Path, str]) -> None:
    made = WorkTrees()
    home, commit = project
    for number in range(work_trees.MAX_KEPT + 2):
        other = tmp_path / f"{number}.git"
        git(tmp_path, "clone", "-q", "--bare", str(home), str(other))
        made.make(other, commit, tmp_path / f"tree{number}")
    assert len(made._kept) == work_trees.MAX_KEPT
    large = WorkTrees(most_bytes=10)
    large.make(home, commit, tmp_path / "large")
    assert large._kept == {}


def test_an_abbreviated_commit_is_the_whole_one(tmp_path: Path, project: tuple[Path, str]) -> None:
    home, commit = project
    WorkTrees().make(home, commit[:10], tmp_path / "tree")
    assert git(tmp_path / "tree", "rev-parse", "HEAD") == commit


def test_a_commit_that_is_not_there_is_named_each_time(
    tmp_path: Path, project: tuple[Path, str]
) -> None:
    made = WorkTrees()
    for number in range(2):
        with pytest.raises(WouldNotStart, match="git fetch"):
            made.make(project[0], "1" * 40, tmp_path / str(number))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_every_tree_belongs_to_who_works_in_it(tmp_path: Path, project: tuple[Path, str]) -> None:
    made = WorkTrees(owner=SandboxOwner(12345, 23456))
    for name in ("first", "second"):
        tree = tmp_path / name
        made.make(*project, tree)
        whose = {(one.lstat().st_uid, one.lstat().st_gid) for one in [tree, *tree.rglob("*")]}
        assert whose == {(12345, 23456)}
