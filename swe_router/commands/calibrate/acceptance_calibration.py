"""``calibrate``: the user's own graded verdicts to the file that ``verify.calibration`` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swe_router import recorded_verdicts
from swe_router.commands.grade.pending_grades import patch_of, resolved
from swe_router.commands.report.graded_verdicts import BLANK
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import calibration, fit, selective_threshold, verdict_signals
from swe_router.estimates.acceptance.calibration import Calibration
from swe_router.estimates.acceptance.fit import VerdictRow
from swe_router.integrity.locate import find_run
from swe_router.journal.header import of_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.jsonl import write_whole
from swe_router.outcomes.tables import labels
from swe_router.reports.calibration_tables import acceptance_view
from swe_router.stats import rates
from swe_router.verifiers.signals import authors

MIN_PATCHES = 20
"""Graded patches under which nothing is fitted."""
MIN_OF_A_KIND = 5
"""Instances with a right patch, and with a wrong one, under which nothing is fitted."""
UNGRADED = "patches without an official result (`swe-router grade RUN`)"
UNLABELLED = "rows without a label"
UNSEEN = "rows of blank patches, or without a verdict"
"""They are refused without any verifier; counting them would lower the bound on false accepts."""
AGAIN = "patches that an attempt on the same instance left before"


@dataclass(frozen=True)
class CalibrateRequest:
    """The options of ``calibrate``."""

    out: Path
    runs: Sequence[str] = ()
    runs_in: Path = Path("runs")
    verdicts: Sequence[Path] = ()
    """Files of rows that ``verify`` wrote."""
    labels: Sequence[Path] = ()
    false_accepts: float = 0.28
    confidence: float = 0.95


def calibrate(request: CalibrateRequest) -> CommandResult:
    """Fit weights and thresholds and write them.

    Raises ``UsageError``: nothing to fit on, too few graded patches, files that do not serve.
    """
    for name, value in (
        ("false-accepts", request.false_accepts),
        ("confidence", request.confidence),
    ):
        if not 0 < value < 1:
            raise UsageError(f"--{name} {value:g}: a share between 0 and 1")
    if not request.out.name or request.out.is_dir():
        raise UsageError(f"--out {request.out} is a folder: name the file to write")
    left: Counter[str] = Counter()
    base = calibration.load_calibration(calibration.SHIPPED)
    rows = [_of_today(row, base) for row in _rows(request, left)]
    _check_enough(rows, left)
    sources = [*request.runs, *(path.name for path in request.verdicts)]
    made = fit.fit_calibration(rows, base, name=request.out.stem or "own", sources=sources)
    try:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(request.out, made.dump())
    except OSError as error:
        raise UsageError(f"cannot write {request.out}: {error.strerror or error}") from None
    recordings = any(of_run(find_run(name, request.runs_in)).recordings for name in request.runs)
    facts = {**_facts(made, rows, request, left), "recordings": recordings}
    return CommandResult(facts=facts, view=acceptance_view(facts))


def _rows(request: CalibrateRequest, left: Counter[str]) -> Iterator[VerdictRow]:
    if not request.runs and not request.verdicts:
        raise UsageError("name graded runs, or --verdicts FILE --labels FILE")
    if bool(request.verdicts) != bool(request.labels):
        raise UsageError(
            "--verdicts and --labels go together: the verdicts, and which patches were right"
        )
    seen: set[tuple[str, str, str]] = set()
    for name in dict.fromkeys(request.runs):
        yield from _of_run(find_run(name, request.runs_in), left, seen)
    if request.verdicts:
        yield from _of_files(request, left)


def _of_run(
    run: RunFolder, left: Counter[str], seen: set[tuple[str, str, str]]
) -> Iterator[VerdictRow]:
    """One row per distinct patch of an instance, in the order of the attempts.

    ``seen`` holds (run, instance id, patch) of earlier rows: the copy of a run adds none.
    """
    graded = run.grades_by_patch()
    for record in run.records().values():
        log = InstanceLog(run.attempt_folder(record.instance.id))
        for outcome in record.outcomes:
            if not patch_of(outcome).strip() or not outcome.verdicts:
                continue
            right = resolved(graded, record.instance.id, outcome)
            key = (record.run, record.instance.id, patch_of(outcome))
            if right is None:
                left[UNGRADED] += 1
            elif key in seen:
                left[AGAIN] += 1
            else:
                seen.add(key)
                author = authors.author_names(outcome, log.steps(outcome.attempt.id))
                instance = record.instance
                yield VerdictRow(instance.id, instance.repo, author, right, outcome.verdicts)


def _of_files(request: CalibrateRequest, left: Counter[str]) -> Iterator[VerdictRow]:
    known = labels.read_labels(request.labels)
    for _, where, key, line in labels.verify_rows(request.verdicts):
        if line.get("patch") == BLANK or line.get("verdicts") == []:
            left[UNSEEN] += 1
            continue
        right = known.get(key)
        if right is None:
            left[UNLABELLED] += 1
            continue
        try:
            yield fit.verdict_row(line, right)
        except (KeyError, UsageError) as error:
            raise UsageError(f"{where} is no row of `verify --json`: {error}") from None


def _of_today(row: VerdictRow, base: Calibration | None) -> VerdictRow:
    """Opinions as the shipped fit gives them: the new file carries that fit."""
    if base is None:
        return row
    made = (recorded_verdicts.rescored(one, row.author, row.repo, base) for one in row.verdicts)
    return row._replace(verdicts=tuple(made))


def _check_enough(rows: Sequence[VerdictRow], left: Mapping[str, int]) -> None:
    """Raise ``UsageError`` with the counts, where there are too few rows."""
    right = len({row.instance for row in rows if row.right})
    wrong = len({row.instance for row in rows if not row.right})
    if len(rows) >= MIN_PATCHES and min(right, wrong) >= MIN_OF_A_KIND:
        return
    rest = "".join(f"; {n} {why}" for why, n in left.items())
    raise UsageError(
        f"too few to fit on: {len(rows)} graded patches, right ones of {right} instances, wrong"
        f" ones of {wrong}; needed are {MIN_PATCHES} patches, of {MIN_OF_A_KIND} instances"
        f" each{rest}"
    )


def _facts(
    made: Calibration,
    rows: Sequence[VerdictRow],
    request: CalibrateRequest,
    left: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "out": str(request.out),
        "digest": made.digest,
        "rows": len(rows),
        "right": sum(row.right for row in rows),
        "instances": len({row.instance for row in rows}),
        "repositories": len({row.repo for row in rows}),
        "left_out": dict(left),
        "false_accepts": request.false_accepts,
        "confidence": request.confidence,
        "new_signals": made.new_signals(),
        "absent_verifiers": _absent_verifiers(rows),
        "classes": {name: _class(made, name, request) for name in verdict_signals.CLASSES},
    }


def _absent_verifiers(rows: Sequence[VerdictRow]) -> dict[str, int]:
    """Name -> verdicts, of verifiers that cannot be asked for the signals of their verdicts."""
    names = Counter(one.verifier for row in rows for one in row.verdicts)
    absent = (name for name in sorted(names) if recorded_verdicts.verifier_named(name) is None)
    return {name: names[name] for name in absent}


def _class(made: Calibration, name: str, request: CalibrateRequest) -> dict[str, Any]:
    """Threshold, claim and what the held-out scores of a class of authors reach."""
    held = [h for h in made.held_out if h.author == name]
    bar = made.threshold(name, request.false_accepts, request.confidence)
    right, wrong = ([h for h in held if h.right is truth] for truth in (True, False))
    accepts = selective_threshold.nested_accept_counts(
        held, request.false_accepts, request.confidence
    )
    scores = np.array([h.score for h in held], dtype=float)
    truth = np.array([h.right for h in held], dtype=float)
    value = rates.auc(scores, truth)
    low, high = rates.auc_interval(scores, truth, [h.instance for h in held])
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
