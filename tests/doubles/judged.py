"""Made-up verdicts with official results, and a run folder that holds some."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from swe_router import settings
from swe_router.grading.predictions import Prediction
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    Candidate,
    Features,
    Grade,
    Instance,
    JudgedVerdict,
    LeakReport,
    Outcome,
    Plan,
    RunRecord,
    Trajectory,
    Verdict,
)


def row(
    instance: str,
    outcome: str,
    resolved: bool | None,
    *,
    score: float | None = None,
    verifier: str = "acceptance",
    tier: str = "weak",
    attempt: str = "1",
) -> JudgedVerdict:
    return JudgedVerdict(
        run="r", instance_id=instance, attempt=attempt, tier=tier, verifier=verifier,
        outcome=outcome, score=score, seconds=2.0, usd=Decimal("0.25"), patch="p",
        resolved=resolved,
    )  # fmt: skip


def patch(word: str) -> str:
    return f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+{word}\n"


def digest(text: str) -> str:
    return Prediction(instance_id="any", patch=text).digest


def attempt(number: int, tier: str, text: str, *verdicts: Verdict) -> Outcome:
    plan = Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(1)))
    made = Attempt(
        id=f"{number}-{tier}", instance_id="any", plan=plan,
        trajectory=Trajectory(exit="submitted", steps=3, usd=Decimal("0.5")),
        sandbox="docker:sha256:ab", leaks=LeakReport(verified=True),
    )  # fmt: skip
    candidate = Candidate(attempt_id=made.id, patch=text, digest=digest(text))
    said = tuple(one.model_copy(update={"candidate": candidate.digest}) for one in verdicts)
    return Outcome(attempt=made, candidate=candidate, verdicts=said)


def said(verifier: str, outcome: str, score: float | None = None, **evidence: object) -> Verdict:
    return Verdict(
        candidate="",
        verifier=verifier,
        outcome=outcome,
        score=score,
        evidence=evidence,
        seconds=1.0,
    )


def record(instance: str, outcomes: Sequence[Outcome], chosen: str | None) -> RunRecord:
    return RunRecord(
        run="made-up", instance=instance_of(instance), features=Features(instance_id=instance),
        decisions=(), outcomes=tuple(outcomes), chosen=chosen, usd=Decimal("0.5"),
        status="candidate" if chosen else "empty",
    )  # fmt: skip


def instance_of(name: str) -> Instance:
    return Instance(id=name, repo="o/r", base_commit="c", problem="It breaks.")


def grade(instance: str, text: str, outcome: str) -> Grade:
    return Grade(instance_id=instance, outcome=outcome, patch=digest(text))


def folder(base: Path, records: Sequence[RunRecord], split: str = "demo") -> RunFolder:
    """A run of these records under the demo's settings."""
    chosen = settings.load("demo", split=split)
    header = Header(chosen, chosen.digest(), {}, {}, "local", {}, 1.0)
    run = RunFolder.create(base, "made-up", header.as_json(), [one.instance for one in records])
    for one in records:
        run.add_record(one)
    entries = [{"op": "open", "budget": str(chosen.budget)}, *paid(records)]
    run.ledger_file.write_text("".join(json.dumps(one) + "\n" for one in entries))
    return run


def paid(records: Sequence[RunRecord]) -> Iterator[dict[str, str]]:
    """Ledger entries of what the records say was paid."""
    for one in records:
        for outcome in one.outcomes:
            name, usd = f"{one.instance.id}/{outcome.attempt.id}", outcome.attempt.trajectory.usd
            asked = f"{one.instance.id}/verify:{outcome.attempt.id}"
            for key, cost in ((name, usd), (asked, sum(v.usd for v in outcome.verdicts))):
                call = {"id": key, "usd": str(cost)}
                yield {"op": "reserve", **call, "tier": "t", "key": key, "party": "p", "hold": ""}
                yield {"op": "settle", **call}
