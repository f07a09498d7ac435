"""Our own runs: one row per attempt with an official grade, and one for the run itself."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from swe_router.outcomes.importers.gathering import NO_VERDICT, Imported
from swe_router.outcomes.tables.table import OutcomeRow
from swe_router.records import (
    IMPORTED,
    Grade,
    Outcome,
    RunRecord,
    Usage,
    VerdictOutcome,
    label_with_phases,
)

BROKEN_ATTEMPT = "broken by its surroundings, says nothing of the tier"
UNGRADED_ATTEMPT = "attempt whose patch was not graded"


def rows_of_run(
    records: Mapping[str, RunRecord],
    grades: Mapping[str, Grade],
    *,
    system: str,
    models: Mapping[str, str],
    priced_on: Mapping[str, datetime.date],
    candidates: Mapping[tuple[str, str], Grade] | None = None,
) -> Imported:
    """The outcomes of a run.

    ``system`` names the run as a whole, ``models`` and ``priced_on`` tell of each tier the
    provider's model id and the day of its rate. ``grades`` are of the patches that are handed in,
    by instance; ``candidates`` of any patch, by instance and SHA-256 of the patch. An attempt
    takes the verdict on its very patch, byte for byte, an empty patch is unresolved by the rules
    of the harness, and any other attempt is left out and counted.
    """
    known = dict(candidates or {})
    known |= {(k, one.patch): one for k, one in grades.items() if one.outcome != "ungraded"}
    seen: Counter[str] = Counter()
    found: list[OutcomeRow] = []
    for record in records.values():
        grade = grades.get(record.instance.id)
        if grade is None or grade.outcome == "ungraded":
            seen[NO_VERDICT] += 1
        else:
            found.append(_row_of_record(record, grade, system, priced_on))
        found += _rows_of_attempts(record, known, models, priced_on, seen)
    return Imported(tuple(found), seen)


def verdict_word(outcome: Outcome) -> VerdictOutcome | Literal[""]:
    """The verifiers' verdicts on an attempt in one word; empty when none was asked."""
    if not outcome.verdicts:
        return ""
    if outcome.accepted:
        return "pass"
    return "fail" if any(one.outcome == "fail" for one in outcome.verdicts) else "unknown"


def _row_of_record(
    record: RunRecord, grade: Grade, system: str, priced_on: Mapping[str, datetime.date]
) -> OutcomeRow:
    chosen = [one for one in record.outcomes if one.attempt.id == record.chosen]
    made = [one for one in record.outcomes if one.arm.model != IMPORTED]
    days = {priced_on.get(one.arm.model) for one in made}
    row = OutcomeRow(
        instance_id=record.instance.id,
        system=system,
        resolved=grade.outcome == "resolved",
        usd=float(record.whole_usd),
        steps=sum(one.attempt.trajectory.steps for one in made),
        seconds=record.seconds,
        verdict=verdict_word(chosen[0]) if chosen else "",
        probability=chosen[0].probability if chosen else None,
        price_date=str(day) if len(days) == 1 and (day := days.pop()) else "",
    )
    return _with_tokens(row, record.usage + _verifier_usage(record))


def _verifier_usage(record: RunRecord) -> Usage:
    """Tokens of the verifiers' own calls: of the run, of no arm's."""
    verdicts = [one for outcome in record.outcomes for one in outcome.verdicts]
    calls = [call for one in verdicts for call in one.evidence.get("calls", ())]
    usages = (Usage.model_validate(call["usage"]) for call in calls if "usage" in call)
    return sum(usages, Usage())


def _rows_of_attempts(
    record: RunRecord,
    known: Mapping[tuple[str, str], Grade],
    models: Mapping[str, str],
    priced_on: Mapping[str, datetime.date],
    seen: Counter[str],
) -> Iterator[OutcomeRow]:
    nth: Counter[str] = Counter()
    for outcome in record.outcomes:
        resolved = _is_resolved(record.instance.id, outcome, known)
        failure = outcome.attempt.failure
        if failure is not None and not failure.counts and not _patch_of(outcome):
            seen[BROKEN_ATTEMPT] += 1
            continue
        if resolved is None:
            seen[UNGRADED_ATTEMPT] += 1
            continue
        arm, path = _system_name(outcome), outcome.attempt.trajectory
        nth[arm] += 1
        row = OutcomeRow(
            instance_id=record.instance.id,
            system=arm,
            resolved=resolved,
            run=str(nth[arm]),
            # Of several models none is the row's: its tokens have no one price.
            model="" if path.tiers else models.get(outcome.arm.model, ""),
            # Of one that was made elsewhere only its trajectory tells what it cost.
            usd=float(path.usd) if path.usd or arm != IMPORTED else None,
            steps=path.steps,
            seconds=outcome.attempt.seconds,
            verdict=verdict_word(outcome),
            probability=outcome.probability,
            price_date=str(priced_on.get(outcome.arm.model, "")),
        )
        yield _with_tokens(row, path.usage)


def _system_name(outcome: Outcome) -> str:
    """The arm; with ``+notes`` or ``+continue`` where it began with another's work.

    With ``+TIER:ROLE`` where another tier planned, advised or could finish. Such a run is no repeat
    of the arm by itself.
    """
    plan = outcome.attempt.plan
    name = label_with_phases(plan.arm, plan.phases)
    return name if plan.handover == "fresh" else f"{name}+{plan.handover}"


def _patch_of(outcome: Outcome) -> str:
    return outcome.candidate.patch if outcome.candidate is not None else ""


def _is_resolved(
    instance_id: str, outcome: Outcome, known: Mapping[tuple[str, str], Grade]
) -> bool | None:
    if outcome.candidate is None:
        return None
    if not _patch_of(outcome).strip():
        return False
    grade = known.get((instance_id, outcome.candidate.digest))
    if grade is None or grade.outcome == "ungraded":
        return None
    return grade.outcome == "resolved"


def _with_tokens(row: OutcomeRow, usage: Usage) -> OutcomeRow:
    """With the tokens of a usage; one that was never reported stays missing."""
    if not usage.prompt_tokens and not usage.output_tokens:
        return row
    return replace(
        row,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
