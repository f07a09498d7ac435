"""Which patches of a run have no official verdict yet: those handed in, and all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swe_router.grading.predictions import Prediction
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Grade, Outcome, RunRecord

GradesByPatch = Mapping[tuple[str, str], Grade]
"""Instance id and SHA-256 of a patch -> the verdict on it."""


@dataclass
class PendingGrades:
    """What is still to be graded, and what need only be written down."""

    submitted: list[Prediction] = field(default_factory=list)
    candidates: list[Prediction] = field(default_factory=list)
    reused_grades: list[Grade] = field(default_factory=list)
    """Verdicts on patches that are handed in now and were candidates when they were graded."""


def pending_grades(
    run: RunFolder, submitted: list[Prediction], *, grade_all_candidates: bool
) -> PendingGrades:
    """What a run's patches lack; one task per distinct patch, none for a blank candidate.

    ``submitted`` are the predictions of concluded instances; with ``grade_all_candidates`` every
    other patch that an attempt on them left is wanted as well.
    """
    graded, last = run.grades_by_patch(), run.grades()
    out = PendingGrades()
    taken: set[tuple[str, str]] = set()
    for one in submitted:
        key = (one.instance_id, one.digest)
        taken.add(key)
        grade = last.get(one.instance_id)
        if grade is not None and grade.outcome != "ungraded" and grade.patch == one.digest:
            continue
        before = graded.get(key)
        if before is not None and before.outcome != "ungraded":
            out.reused_grades.append(before)
        else:
            out.submitted.append(one)
    if grade_all_candidates:
        for one in _candidate_predictions(run.records()):
            key = (one.instance_id, one.digest)
            done = graded.get(key)
            if key not in taken and (done is None or done.outcome == "ungraded"):
                out.candidates.append(one)
            taken.add(key)
    return out


def has_ungraded_candidate(run: RunFolder) -> bool:
    """Some candidate was never shown to a grader (one that it could not grade, was)."""
    graded = run.grades_by_patch()
    return any(
        (one.instance_id, one.digest) not in graded for one in _candidate_predictions(run.records())
    )


def _candidate_predictions(records: Mapping[str, RunRecord]) -> list[Prediction]:
    """Every patch that is not blank, in the order of the records; repeats included."""
    return [
        Prediction(instance_id=record.instance.id, patch=patch)
        for record in records.values()
        for outcome in record.outcomes
        if (patch := attempt_patch(outcome)).strip()
    ]


def attempt_patch(outcome: Outcome) -> str:
    """The patch that an attempt left, or the empty text."""
    return outcome.candidate.patch if outcome.candidate is not None else ""


def is_resolved(grades: GradesByPatch, instance_id: str, outcome: Outcome) -> bool | None:
    """The official result on what an attempt left; None where there is none.

    A blank patch is not resolved by the rules of the harness, which runs nothing for it.
    """
    if outcome.candidate is None:
        return None
    patch = attempt_patch(outcome)
    if not patch.strip():
        return False
    digest = Prediction(instance_id=instance_id, patch=patch).digest
    grade = grades.get((instance_id, digest))
    if grade is None or grade.outcome == "ungraded":
        return None
    return grade.outcome == "resolved"
