"""The guard takes the project's future out of a sandbox, keeps the rest, and proves it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from swe_router.errors import WouldNotStart
from swe_router.records import Instance
from swe_router.sandboxes.leak_guard import remove_leaks
from tests.doubles.plain_sandbox import PlainSandbox

pytestmark = pytest.mark.box

PROJECT = "git -c user.name=Dev -c user.email=dev@project.org"
MAKERS = "git -c user.name=SWE-bench -c user.email=setup@swebench.config"
OTHER = "git -c user.name=Ops -c user.email=ops@elsewhere.net"
SECRET = "the fix nobody may see"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with some past, and a fix that its future brings."""
    made = PlainSandbox(tmp_path_factory.mktemp("project"))
    made.must(
        f"git init -q -b main; for i in 1 2 3; do echo $i > a.py; git add -A;"
        f" {PROJECT} commit -q -m past$i; done; git tag v1 HEAD~1;"
        f" {PROJECT} tag -a v2 -m release HEAD~1; rm -rf .git/logs .git/COMMIT_EDITMSG"
        " .git/hooks/*"
    )
    shutil.copytree(made.tree, made.folder / "planted")
    made.must(
        "cd ../planted; git checkout -q -b future;"
        f" echo '{SECRET}' > fix.py; git add -A; {PROJECT} commit -q -m '{SECRET}';"
        " git rev-parse HEAD > ../future; git checkout -q main"
    )
    return made.folder


@pytest.fixture
def sandbox(tmp_path: Path, project: Path) -> PlainSandbox:
    """The project, standing on its base commit."""
    shutil.copytree(project / "tree", tmp_path / "tree")
    return PlainSandbox(tmp_path)


@pytest.fixture
def future(sandbox: PlainSandbox, project: Path) -> str:
    """Make a future commit in the sandbox and step back to the base; its id."""
    shutil.rmtree(sandbox.tree)
    shutil.copytree(project / "planted", sandbox.tree)
    return (project / "future").read_text().strip()


def instance(sandbox: PlainSandbox) -> Instance:
    return Instance(id="p__p-1", repo="own/project", base_commit=base(sandbox), problem="")


def base(sandbox: PlainSandbox) -> str:
    return sandbox.must("git rev-parse main").strip()


def objects(sandbox: PlainSandbox) -> set[str]:
    asked = "git cat-file --batch-all-objects --batch-check='%(objectname)'"
    return set(sandbox.must(asked).split())


def reachable(sandbox: PlainSandbox) -> set[str]:
    return {
        line.split()[0] for line in sandbox.must("git rev-list --objects --all HEAD").splitlines()
    }


def holds_secret(sandbox: PlainSandbox) -> bool:
    files = [path for path in (sandbox.tree / ".git").iterdir() if path.is_file()]
    asked = f"git cat-file --batch-all-objects --batch | grep -a '{SECRET}' || :"
    return any(SECRET.encode() in path.read_bytes() for path in files) or sandbox.must(asked) != ""


def status(sandbox: PlainSandbox) -> str:
    return sandbox.must("git status --porcelain; cat a.py; ls -A | grep -v ^.git$")


def test_a_clean_repository_is_left_as_it_is(sandbox: PlainSandbox) -> None:
    files = {p: p.read_bytes() for p in sandbox.tree.rglob("*") if p.is_file()}
    report = remove_leaks(sandbox, instance(sandbox))
    assert report.verified
    assert (report.head, report.base) == (base(sandbox), base(sandbox))
    assert (report.removed, report.setup_commits) == ((), ())
    assert {p: p.read_bytes() for p in sandbox.tree.rglob("*") if p.is_file()} == files
    assert sandbox.must("git tag").split() == ["v1", "v2"]
    assert list(sandbox.home.glob(".swe-router-git-*")) == []


GONE = "git branch -qD future; rm -rf .git/logs; git prune --expire=now;"
PLANTS: dict[str, tuple[str, str]] = {
    "branch": ("true", "ref"),
    "tag": ("git tag later future; git branch -qD future", "ref"),
    "annotated tag": (f"{PROJECT} tag -am '{SECRET}' v9 future; git branch -qD future", "ref"),
    "packed refs": ("git pack-refs --all", "ref"),
    "remote": (
        "git remote add origin https://user:hunter2@example.org/own/project;"
        " git update-ref refs/remotes/origin/main future; git branch -qD future",
        "config",
    ),
    "reflog": ("git reset -q --hard future; git reset -q --hard HEAD@{1}; git branch -qD future", "reflog"),  # noqa: E501
    "stash": (f"git branch -qD future; echo '{SECRET}' > a.py; {PROJECT} stash -q", "ref"),
    "loose object": ("git branch -qD future; rm -rf .git/logs", "object"),
    "packed object": ("git repack -adq; git branch -qD future; rm -rf .git/logs", "object"),
    "kept pack": (
        "git repack -adq; for p in .git/objects/pack/*.pack; do touch ${p%pack}keep; done;"
        " git branch -qD future; rm -rf .git/logs",
        "object",
    ),
    "fetch head": ("git rev-parse future > .git/FETCH_HEAD; git branch -qD future", "file"),
    "orig head": ("git rev-parse future > .git/ORIG_HEAD; git branch -qD future", "file"),
    "bisect": ("git update-ref refs/bisect/bad future; touch .git/BISECT_LOG", "ref"),
    "notes": (f"{PROJECT} notes add -m '{SECRET}' main; git branch -qD future", "ref"),
    "replace": ("git replace $(git rev-parse main) future; git branch -qD future", "ref"),
    "grafts": (
        "echo $(git rev-parse main) $(git rev-parse future) > .git/info/grafts;"
        " git branch -qD future; rm -rf .git/logs",
        "file",
    ),
    "work tree": ("git worktree add -q ../other future", "worktree"),
    "alternates": (
        "git clone -q --bare . ../away; git branch -qD future; rm -rf .git/logs;"
        " git repack -adq; git prune --expire=now; cd ../away/objects; pwd > ../../tree/.git/objects/info/alternates",  # noqa: E501
        "alternates",
    ),
    "pack without index": (
        "git repack -adq; git branch -qD future; rm -rf .git/logs;"
        " cp .git/objects/pack/*.pack .git/objects/pack/tmp_pack_abc",
        "garbage",
    ),
    "index": (f"echo '{SECRET}' > a.py; git add a.py; echo 3 > a.py; git branch -qD future", "index"),  # noqa: E501
    "bundle": ("git bundle create -q f.bundle --all; git branch -qD future; rm -rf .git/logs", "bundle"),  # noqa: E501
    "copy inside": ("git clone -q --bare . .cache.git; git branch -qD future", "store"),
    "index alone": (f"{GONE} echo '{SECRET}' > new.py; git add new.py; rm new.py", "index"),
    "shallow copy": (
        "git clone -q --bare --depth 1 -b future file://$PWD .git/modules/m;"
        f" git -C .git/modules/m remote remove origin; {GONE}",
        "store",
    ),
    "objects without head": (f"cp -r .git/objects ./objects; {GONE}", "store"),
    "stale lock": (f"echo '{SECRET}' > .git/packed-refs.lock", "file"),
    "broken ref": ("echo 1234567890123456789012345678901234567890 > .git/refs/heads/x", "ref"),
    "rebase left-overs": (f"mkdir .git/rebase-merge; echo '{SECRET}' > .git/rebase-merge/message", "file"),  # noqa: E501
    "commit message": (f"echo '{SECRET}' > .git/COMMIT_EDITMSG", "file"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_planted(sandbox: PlainSandbox, future: str, name: str) -> None:
    script, kind = PLANTS[name]
    sandbox.must(script)
    report = remove_leaks(sandbox, instance(sandbox))
    assert report.verified
    assert kind in {finding.kind for finding in report.removed}
    left = objects(sandbox)
    assert left == reachable(sandbox)
    assert future not in left
    assert not holds_secret(sandbox)
    assert "origin" not in (sandbox.tree / ".git/config").read_text()
    assert "hunter2" not in report.model_dump_json()
    names = sandbox.must("git log --all --reflog --format=%s; echo; git tag")
    assert names.split("\n\n") == ["past3\npast2\npast1", "v1\nv2\n"]
    sandbox.must(f"git checkout -q {report.base} a.py && git fsck && git describe")
    assert sandbox.must("cat a.py; git status --porcelain").split() == ["3"]


def test_the_official_set_up_commit_stays(sandbox: PlainSandbox) -> None:
    given = instance(sandbox)
    sandbox.must(f"echo installed > setup.cfg; git add -A; {MAKERS} commit -q -m SWE-bench")
    head = base(sandbox)
    before = status(sandbox)
    report = remove_leaks(sandbox, given)
    assert report.setup_commits == (head,)
    assert report.head == head
    assert report.verified
    assert status(sandbox) == before


def test_several_set_up_commits_become_one(sandbox: PlainSandbox) -> None:
    given = instance(sandbox)
    sandbox.must(
        f"echo '{SECRET}' > x; git add -A; {MAKERS} commit -q -m SWE-bench;"
        f" echo y > x; git add -A; {MAKERS} commit -q -m SWE-bench"
    )
    report = remove_leaks(sandbox, given)
    assert len(report.setup_commits) == 1
    assert sandbox.must("git rev-parse HEAD^ HEAD").split() == [given.base_commit, report.head]
    assert not holds_secret(sandbox)
    assert status(sandbox) == "3\na.py\nx\n"


def test_a_set_up_commit_of_strangers_is_made_anonymous(sandbox: PlainSandbox) -> None:
    given = instance(sandbox)
    sandbox.must(f"echo y > x; git add -A; {OTHER} commit -q -m 'more {SECRET}'")
    report = remove_leaks(sandbox, given)
    assert report.setup_commits == (report.head,)
    assert not holds_secret(sandbox)
    assert sandbox.must("git show --format=%P -s").strip() == given.base_commit


def test_future_commits_whose_tree_is_the_base_are_dropped(sandbox: PlainSandbox) -> None:
    given = instance(sandbox)
    sandbox.must(
        f"echo '{SECRET}' > a.py; {PROJECT} commit -qam fix; echo 3 > a.py; {PROJECT} commit -qam undo"  # noqa: E501
    )
    report = remove_leaks(sandbox, given)
    assert (report.head, report.setup_commits) == (given.base_commit, ())
    assert not holds_secret(sandbox)


@pytest.mark.parametrize("on_top", ["true", f"{MAKERS} commit -q --allow-empty -m SWE-bench"])
def test_an_image_on_a_future_commit_is_refused(sandbox: PlainSandbox, on_top: str) -> None:
    given = instance(sandbox)
    sandbox.must(f"echo '{SECRET}' > a.py; {PROJECT} commit -qam 'Fixed 1'; {on_top}")
    with pytest.raises(WouldNotStart, match="may hold the fix"):
        remove_leaks(sandbox, given)


def test_a_missing_base_names_both(sandbox: PlainSandbox) -> None:
    lost = "f" * 40
    with pytest.raises(WouldNotStart, match=lost) as caught:
        remove_leaks(sandbox, instance(sandbox).model_copy(update={"base_commit": lost}))
    assert base(sandbox) in str(caught.value)


def test_an_image_on_the_past_is_refused(sandbox: PlainSandbox) -> None:
    given = instance(sandbox)
    sandbox.must("git checkout -q HEAD~1")
    with pytest.raises(WouldNotStart, match="older"):
        remove_leaks(sandbox, given)


def test_a_base_that_is_no_commit_id(sandbox: PlainSandbox) -> None:
    with pytest.raises(WouldNotStart, match="no commit id"):
        remove_leaks(sandbox, instance(sandbox).model_copy(update={"base_commit": "--all"}))


def test_detached_head_with_a_branch_ahead(sandbox: PlainSandbox) -> None:
    given = instance(sandbox)
    sandbox.must(f"git checkout -q --detach; git checkout -q main; echo '{SECRET}' > a.py;"
             f" {PROJECT} commit -qam later; git checkout -q {given.base_commit}")  # fmt: skip
    report = remove_leaks(sandbox, given)
    assert report.head == given.base_commit
    assert not holds_secret(sandbox)


@pytest.mark.usefixtures("future")
def test_a_shallow_clone(sandbox: PlainSandbox, tmp_path: Path) -> None:
    other = PlainSandbox(tmp_path / "second")
    subprocess.run(
        [
            "git",
            "clone",
            "-q",
            "--depth=1",
            "-b",
            "main",
            sandbox.tree.as_uri(),
            str(other.tree / "c"),
        ],
        check=True,
    )
    other.must("mv c/.git .; mv c/a.py .; rmdir c")
    report = remove_leaks(other, instance(other))
    assert {finding.kind for finding in report.removed} >= {"config", "reflog"}
    assert objects(other) == reachable(other)
    assert other.must("git status --porcelain; git fsck 2>&1 | grep -v checking || :") == ""


def test_no_repository_is_reported(tmp_path: Path) -> None:
    sandbox = PlainSandbox(tmp_path)
    report = remove_leaks(sandbox, Instance(id="i", repo="o/p", base_commit="a" * 40, problem=""))
    assert report.verified
    assert [finding.kind for finding in report.removed] == ["no-repository"]


@pytest.mark.usefixtures("future")
def test_a_dirty_start_state_is_kept(sandbox: PlainSandbox) -> None:
    sandbox.must("echo mine >> a.py; echo new > n; echo staged > s; git add s")
    before = status(sandbox)
    assert remove_leaks(sandbox, instance(sandbox)).verified
    assert status(sandbox) == before


@pytest.mark.usefixtures("future")
def test_a_checked_out_copy_of_the_future_is_refused(sandbox: PlainSandbox) -> None:
    sandbox.must("git clone -q -b future . vendored")
    with pytest.raises(WouldNotStart, match="another copy"):
        remove_leaks(sandbox, instance(sandbox))


def test_tracked_bundles_of_the_project_are_no_leak(sandbox: PlainSandbox) -> None:
    sandbox.must(
        f"git bundle create -q t.bundle main; git add -A; {PROJECT} commit -qm bundle; rm -rf .git/logs"  # noqa: E501
    )
    remove_leaks(sandbox, instance(sandbox))
    assert (sandbox.tree / "t.bundle").exists()


@pytest.mark.usefixtures("future")
def test_what_cannot_be_taken_out_stops_the_start(sandbox: PlainSandbox) -> None:

    class Stubborn(PlainSandbox):
        """A disk on which nothing can be deleted."""

        def run(self, command: str, **options: object) -> object:  # type: ignore[override]
            return super().run(command.replace("update-ref --no-deref -d", "true")
                               .replace("rm -f \"$COMMON/$ref\"", "true"), **options)  # type: ignore[arg-type]  # fmt: skip

    with pytest.raises(WouldNotStart, match=r"cannot be cleaned.*future"):
        remove_leaks(Stubborn(sandbox.folder), instance(sandbox))


@pytest.mark.usefixtures("future")
def test_hooks_do_not_run_and_go(sandbox: PlainSandbox) -> None:
    hook: Callable[[str], str] = lambda name: (  # noqa: E731
        f"printf '#!/bin/sh\\ntouch /testbed/../ran\\n' > .git/hooks/{name}; chmod +x .git/hooks/{name}"  # noqa: E501
    )
    sandbox.must("mkdir -p .git/hooks")
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        sandbox.must(hook(name))
    (sandbox.folder / "ran").unlink(missing_ok=True)
    remove_leaks(sandbox, instance(sandbox))
    assert not (sandbox.folder / "ran").exists()
    assert not list((sandbox.tree / ".git/hooks").iterdir())
