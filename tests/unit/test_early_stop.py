"""Plans that cannot change the choice: not paid for, on record, and the same in every replay."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from swe_router.records import RunRecord, SkippedPlans, Stop, Try, Verdict
from swe_router.replay.record_check import ReplayContext, ReplayCount, check_record
from swe_router.selectors.majority import Majority
from swe_router.solve.engine import solve
from swe_router.solve.moves import Interrupted
from swe_router.verifiers.reproduction import issue_test_counts
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    ExactPurse,
    Ladder,
    ListMemory,
    Patches,
    Plays,
    Says,
    context,
    outcome_ids,
    plan,
)

RIGHT = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+right {}\n"
SAME, OTHER = RIGHT.format("same"), RIGHT.format("other")


class Exact(Patches):
    """A snapshot whose candidate has the digest that a replay computes."""

    def candidate(self, sandbox, attempt_id):
        digest = hashlib.sha256(self.patch.encode()).hexdigest()
        return super().candidate(sandbox, attempt_id).model_copy(update={"digest": digest})


class Several(Ladder):
    """All plans at once, and another such move while no candidate is accepted."""

    def decide(self, features, history, purse):
        if any(outcome.accepted for outcome in history):
            return Stop(why="accepted")
        return Try(plans=tuple(self.plans), why="side by side")


FIVE = Several([plan("weak").model_copy(update={"seed": n}) for n in range(5)])


def run(patches, memory=None, **changes) -> RunRecord:
    left = iter(patches)
    parts: dict[str, Any] = {"selector": Majority(), "snapshot": lambda sandbox: Exact(next(left))}
    scaffold = changes.pop("scaffolds", lambda arm: Plays())
    made = replace(context(memory or ListMemory(), **{**parts, **changes}), scaffold_for=scaffold)
    return solve(INSTANCE, FEATURES, policy=FIVE, context=made, run_name="test")


def replayed(record: RunRecord, memory: ListMemory, **changes: Any) -> list[str]:
    """What a replay finds to differ."""
    usd = {f"{INSTANCE.id}/{o.attempt.id}": o.attempt.trajectory.usd for o in record.outcomes}
    parts: dict[str, Any] = {
        "policy": FIVE,
        "selector": Majority(),
        "verifiers": {"says": Says()},
        "rates": {},
        "conversation": lambda *_: iter(()),
        "steps": lambda _, attempt: memory.steps(attempt),
        "charged": usd,
    }
    count = ReplayCount()
    check_record(record, ReplayContext(**{**parts, **changes}), count)
    return [f"{d.where}: {d.recorded} -> {d.recomputed}" for d in count.divergences]


def test_what_cannot_change_the_choice_is_left_out_unpaid_and_on_record():
    memory, purse = ListMemory(), ExactPurse()
    record = run([SAME, OTHER, SAME, SAME], memory, purse=purse)
    assert outcome_ids(record.outcomes) == ["1-weak", "2-weak", "3-weak", "4-weak"]
    (left,) = record.left_out
    assert (left.move, left.attempts) == (0, ("5-weak",))
    assert "outvote" in left.why
    assert len(purse.held) == 4, "no money was ever held for it"
    assert record.usd == Decimal("0.08")
    assert record.chosen == "1-weak"
    assert replayed(record, memory) == []


def test_it_can_be_switched_off_and_a_selector_may_not_know_it():
    assert len(run([SAME] * 5, early_stop=False).outcomes) == 5

    class Plain:
        def select(self, outcomes, matrix=None):
            return outcomes[0].candidate

    assert len(run([SAME] * 5, selector=Plain()).outcomes) == 5


def test_a_replay_names_plans_that_were_left_out_without_reason_or_against_it():
    memory = ListMemory()
    record = run([SAME, OTHER, SAME, SAME], memory)
    left = SkippedPlans(move=0, attempts=("3-weak", "4-weak", "5-weak"), why="so")
    early = record.model_copy(update={"outcomes": record.outcomes[:2], "left_out": (left,)})
    assert any("decision 1 left out: after 2: so -> " in line for line in replayed(early, memory))
    memory = ListMemory()
    whole = run([SAME] * 5, memory, early_stop=False)
    assert replayed(whole, memory, early_stop=False) == []
    assert any("decision 1 left out:  -> after 3" in line for line in replayed(whole, memory))
    stray = record.model_copy(update={"left_out": (*record.left_out, left, left)})
    assert replayed(stray, memory)


def test_a_resumed_move_stops_where_it_would_have():
    """A kill after the third of five: the next process repeats none and stops after the fourth."""

    class Killed(BaseException):
        pass

    memory = ListMemory()
    begun: list[str] = []

    def dies(arm):
        begun.append(arm.model)
        if len(begun) == 4:
            raise Killed
        return Plays()

    with pytest.raises(Killed):
        run([SAME, OTHER, SAME, SAME], memory, scaffolds=dies)
    record = run([SAME, OTHER, SAME, SAME], memory)
    assert record.left_out[0].attempts == ("5-weak",)
    assert replayed(record, memory) == []
    again = run([], memory)
    assert again.left_out == record.left_out, "a finished move is taken as it stands"


class Runs(Says):
    """A verifier that ran one test."""

    def verify(self, outcome, peers, instance, context):
        said = super().verify(outcome, peers, instance, context)
        after = "passed" if "same" in outcome.candidate.patch else "failed"
        tests = {"t::x": ["passed", after]}
        evidence = {"is": said.outcome, "tests": tests}
        return Verdict(candidate=said.candidate, verifier="repo-tests", outcome=said.outcome,
                       evidence=evidence)  # fmt: skip


def test_a_flipped_cell_of_the_matrix_is_named():
    memory = ListMemory()
    record = run([SAME, OTHER, SAME, SAME], memory, verifiers=[("repo-tests", Runs())])
    assert record.matrix is not None
    assert {result for row in record.matrix.results.values() for result in row.values()} == {
        "passed",
        "failed",
    }
    means = {"verifiers": {"repo-tests": Runs()}}
    assert replayed(record, memory, **means) == []
    digest = next(iter(record.matrix.results))
    flipped = {**record.matrix.results, digest: {"t::x": "failed"}}
    changed = record.matrix.model_copy(update={"results": flipped})
    said = replayed(record.model_copy(update={"matrix": changed}), memory, **means)
    assert said == [f"matrix: t::x on patch {digest[:12]}: failed -> passed"]
    gone = replayed(record.model_copy(update={"matrix": None}), memory, **means)
    assert gone == ["matrix: False -> True"]


class Late(Runs):
    """A ``reproduction`` whose last candidate brings a test, and during which the user stops."""

    shares_tests = True
    cells = staticmethod(issue_test_counts.cells)

    def __init__(self, stop):
        self.stop, self.asked = stop, []

    def verify(self, outcome, peers, instance, context):
        self.asked.append(outcome.attempt.id)
        if context.writer is None and peers[-1:] and peers[-1].attempt.id > outcome.attempt.id:
            self.stop.append(1)
        left = [a for a in (outcome.attempt.id, *(p.attempt.id for p in peers)) if a == "3-weak"]
        tests = {
            by: {"source": "harvested", "by": by, "digest": by, "base": "failed", "after": "passed"}
            for by in left
        }
        return Verdict(candidate=outcome.candidate.digest, verifier="reproduction",
                       outcome="unknown", evidence={"is": "unknown", "tests": tests})  # fmt: skip


def test_a_stop_while_candidates_are_compared_leaves_the_comparison_owed():
    memory, stop, patches = ListMemory(), [], [SAME, OTHER, RIGHT.format("third")]
    late = Late(stop)
    parts = {"verifiers": [("reproduction", late), ("says", Says())], "early_stop": False}
    plans = [plan("weak").model_copy(update={"seed": n}) for n in range(3)]
    policy = Several(plans)

    def solved(stopping):
        left = iter(patches)
        made = context(memory, selector=Majority(), snapshot=lambda sandbox: Exact(next(left)),
                     stopping=stopping, **parts)  # fmt: skip
        return solve(INSTANCE, FEATURES, policy=policy, context=made, run_name="test")

    with pytest.raises(Interrupted):
        solved(lambda: bool(stop))
    stop.clear()
    record = solved(lambda: False)
    assert record.matrix is not None
    assert {run.test for run in record.matrix.runs} == {"harvested:3-weak"}
    assert len(record.matrix.runs) == 2, "run on both earlier candidates"
    assert len(record.outcomes) == 3
