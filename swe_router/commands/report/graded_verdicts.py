"""Verdicts joined with the official result on the same patch: of runs, and of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router.commands.grade.pending_grades import GradesByPatch, attempt_patch, is_resolved
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import calibration, fit
from swe_router.grading.predictions import Prediction
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.outcomes.importers.run_folders import verdict_word
from swe_router.outcomes.tables import labels
from swe_router.records import ACCEPTANCE, IMPORTED, JudgedVerdict, Outcome, RunRecord, Verdict
from swe_router.verifiers.signals.authors import maker_of_source

BLANK_PATCH_DIGEST = hashlib.sha256(b"").hexdigest()
STRONGEST_CLASSES = ("strong authors", f"{IMPORTED}, strong authors")
"""Classes in the place of tiers that no other class stands above."""


def judged_verdicts(run: RunFolder, header: Header) -> list[JudgedVerdict]:
    """Every verdict of a run on a patch that is not blank, with its official result if any."""
    graded = run.grades_by_patch()
    return [
        row for record in run.records().values() for row in _joined_verdicts(record, graded, header)
    ]


def _joined_verdicts(
    record: RunRecord, grades: GradesByPatch, header: Header
) -> Iterator[JudgedVerdict]:
    for outcome in record.outcomes:
        patch = attempt_patch(outcome)
        if not patch.strip() or not outcome.verdicts:
            continue
        tier = header.settings.tiers.get(outcome.arm.model)
        common = {
            "run": record.run,
            "instance_id": record.instance.id,
            "repo": record.instance.repo,
            "attempt": outcome.attempt.id,
            "tier": _tier_or_author_class(outcome),
            "author": maker_of_source(outcome.attempt.source)
            or (tier.model if tier is not None else ""),
            "patch": Prediction(instance_id=record.instance.id, patch=patch).digest,
            "resolved": is_resolved(grades, record.instance.id, outcome),
        }
        yield from _one_candidate_verdicts(
            (*outcome.verdicts, *_combined_verdict_if_missing(outcome)), common
        )


def _combined_verdict_if_missing(outcome: Outcome) -> list[Verdict]:
    """The combined verdict on a patch, where it is not the one of ``acceptance``.

    Reports call what decided on a patch ``acceptance``: here it is the verdict of another
    package's combination, else what the verdicts come to by themselves.
    """
    decided = outcome.weighed
    if outcome.candidate is None or (decided is not None and decided.verifier == ACCEPTANCE):
        return []
    return [
        Verdict(
            candidate=outcome.candidate.digest,
            verifier=ACCEPTANCE,
            outcome=verdict_word(outcome) or "unknown",
            score=decided.score if decided is not None else None,
        )
    ]


def judged_verdicts_of_files(
    verdict_files: Sequence[Path], label_files: Sequence[Path]
) -> Iterator[JudgedVerdict]:
    """Rows of ``verify`` joined with labels; by class of their authors in the place of tiers.

    A row without a label has no official result. Raises ``UsageError`` for rows of another form.
    """
    known = labels.read_labels(label_files)
    for path, where, key, line in labels.verify_rows(verdict_files):
        right = known.get(key)
        try:
            row = fit.verdict_row(line, bool(right))
        except (KeyError, UsageError) as error:
            raise UsageError(f"{where} is no row of `verify --json`: {error}") from None
        if line.get("patch") == BLANK_PATCH_DIGEST:
            continue
        common = {
            "run": path.name,
            "instance_id": key[0],
            "repo": row.repo,
            "attempt": key[1],
            "tier": f"{_author_class(row.author, row.verdicts)} authors",
            "author": row.author,
            "patch": str(line.get("patch", "")),
            "resolved": right,
        }
        yield from _one_candidate_verdicts(
            (*row.verdicts, *_combined_row_verdict_if_missing(line, row.verdicts)), common
        )


def _combined_row_verdict_if_missing(
    line: Mapping[str, Any], verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """The combined verdict of a row, where no verifier ``acceptance`` ran."""
    if any(one.verifier == ACCEPTANCE for one in verdicts) or not verdicts:
        return []
    row = {"candidate": "", "verifier": ACCEPTANCE, "outcome": line.get("outcome", "unknown")}
    return [Verdict.model_validate(row)]


def _one_candidate_verdicts(
    verdicts: Sequence[Verdict], shared_fields: Mapping[str, Any]
) -> Iterator[JudgedVerdict]:
    """One row per verdict; the combination costs what it rests on."""
    whole = {
        "seconds": sum(one.seconds for one in verdicts),
        "usd": sum((one.usd for one in verdicts), start=Decimal(0)),
    }
    for one in verdicts:
        own = {"seconds": one.seconds, "usd": one.usd}
        yield JudgedVerdict(
            verifier=one.verifier,
            outcome=one.outcome,
            score=one.score,
            **(whole if one.verifier == ACCEPTANCE else own),
            **shared_fields,
        )


def _tier_or_author_class(outcome: Outcome) -> str:
    """The arm; imported patches are split by the class of their author."""
    if not outcome.imported:
        return str(outcome.arm)
    kind = _author_class(maker_of_source(outcome.attempt.source), outcome.verdicts)
    return f"{IMPORTED}, {kind} authors"


def _author_class(author: str, verdicts: Sequence[Verdict]) -> str:
    """Weak | strong | unknown: as ``acceptance`` took it, else as the shipped calibration does."""
    for one in verdicts:
        if one.verifier == ACCEPTANCE and one.evidence.get("author"):
            return str(one.evidence["author"])
    shipped = calibration.load_calibration(calibration.SHIPPED)
    return shipped.class_of(author) if shipped is not None else "unknown"
