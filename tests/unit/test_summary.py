"""The closing summary: what was left undone is told with the reason that helps."""

from __future__ import annotations

import io
from decimal import Decimal

from rich.console import Console

from swe_router.records import (
    BudgetView,
    Failure,
    Features,
    Instance,
    Provenance,
    RecordedDecision,
    RunRecord,
    Try,
    Usage,
)
from swe_router.reports.run_summary import RunFacts, RunSpending, unfinished_instances
from swe_router.reports.run_text import record_view
from tests.doubles.project import outcome

MISSING = Failure(
    kind="ImageMissing",
    boundary="sandbox",
    message="image o/n:latest is neither on this engine nor could it be pulled: docker load",
    retry=False,
    counts=False,
)


PURSE = BudgetView(
    budget=Decimal(1), spent=Decimal(0), reserved=Decimal(0), instances_left=1, clock=0
)


def record(failure: Failure | None) -> RunRecord:
    return RunRecord(
        run="r",
        instance=Instance(id="i", repo="o/n", base_commit="c", problem="p"),
        features=Features(instance_id="i"),
        decisions=(),
        outcomes=(outcome("", failure=failure),),
        status="infra" if failure else "budget",
        stop="local broke",
        usage=Usage(),
        usd=Decimal(0),
        seconds=0.0,
        provenance=Provenance(),
    )


def facts(kept: dict[str, RunRecord]) -> RunFacts:
    zero = Decimal(0)
    money = RunSpending(budget=Decimal(1), settled=zero, lost=zero, reserved=zero, by_tier={})
    return RunFacts("r", "demo", "cascade", ("i",), kept, {}, money, ("weak",), 0.0)


def test_an_instance_that_broke_is_named_with_what_the_boundary_said():
    told = unfinished_instances(facts({"i": record(MISSING)}))
    assert told == [("i", f"infra: local broke ({MISSING.message})")]


def test_one_without_money_or_without_record_is_told_plainly():
    assert unfinished_instances(facts({"i": record(None)})) == [("i", "budget: local broke")]
    assert unfinished_instances(facts({})) == [("i", "not concluded: resume the run")]


def test_an_attempt_made_again_is_shown_under_the_decision_that_it_was_made_for():
    tries = [
        Try(plans=(outcome(tier=tier).attempt.plan,), why=f"try {tier}")
        for tier in ("weak", "strong")
    ]
    retried = outcome("diff").model_copy(
        update={"attempt": outcome("diff").attempt.model_copy(update={"id": "1-weak.2"})}
    )
    made = record(MISSING).model_copy(
        update={
            "decisions": tuple(RecordedDecision(decision=one, purse=PURSE) for one in tries),
            "outcomes": (outcome("", failure=MISSING), retried, outcome(tier="strong", number=2)),
        }
    )
    console = Console(width=200, file=io.StringIO())
    console.print(record_view(made, facts({"i": made})))
    said = console.file.getvalue()
    heads = ["decision 1", "attempt 1-weak:", "attempt 1-weak.2:", "decision 2", "attempt 2-strong"]
    assert sorted(heads, key=said.index) == heads
