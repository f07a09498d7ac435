"""``calibrate``: the user's own graded verdicts to the file that ``verify.calibration`` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swe_router import recorded_verdicts
from swe_router.commands.grade.pending_grades import attempt_patch, is_resolved
from swe_router.commands.report.graded_verdicts import BLANK_PATCH_DIGEST
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import calibration, fit, selective_threshold, verdict_signals
from swe_router.estimates.acceptance.calibration import Calibration
from swe_router.estimates.acceptance.fit import VerdictRow
from swe_router.integrity.locate import find_run
from swe_router.journal.header import header_of_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.jsonl import write_whole
from swe_router.outcomes.tables import labels
from swe_router.reports.calibration_tables import acceptance_view
from swe_router.stats import rates
from swe_router.verifiers.signals import authors

MIN_PATCHES = 20
"""Graded patches under which nothing is fitted."""
MIN_INSTANCES_PER_LABEL = 5
"""Instances with a right patch, and with a wrong one, under which nothing is fitted."""
UNGRADED_PATCHES = "patches without an official result (`swe-router grade RUN`)"
UNLABELLED_ROWS = "rows without a label"
UNUSABLE_ROWS = "rows of blank patches, or without a verdict"
"""They are refused without any verifier; counting them would lower the bound on false accepts."""
REPEATED_PATCHES = "patches that an attempt on the same instance left before"


@dataclass(frozen=True)
class CalibrateRequest:
    """The options of ``calibrate``."""

    output_file: Path
    runs: Sequence[str] = ()
    runs_in: Path = Path("runs")
    verdict_files: Sequence[Path] = ()
    """Files of rows that ``verify`` wrote."""
    label_files: Sequence[Path] = ()
    max_false_accept_rate: float = 0.28
    confidence: float = 0.95


def calibrate(request: CalibrateRequest) -> CommandResult:
    """Fit weights and thresholds and write them.

    Raises ``UsageError``: nothing to fit on, too few graded patches, files that do not serve.
    """
    for name, value in (
        ("false-accepts", request.max_false_accept_rate),
        ("confidence", request.confidence),
    ):
        if not 0 < value < 1:
            raise UsageError(f"--{name} {value:g}: a share between 0 and 1")
    if not request.output_file.name or request.output_file.is_dir():
        raise UsageError(f"--out {request.output_file} is a folder: name the file to write")
    left: Counter[str] = Counter()
    base = calibration.load_calibration(calibration.SHIPPED)
    rows = [_with_shipped_opinions(row, base) for row in _training_rows(request, left)]
    _require_enough_rows(rows, left)
    sources = [*request.runs, *(path.name for path in request.verdict_files)]
    made = fit.fit_calibration(rows, base, name=request.output_file.stem or "own", sources=sources)
    try:
        request.output_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(request.output_file, made.dump())
    except OSError as error:
        raise UsageError(f"cannot write {request.output_file}: {error.strerror or error}") from None
    recordings = any(
        header_of_run(find_run(name, request.runs_in)).recordings for name in request.runs
    )
    facts = {**_calibration_facts(made, rows, request, left), "recordings": recordings}
    return CommandResult(facts=facts, view=acceptance_view(facts))


def _training_rows(request: CalibrateRequest, skipped_counts: Counter[str]) -> Iterator[VerdictRow]:
    if not request.runs and not request.verdict_files:
        raise UsageError("name graded runs, or --verdicts FILE --labels FILE")
    if bool(request.verdict_files) != bool(request.label_files):
        raise UsageError(
            "--verdicts and --labels go together: the verdicts, and which patches were right"
        )
    seen: set[tuple[str, str, str]] = set()
    for name in dict.fromkeys(request.runs):
        yield from _rows_of_run(find_run(name, request.runs_in), skipped_counts, seen)
    if request.verdict_files:
        yield from _rows_of_files(request, skipped_counts)


def _rows_of_run(
    run: RunFolder, skipped_counts: Counter[str], seen_patches: set[tuple[str, str, str]]
) -> Iterator[VerdictRow]:
    """One row per distinct patch of an instance, in the order of the attempts.

    ``seen_patches`` holds (run, instance id, patch) of earlier rows: the copy of a run adds none.
    """
    graded = run.grades_by_patch()
    for record in run.records().values():
        log = InstanceLog(run.attempt_folder(record.instance.id))
        for outcome in record.outcomes:
            if not attempt_patch(outcome).strip() or not outcome.verdicts:
                continue
            right = is_resolved(graded, record.instance.id, outcome)
            key = (record.run, record.instance.id, attempt_patch(outcome))
            if right is None:
                skipped_counts[UNGRADED_PATCHES] += 1
            elif key in seen_patches:
                skipped_counts[REPEATED_PATCHES] += 1
            else:
                seen_patches.add(key)
                author = authors.author_names(outcome, log.steps(outcome.attempt.id))
                instance = record.instance
                yield VerdictRow(instance.id, instance.repo, author, right, outcome.verdicts)


def _rows_of_files(request: CalibrateRequest, skipped_counts: Counter[str]) -> Iterator[VerdictRow]:
    known = labels.read_labels(request.label_files)
    for _, where, key, line in labels.verify_rows(request.verdict_files):
        if line.get("patch") == BLANK_PATCH_DIGEST or line.get("verdicts") == []:
            skipped_counts[UNUSABLE_ROWS] += 1
            continue
        right = known.get(key)
        if right is None:
            skipped_counts[UNLABELLED_ROWS] += 1
            continue
        try:
            yield fit.verdict_row(line, right)
        except (KeyError, UsageError) as error:
            raise UsageError(f"{where} is no row of `verify --json`: {error}") from None


def _with_shipped_opinions(row: VerdictRow, shipped: Calibration | None) -> VerdictRow:
    """Opinions as the shipped fit gives them: the new file carries that fit."""
    if shipped is None:
        return row
    made = (
        recorded_verdicts.rescored_verdict(one, row.author, row.repo, shipped)
        for one in row.verdicts
    )
    return row._replace(verdicts=tuple(made))


def _require_enough_rows(rows: Sequence[VerdictRow], skipped_counts: Mapping[str, int]) -> None:
    """Raise ``UsageError`` with the counts, where there are too few rows."""
    right = len({row.instance for row in rows if row.right})
    wrong = len({row.instance for row in rows if not row.right})
    if len(rows) >= MIN_PATCHES and min(right, wrong) >= MIN_INSTANCES_PER_LABEL:
        return
    rest = "".join(f"; {n} {why}" for why, n in skipped_counts.items())
    raise UsageError(
        f"too few to fit on: {len(rows)} graded patches, right ones of {right} instances, wrong"
        f" ones of {wrong}; needed are {MIN_PATCHES} patches, of {MIN_INSTANCES_PER_LABEL}"
        " instances"
        f" each{rest}"
    )


def _calibration_facts(
    calibration: Calibration,
    rows: Sequence[VerdictRow],
    request: CalibrateRequest,
    skipped_counts: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "out": str(request.output_file),
        "digest": calibration.digest,
        "rows": len(rows),
        "right": sum(row.right for row in rows),
        "instances": len({row.instance for row in rows}),
        "repositories": len({row.repo for row in rows}),
        "left_out": dict(skipped_counts),
        "false_accepts": request.max_false_accept_rate,
        "confidence": request.confidence,
        "new_signals": calibration.new_signals(),
        "absent_verifiers": _absent_verifiers(rows),
        "classes": {
            name: _author_class_facts(calibration, name, request)
            for name in verdict_signals.CLASSES
        },
    }


def _absent_verifiers(rows: Sequence[VerdictRow]) -> dict[str, int]:
    """Name -> verdicts, of verifiers that cannot be asked for the signals of their verdicts."""
    names = Counter(one.verifier for row in rows for one in row.verdicts)
    absent = (name for name in sorted(names) if recorded_verdicts.verifier_named(name) is None)
    return {name: names[name] for name in absent}


def _author_class_facts(
    calibration: Calibration, author_class: str, request: CalibrateRequest
) -> dict[str, Any]:
    """Threshold, claim and what the held-out scores of a class of authors reach."""
    held = [h for h in calibration.held_out if h.author == author_class]
    bar = calibration.threshold(author_class, request.max_false_accept_rate, request.confidence)
    right, wrong = ([h for h in held if h.right is truth] for truth in (True, False))
    accepts = selective_threshold.nested_accept_counts(
        held, request.max_false_accept_rate, request.confidence
    )
    scores = np.array([h.score for h in held], dtype=float)
    truth = np.array([h.right for h in held], dtype=float)
    value = rates.auc(scores, truth)
    low, high = rates.auc_interval(scores, truth, [h.instance_id for h in held])
    return {
        "threshold": bar.value,
        "shown": bar.shown,
        "claim": bar.claim,
        "right": len(right),
        "wrong": len(wrong),
        # At thresholds that the other repositories set: the rows that chose one flatter it.
        "true_accepts": accepts[0],
        "false_accepts": accepts[1],
        "auc": None if np.isnan(value) else value,
        "auc_low": None if np.isnan(low) else low,
        "auc_high": None if np.isnan(high) else high,
    }
