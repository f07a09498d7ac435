"""A sandbox whose past or future cannot be told is refused, and a trace of the future is taken out.

The same on whole repositories and in containers is in ``tests/live``.
"""

from __future__ import annotations

import pytest

from swe_router.errors import Lost, SandboxError, WouldNotStart
from swe_router.records import Instance
from swe_router.sandboxes.leak_guard import MAX_SHOWN, remove_leaks
from tests.doubles.plain_sandbox import PlainSandbox

DEV = "git -c user.name=Dev -c user.email=dev@project.org"
MAKERS = "git -c user.name=SWE-bench -c user.email=setup@swebench.config"
OTHER = "git -c user.name=Ops -c user.email=ops@elsewhere.net"


@pytest.fixture
def place(tmp_path):
    """A project of two commits that stands on the second."""
    made = PlainSandbox(tmp_path)
    made.must(
        "git init -q -b main; for i in 1 2; do echo $i > a.py; git add -A;"
        f" {DEV} commit -q -m past$i; done; rm -rf .git/logs .git/COMMIT_EDITMSG .git/hooks"
    )
    return made


def issue(place: PlainSandbox, base: str = "") -> Instance:
    base = base or place.must("git rev-parse main").strip()
    return Instance(id="p__p-1", repo="own/project", base_commit=base, problem="")


def test_a_base_commit_that_is_no_id_or_is_not_there_is_refused(place):
    with pytest.raises(WouldNotStart, match="base commit 'main' is no commit id"):
        remove_leaks(place, issue(place, "main"))
    with pytest.raises(WouldNotStart, match="does not hold the base commit ffff"):
        remove_leaks(place, issue(place, "f" * 40))


def test_a_head_that_is_no_commit_is_refused(place):
    one = issue(place)
    place.must("git symbolic-ref HEAD refs/heads/none")
    with pytest.raises(WouldNotStart, match="HEAD of the image is no commit"):
        remove_leaks(place, one)


def test_a_work_tree_that_is_linked_to_another_repository_is_refused(place, tmp_path):
    one = issue(place)
    place.must("cd ..; mv tree main; cd main; git worktree add -q --detach ../tree HEAD")
    with pytest.raises(WouldNotStart, match="is a linked work tree of"):
        remove_leaks(place, one)


def test_an_image_that_stands_before_its_base_is_refused(place):
    one = issue(place)
    place.must("git checkout -q HEAD~1")
    with pytest.raises(WouldNotStart, match="which is older than the base"):
        remove_leaks(place, one)


def test_a_commit_of_the_image_makers_stays_and_their_second_is_folded_into_one(place):
    one = issue(place)
    place.must(f"echo built > built; git add -A; {MAKERS} commit -q -m SWE-bench")
    report = remove_leaks(place, one)
    assert report.setup_commits == (report.head,)
    assert "commit" not in {f.kind for f in report.removed}
    place.must(f"echo more > built; git add -A; {MAKERS} commit -q -m SWE-bench")
    report = remove_leaks(place, one)
    assert place.must("git rev-list --count main..HEAD || :").strip() in {"0", "1"}
    assert place.must("git rev-parse HEAD~1").strip() == one.base_commit
    assert "commit" in {f.kind for f in report.removed}
    assert place.read("built") == b"more\n"


def test_a_commit_that_changes_nothing_above_the_base_is_dropped(place):
    one = issue(place)
    place.must(f"{OTHER} commit -q --allow-empty -m x; {OTHER} commit -q --allow-empty -m y")
    report = remove_leaks(place, one)
    assert (report.head, report.setup_commits) == (one.base_commit, ())
    assert report.removed[0].detail.startswith("2 commit(s) up to ")


@pytest.mark.parametrize(
    ("commit", "why"),
    [
        (f"{DEV} commit -q -m 'Mend a.py'", "is by somebody who wrote the project's past"),
        (f"{OTHER} commit -q -m 'Mend a.py'; git branch fix", "is also on refs/heads/fix"),
    ],
)
def test_what_may_be_the_fix_above_the_base_is_refused(commit, why, place):
    one = issue(place)
    place.must(f"git checkout -q --detach; echo fix > a.py; git add -A; {commit}")
    with pytest.raises(WouldNotStart, match=f"what lies between {why}"):
        remove_leaks(place, one)


def test_a_stranger_s_commit_that_no_ref_leads_to_is_taken_for_the_image_s(place):
    one = issue(place)
    place.must(f"git checkout -q --detach; echo env > env; git add -A; {OTHER} commit -q -m wip")
    report = remove_leaks(place, one)
    assert place.must("git rev-list main..HEAD").split() == [report.head]
    assert place.must("git log -1 --format=%s").strip() == "Start state of the image"


def test_a_shallow_point_of_the_future_is_taken_out(place):
    one = issue(place)
    place.must(
        f"echo fix > a.py; git add -A; {DEV} commit -q -m fix; git rev-parse HEAD > ../fix;"
        " git reset -q --hard HEAD~1; rm -rf .git/logs .git/ORIG_HEAD; mv ../fix .git/shallow"
    )
    report = remove_leaks(place, one)
    assert "shallow" in {f.kind for f in report.removed}
    assert not (place.tree / ".git/shallow").exists()
    assert place.must("git rev-list --all").split() == place.must("git rev-list HEAD").split()


def test_many_traces_of_one_kind_are_counted_and_not_all_named(place):
    one = issue(place)
    place.must(
        f"echo fix > a.py; git add -A; {DEV} commit -q -m fix;"
        f" seq -f 'create refs/heads/b%g HEAD' {MAX_SHOWN + 3} | git update-ref --stdin;"
        " git reset -q --hard HEAD~1"
    )
    refs = [f.detail for f in remove_leaks(place, one).removed if f.kind == "ref"]
    assert len(refs) == MAX_SHOWN + 1
    assert refs[-1] == "and 3 more"
    assert place.must("git branch --format='%(refname:short)'").split() == ["main"]


@pytest.mark.parametrize(
    ("error", "raised"), [(SandboxError("git broke"), WouldNotStart), (Lost("gone"), Lost)]
)
def test_a_guard_that_cannot_look_lets_nobody_begin(error, raised, place):
    one, run = issue(place), place.run

    class Breaks(PlainSandbox):
        def run(self, command, *, timeout, cwd=""):
            if "rev-parse" in command:
                raise error
            return run(command, timeout=timeout, cwd=cwd)

    with pytest.raises(raised):
        remove_leaks(Breaks(place.folder), one)
