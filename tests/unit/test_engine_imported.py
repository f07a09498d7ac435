"""Candidates that an instance came with: taken if accepted, else the policy decides as if fresh."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from swe_router.policies.cascade import Cascade
from swe_router.records import IMPORTED, Trajectory, Usage
from swe_router.replay.record_check import ReplayContext, ReplayCount, check_record
from swe_router.selectors.majority import Majority
from swe_router.solve.engine import solve
from swe_router.solve.imported_outcomes import accepted_import, without_imports
from swe_router.solve.moves import Interrupted
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    ExactPurse,
    First,
    Ladder,
    ListMemory,
    Says,
    context,
    outcome_ids,
    plan,
)
from tests.doubles.project import outcome

TWO = Ladder([plan("local"), plan("cloud")])


def came(patch: str, key: str = "0-imported"):
    made = outcome(patch, tier=IMPORTED)
    path = Trajectory(exit="submitted", steps=9, usd=Decimal(3), usage=Usage(output_tokens=5))
    update = {"id": key, "source": f"preds.json {key}", "trajectory": path}
    attempt = made.attempt.model_copy(update=update)
    candidate = made.candidate.model_copy(update={"attempt_id": key})
    return made.model_copy(update={"attempt": attempt, "candidate": candidate})


def run(bench_, policy=TWO):
    return solve(INSTANCE, FEATURES, policy=policy, context=bench_, run_name="test")


def means(policy):
    return ReplayContext(
        policy=policy,
        selector=First(),
        verifiers={"says": Says()},
        rates={},
        conversation=lambda *_: iter(()),
        steps=lambda instance, attempt: (),
        charged={},
    )


class Watched(Ladder):
    """Notes the history that it was shown."""

    shown: list = []  # noqa: RUF012 (of the class: a policy is frozen)

    def decide(self, features, history, purse):
        Watched.shown.append(outcome_ids(history))
        return super().decide(features, history, purse)


class Refuses(Ladder):
    def decide(self, features, history, purse):
        raise AssertionError("nobody asks")


def test_an_accepted_candidate_ends_the_instance_without_a_decision_or_a_cent():
    record = run(context(imported=[came("right")]), Refuses([]))
    assert outcome_ids(record.outcomes) == ["0-imported"]
    assert (record.chosen, record.status, record.usd) == ("0-imported", "candidate", Decimal(0))
    assert record.usage == Usage()
    assert record.stop == "the candidate it came with was accepted: preds.json 0-imported"
    assert record.patch == "right"


@pytest.mark.parametrize("patch", ["wrong", ""])
def test_a_rejected_candidate_escalates_and_the_policy_decides_as_if_fresh(patch):
    Watched.shown.clear()
    record = run(context(imported=[came(patch)]), Watched([plan("local"), plan("cloud")]))
    assert outcome_ids(record.outcomes) == ["0-imported", "1-local"]
    # Asked once more at the end, with a free purse, whether money was what was lacking.
    assert Watched.shown == [[], ["1-local"], ["1-local"]]
    assert (record.patch, record.usd) == ("right", Decimal("0.02"))
    assert without_imports(record).outcomes == record.outcomes[1:]


@pytest.mark.parametrize(
    ("patch", "value", "made"),
    [("wrong", 0.6, []), ("", 0.5, []), ("wrong", 9, ["1-local"]), ("", None, ["1-local"])],
)
def test_a_rejected_candidate_whose_escalation_is_not_worth_its_price_is_given_up(
    patch, value, made
):
    cascade = Cascade([plan("local")], value=value)
    record = run(context(imported=[came(patch)]), cascade)
    assert outcome_ids(record.outcomes) == ["0-imported", *made]
    assert record.stop.startswith("HOPELESS: imported") == (not made)
    count = ReplayCount()
    check_record(record, means(cascade), count)
    assert [one for one in count.divergences if "decision" in one.where] == []


def test_the_best_of_all_is_handed_in_though_nothing_better_came():
    record = run(context(imported=[came("wrong")], patch=""))
    assert outcome_ids(record.outcomes) == ["0-imported", "1-local", "2-cloud"]
    assert (record.chosen, record.status) == ("0-imported", "candidate")


def test_an_empty_candidate_and_no_money_is_budget_and_not_empty():
    record = run(context(purse=ExactPurse(budget=Decimal("0.5")), imported=[came("")]))
    assert record.status == "budget"


def test_of_several_one_accepted_is_enough_and_is_the_one_that_is_named():
    two = [came("wrong", "0-imported.1"), came("right", "0-imported.2")]
    record = run(context(imported=two), Refuses([]))
    assert record.chosen == "0-imported.2"
    assert record.stop.endswith("preds.json 0-imported.2")
    assert accepted_import(record.outcomes[:1]) is None


class Counts(Says):
    def __init__(self):
        self.looked = 0

    def verify(self, outcome, peers, instance, context):
        self.looked += 1
        return super().verify(outcome, peers, instance, context)


def test_what_was_rejected_is_not_handed_in_for_the_votes_it_has():
    votes = [came("wrong", "0-imported.1"), came("wrong", "0-imported.2")]
    record = run(context(imported=[*votes, came("right", "0-imported.3")], selector=Majority()))
    assert record.stop.startswith("the candidate it came with was accepted")
    assert (record.chosen, record.patch) == ("0-imported.3", "right")


def test_what_is_on_the_tape_is_not_verified_again_after_a_kill():
    class Killed(BaseException):
        pass

    def dies(arm):
        raise Killed

    memory, counts = ListMemory(), Counts()
    parts = context(memory, verifiers=[("says", counts)], imported=[came("wrong")])
    with pytest.raises(Killed):
        run(replace(parts, scaffold_for=dies))
    assert counts.looked == 1
    record = run(parts)
    assert counts.looked == 2, "the imported one once, the new one once"
    assert outcome_ids(record.outcomes) == ["0-imported", "1-local"]


def test_a_stop_while_it_is_verified_leaves_it_owed():
    stopped, memory = [], ListMemory()

    class Stops(Says):
        def verify(self, outcome, peers, instance, context):
            stopped.append(1)
            return super().verify(outcome, peers, instance, context)

    parts = context(memory, verifiers=[("says", Stops())], stopping=lambda: bool(stopped),
                  imported=[came("right")])  # fmt: skip
    with pytest.raises(Interrupted):
        run(parts)
    assert memory.written == []
    assert run(replace(parts, stopping=lambda: False)).chosen == "0-imported"


def test_peers_are_shown_to_verifiers_and_are_no_outcomes():
    seen = []

    class Sees(Says):
        def verify(self, outcome, peers, instance, context):
            seen.append((outcome.attempt.id, outcome_ids(peers)))
            return super().verify(outcome, peers, instance, context)

    parts = context(verifiers=[("says", Sees())], imported=[came("wrong")],
                  foreign_peers=[came("right", "0-peer.1")])  # fmt: skip
    record = run(parts)
    assert seen == [("0-imported", ["0-peer.1"]), ("1-local", ["0-imported", "0-peer.1"])]
    assert outcome_ids(record.outcomes) == ["0-imported", "1-local"]
