"""One attempt from its hold to its verdicts: what is told, what is kept, and whose fault it is."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from swe_router.codegraph.git_objects import RepoError
from swe_router.errors import (
    EngineGone,
    LedgerRefused,
    Lost,
    Overloaded,
    ScaffoldError,
    VerifierError,
)
from swe_router.records import Failure, RecordedDecision, Result, Stop, Try
from swe_router.solve import attempt, handover_notes, patch_equivalence
from swe_router.solve.engine import solve
from swe_router.solve.patch_equivalence import PatchEquivalence
from swe_router.solve.sandbox_reuse import SandboxReuse
from swe_router.verifier_cache import VerifierCache
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    ExactPurse,
    FakeSandbox,
    Ladder,
    ListMemory,
    Patches,
    Plays,
    candidate,
    context,
    plan,
)
from tests.doubles.project import outcome

D = Decimal
ONE = Ladder((plan("weak"),))


def solved(made, policy: Any = ONE):
    return solve(INSTANCE, FEATURES, policy=policy, context=made, run_name="r")


@dataclass(frozen=True)
class AtOnce(Ladder):
    """Tries all its plans in one move."""

    def decide(self, features, history, purse):
        return Stop(why="done") if history else Try(plans=tuple(self.plans), why="at once")


def test_progress_names_each_stage_of_an_attempt():
    told: list[tuple[Any, ...]] = []
    record = solved(context(progress=lambda *words: told.append(words)))
    assert told == [
        (INSTANCE.id, "weak", 0, "starting"),
        (INSTANCE.id, "weak", 1, "working"),
        (INSTANCE.id, "weak", 2, "working"),
        (INSTANCE.id, "weak", 2, "verifying"),
    ]
    assert record.outcomes[0].attempt.sandbox == "double"


def test_an_instance_and_its_attempts_take_the_seconds_of_the_clock():
    ticks = itertools.count(100, 2)
    record = solved(context(clock=lambda: float(next(ticks))))
    assert record.seconds > record.outcomes[0].attempt.seconds > 0
    back = itertools.count(100, -2)
    record = solved(context(clock=lambda: float(next(back))))
    assert (record.seconds, record.outcomes[0].attempt.seconds) == (0.0, 0.0)


def test_verifiers_are_watched_as_they_begin():
    seen: list[tuple[str, str]] = []
    made = context()
    watched = replace(made.verification, on_verifier_start=lambda *words: seen.append(words))
    solved(replace(made, verification=watched))
    assert seen == [("1-weak", "says")]


def test_an_arm_that_is_tried_again_has_a_session_of_its_own():
    sessions, soon = [], []
    made = context(
        model_for=lambda plan, session, hold: sessions.append(session),
        early_stop=False, before_verification=lambda instance: soon.append(instance.id),
    )  # fmt: skip
    solved(made, AtOnce((plan("weak"), plan("mid"), plan("weak"))))
    assert sessions == [f"{INSTANCE.id}#{n}" for n in (1, 1, 2)]
    assert soon == [INSTANCE.id] * 3
    failed = outcome("", failure=Failure(kind="Lost", boundary="sandbox", message="m", retry=True,
                                         counts=False))  # fmt: skip
    weak = outcome("d").attempt.plan
    assert attempt._try_number(weak, [failed, outcome("d"), outcome("d", tier="mid")]) == 2


def test_an_attempt_that_broke_before_is_not_noted_as_broken_again():
    memory = ListMemory()
    failure = Failure(kind="Lost", boundary="sandbox", message="m", retry=True, counts=False)
    broke = outcome("", ended="broke", failure=failure)
    decided = RecordedDecision(decision=Try(plans=(plan("weak"),), why="go"),
                               purse=ExactPurse().view())  # fmt: skip
    memory.record_decision(decided, ["1-weak"])
    memory.record_broken(broke)
    record = solved(context(memory, sandbox_retries=2))
    assert [one.attempt.id for one in record.outcomes] == ["1-weak", "1-weak.2"]
    assert [kind for kind, _ in memory.written].count("broke") == 1
    none = ListMemory()
    none.record_decision(decided, ["1-weak"])
    none.record_broken(broke)
    assert len(solved(context(none, sandbox_retries=0)).outcomes) == 1


@dataclass
class Raises(Plays):
    error: BaseException | None = None
    times: int = 1

    def solve(self, instance, model, sandbox, budget, its):
        if self.times:
            self.times -= 1
            raise self.error or Lost("x")
        return super().solve(instance, model, sandbox, budget, its)


@pytest.mark.parametrize(
    ("error", "boundary"),
    [
        (Overloaded("busy"), "model"),
        (RepoError("gone"), "sandbox"),
        (VerifierError("odd"), "verifier"),
        (ScaffoldError("odd"), "scaffold"),
    ],
)
def test_what_broke_an_attempt_is_named_by_its_boundary(error, boundary):
    record = solved(context(scaffold=Raises(error=error), sandbox_retries=0, patch=""))
    made = record.outcomes[0].attempt
    assert made.failure is not None
    assert (made.failure.boundary, made.failure.kind) == (boundary, type(error).__name__)
    assert (made.failure.message, made.trajectory.exit) == (str(error), "broke")
    assert made.trajectory.why == str(error)


def test_an_attempt_without_money_ends_by_its_budget_with_the_reason():
    refused = solved(context(scaffold=Raises(error=LedgerRefused("no cent left"))))
    made = refused.outcomes[0].attempt
    assert (made.failure, made.trajectory.exit, made.trajectory.why) == (
        None, "budget", "no cent left"
    )  # fmt: skip
    poor = solved(context(purse=ExactPurse(budget=D("0.5"))))
    assert poor.outcomes[0].never_begun
    assert poor.outcomes[0].candidate is None
    assert poor.status == "budget"


def test_an_engine_that_went_away_is_come_back_to_twice():
    gone = EngineGone("no engine")
    for times, ended in ((1, "submitted"), (2, "submitted"), (3, "broke")):
        record = solved(context(scaffold=Raises(error=gone, times=times), sandbox_retries=0))
        assert record.outcomes[0].attempt.trajectory.exit == ended, times
    comes_back = []

    class Asks(Plays):
        def solve(self, instance, model, sandbox, budget, its):
            comes_back.append(its.comes_back)
            raise gone

    solved(context(scaffold=Asks(), sandbox_retries=0))
    assert comes_back == [True, True, False]


def test_a_patch_that_is_in_a_broken_sandbox_is_lost_with_it():
    class Breaks(Patches):
        def candidate(self, sandbox, attempt_id):
            raise Lost("killed")

    record = solved(context(snapshot=lambda sandbox: Breaks("x"), sandbox_retries=0))
    made = record.outcomes[0]
    assert (made.candidate, made.attempt.failure.kind) == (None, "Lost")
    first = context(snapshot=lambda sandbox: Breaks("x"), sandbox_retries=0,
                    scaffold=Raises(error=Overloaded("busy")))  # fmt: skip
    assert solved(first).outcomes[0].attempt.failure.kind == "Overloaded"


def test_money_that_others_give_back_is_waited_for_to_the_last_dollar():
    @dataclass(frozen=True)
    class Careful(Ladder):
        def decide(self, features, history, purse):
            if history or purse.left < 1:
                return Stop(why="no money")
            return Try(plans=(plan("weak"),), why="go")

    purse = ExactPurse(spent=D(9), others=[D("0.5"), D(0)])
    assert len(solved(context(purse=purse), Careful(())).outcomes) == 1


# Sandboxes that are used again.


class Rooms:
    """Opens sandboxes, and knows which are open."""

    def __init__(self):
        self.opened: list[FakeSandbox] = []
        self.open: list[FakeSandbox] = []

    @contextmanager
    def __call__(self, instance):
        made = FakeSandbox(identity=f"box{len(self.opened)}")
        self.opened.append(made)
        self.open.append(made)
        yield made
        self.open.remove(made)


def reuse(result=None, **changes):
    rooms = Rooms()
    done = result or Result(exit_code=0, output="applied", **changes)
    return SandboxReuse(rooms, lambda sandbox, patch: sandbox.identity and done), rooms


def applied(place, patch="p", instance=INSTANCE, then=lambda sandbox: None):
    with place.open(instance) as sandbox:
        place.apply(sandbox, patch)
        then(sandbox)
        return sandbox.identity


def test_a_sandbox_that_holds_a_patch_and_nothing_else_serves_the_next():
    place, rooms = reuse()
    with place:
        assert [applied(place), applied(place)] == ["box0", "box0"]
        assert rooms.open == [], "who took it closed it"
        assert applied(place) == "box1"
        assert applied(place, "other") == "box2"
        other = INSTANCE.model_copy(update={"id": "other__x-1"})
        assert applied(place, instance=other) == "box3"
        assert len(rooms.open) == 1, "one waits"
    assert rooms.open == []


@pytest.mark.parametrize(
    "then",
    [
        lambda sandbox: sandbox.run("ls", timeout=1),
        lambda sandbox: sandbox.write("x", b""),
        lambda sandbox: sandbox.close(),
    ],
)
def test_a_sandbox_in_which_more_was_done_serves_nobody_else(then):
    place, rooms = reuse()
    with place:
        assert [applied(place, then=then), applied(place)] == ["box0", "box1"]
        assert len(rooms.open) == 1


@pytest.mark.parametrize(
    "result", [Result(exit_code=1, output=""), Result(exit_code=0, output="", timed_out=True)]
)
def test_a_patch_that_did_not_go_in_whole_is_not_kept(result):
    place, _ = reuse(result)
    with place:
        assert [applied(place), applied(place)] == ["box0", "box1"]


def test_a_sandbox_is_not_kept_when_its_use_failed_or_it_was_not_opened_here():
    place, rooms = reuse()
    with place:

        def breaks(sandbox):
            raise Lost("x")

        with pytest.raises(Lost):
            applied(place, then=breaks)
        assert rooms.open == []
        with pytest.raises(TypeError, match="was not opened here"):
            place.apply(FakeSandbox(), "p")
        with place.open(INSTANCE):
            pass
        assert len(rooms.opened) == 1, "what is not used is not opened"
        with place.open(INSTANCE) as looked:
            assert looked.workdir == "/testbed"
            place.apply(looked, "p")
        assert applied(place) == looked.identity


# Patches that leave the same files.


class Kinds(FakeSandbox):
    result = Result(exit_code=0, output="file\n")
    files: Any = b"x"

    def run(self, command, *, timeout, cwd=""):
        self.asked = command, timeout
        return self.result

    def read(self, path, *, limit=0):
        if isinstance(self.files, Exception):
            raise self.files
        return self.files


def left(patch, sandbox, apply=Result(exit_code=0, output="")):  # noqa: B008
    @contextmanager
    def open_sandbox(instance):
        yield sandbox

    cache = VerifierCache()
    same = PatchEquivalence(open_sandbox, lambda of, text: apply, INSTANCE, cache)
    made = candidate("1-weak", patch)
    return same.files_digest(made), patch_equivalence.is_known_misfit(cache, made)


PATCH = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"


def test_files_that_are_left_are_known_by_their_kind_and_content():
    whole, misfit = left(PATCH, Kinds())
    assert (len(whole), misfit) == (64, False)
    kinds, contents, gone = Kinds(), Kinds(), Kinds()
    kinds.result = Result(exit_code=0, output="executable\n")
    contents.files = b"y"
    gone.files = FileNotFoundError("x")
    found = {left(PATCH, one)[0] for one in (Kinds(), kinds, contents, gone)}
    assert len(found) == 4
    assert left(PATCH, Kinds())[0] == whole
    assert kinds.asked[1] == 60.0
    assert "for p in ./x.py; do" in kinds.asked[0]


@pytest.mark.parametrize(
    "result",
    [Result(exit_code=1, output="x"), Result(exit_code=0, output="x", timed_out=True)],
)
def test_files_of_which_nothing_is_known_are_unlike_all_others(result):
    box, big = Kinds(), Kinds()
    box.result = result
    big.files = ValueError("too long")
    assert left(PATCH, box) == ("", False)
    assert left(PATCH, big) == ("", False)
    assert left(PATCH, Kinds(), result) == ("", True)
    assert left("no diff", Kinds())[1] is False


# A patch's lines that must not be handed on.


def test_lines_of_a_patch_are_read_inside_of_its_hunks_alone():
    patch = (
        "diff --git a/x b/x\nindex 1..2\n--- a/long name\n+++ b/long name\n@@ -1,3 +1,3 @@\n"
        " context line\n-removed line\n+  added line\n-short\n"
        "diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n+second file\n"
    )
    check = handover_notes.RejectedLines.of(patch)
    assert list(check.added_by_file.values()) == [["  added line"], ["second file"]]
    assert check.removed_lines == {"removed line"}
    assert list(check.searched_lines()) == ["added line", "second file"]
    assert list(check.searched_lines("second file\n")) == ["added line"]
    assert handover_notes.without_patch_lines("added line\nnothing\nremoved line", [check]) == [
        "nothing"
    ]
    assert handover_notes.without_patch_lines("a\n@@ x", []) == ["a"]
