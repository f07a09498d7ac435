"""Fits a ``Calibration`` on graded verdicts: few rows, strong priors, held out by repository."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from swe_router import recorded_verdicts
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import verdict_signals
from swe_router.estimates.acceptance.calibration import (
    AuthorClass,
    Calibration,
    SignalWeights,
    load_calibration,
    parse_calibration,
)
from swe_router.estimates.acceptance.recalibration import fit_recalibration, recalibrate
from swe_router.estimates.acceptance.selective_threshold import HeldOutPatch
from swe_router.lazy_imports import deferred_module
from swe_router.records import Verdict
from swe_router.stats import logistic
from swe_router.stats.logistic import SignedPrior

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred_module("numpy")

MIN_RUNS = 10
"""Graded patches of an author from which its own share of right ones tells its class."""
MIN_JUDGED = 20
"""Graded patches with a judge's opinion from which its probabilities are scaled."""
STRONG_FROM = 0.6
"""Share of right patches from which an author is strong."""


class VerdictRow(NamedTuple):
    """A graded patch with its verdicts."""

    instance: str
    repo: str
    author: str
    """Name of the model, system or tier that made it."""
    right: bool
    verdicts: tuple[Verdict, ...]


def verdict_row(line: Mapping[str, Any], right: bool, repo: str = "") -> VerdictRow:
    """A row of what ``swe-router verify --json`` prints, with its official result.

    The repository of an instance ``owner__name-1`` is ``owner/name`` unless given. Raises
    ``UsageError`` for a line that is no such row.
    """
    try:
        instance = str(line["instance_id"])
        verdicts = tuple(
            Verdict.model_validate({"candidate": str(line.get("candidate", "")), **one})
            for one in line["verdicts"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"no row of verdicts: {str(error).splitlines()[0]}") from None
    named = repo or instance.rpartition("-")[0].replace("__", "/", 1)
    author = str(line.get("made_by") or line.get("model_name_or_path") or "")
    return VerdictRow(instance, named, author, right, verdicts)


def fit_calibration(
    rows: Sequence[VerdictRow], base: Calibration | None = None, name: str = "own", **card: Any
) -> Calibration:
    """A calibration on graded rows.

    ``base`` lends its behaviour fits and the authors that it knows. An author that none knows is
    classed by its own rows where there are ``MIN_RUNS``. Without rows the weights are the
    priors, and so is the fit that leaves the only repository out.
    """
    rows = sorted(rows, key=_row_order)
    authors = _author_classes(rows, base.authors if base else {})
    classes = [verdict_signals.class_of(row.author, authors) for row in rows]
    signals = [verdict_signals.signals(row.verdicts, row.author) for row in rows]
    repos = sorted({row.repo for row in rows})
    acceptance: dict[str, dict[str, SignalWeights]] = {}
    for author in verdict_signals.CLASSES:
        mine = [author in (verdict_signals.UNKNOWN, one) for one in classes]
        acceptance[author] = {"": _fit_weights(rows, signals, mine, author)}
        for repo in repos:
            rest = [m and row.repo != repo for m, row in zip(mine, rows, strict=True)]
            acceptance[author][repo.lower()] = _fit_weights(rows, signals, rest, author)
    first = _held_out_scores(rows, signals, classes, acceptance)
    tempers: dict[str, list[float]] = {}
    for author, fits in acceptance.items():
        own = [author in (verdict_signals.UNKNOWN, one) for one in classes]
        seen = {name for found, mine in zip(signals, own, strict=True) if mine for name in found}
        # Of all repositories: two numbers, which move no patch before another (refused ones aside).
        by = fit_recalibration([one for one in first if one.author == author])
        tempers[author] = list(by)
        acceptance[author] = {repo: recalibrate(one, by, seen) for repo, one in fits.items()}
    held = _held_out_scores(rows, signals, classes, acceptance)
    return Calibration(
        name=name,
        card={**_training_card(rows, classes, signals), "tempered_by": tempers, **card},
        authors=authors,
        priced=base.priced if base else (),
        behaviour=base.behaviour if base else {},
        judge=_fit_judge(rows, signals) or (base.judge if base else None),
        acceptance=acceptance,
        held_out=tuple(held),
        ungrounded=_ungrounded(rows, classes),
    )


def _held_out_scores(
    rows: Sequence[VerdictRow],
    signals: Sequence[Mapping[str, float]],
    classes: Sequence[str],
    acceptance: Mapping[str, Mapping[str, SignalWeights]],
) -> list[HeldOutPatch]:
    """Each patch that something ran on, scored by the fit without its repository."""
    return [
        HeldOutPatch(
            acceptance[author][row.repo.lower()].probability(found),
            row.right,
            row.instance,
            row.repo,
            author,
        )
        for row, found, own in zip(rows, signals, classes, strict=True)
        # Each stands once for its class and once as a patch of an author that is not known.
        for author in sorted({own, verdict_signals.UNKNOWN})
        if verdict_signals.grounded(row.verdicts, row.author)
    ]


def _ungrounded(rows: Sequence[VerdictRow], classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Instances of the patches that only a run could have judged and on which nothing ran.

    As in ``held_out``, each stands for its class and once as a patch of an unknown author.
    """
    bare = [(row.instance, own) for row, own in zip(rows, classes, strict=True)
            if not verdict_signals.grounded(row.verdicts, row.author)
            and not any(_refused_by_text(one) for one in row.verdicts)]  # fmt: skip
    return {author: tuple(name for name, own in bare if author in (verdict_signals.UNKNOWN, own))
            for author in verdict_signals.CLASSES}  # fmt: skip


def _refused_by_text(verdict: Verdict) -> bool:
    """The patch was refused for its text: no sandbox was needed to know."""
    return recorded_verdicts.summary_of(verdict).refused_by_text


def _row_order(row: VerdictRow) -> tuple[str, str, bool, str]:
    """Sums depend on the order of their parts in the last digit: rows have one order."""
    found = verdict_signals.signals(row.verdicts, row.author)
    return row.instance, row.author, row.right, str(sorted(found.items()))


def _fit_weights(
    rows: Sequence[VerdictRow],
    signals: Sequence[Mapping[str, float]],
    kept: Sequence[bool],
    author: str,
) -> SignalWeights:
    signs = verdict_signals.signs(author, verdict_signals.new_names(signals))
    # Five runs over one issue are no five witnesses: an issue's patches share its weight.
    of_issue = Counter(row.instance for row, keep in zip(rows, kept, strict=True) if keep)
    x = np.array(
        [[s.get(sign.name, 0.0) for sign in signs] for s, keep in zip(signals, kept, strict=True)
         if keep], dtype=float,
    ).reshape(-1, len(signs))  # fmt: skip
    mine = [row for row, keep in zip(rows, kept, strict=True) if keep]
    right = np.array([row.right for row in mine], dtype=float)
    weight = np.array([of_issue[row.instance] ** -0.5 for row in mine], dtype=float)
    bias, weights = logistic.fit_logistic(x, right, weight, signs, verdict_signals.BIAS[author])
    named = {sign.name: round(float(w), 4) for sign, w in zip(signs, weights, strict=True)}
    return SignalWeights(bias=round(bias, 4), weights=named)


def _fit_judge(
    rows: Sequence[VerdictRow], signals: Sequence[Mapping[str, float]]
) -> tuple[float, float] | None:
    """Platt's bias and slope; None with fewer than ``MIN_JUDGED`` judged patches."""
    judged = [(found["judge"], row.right) for row, found in zip(rows, signals, strict=True)
              if "judge" in found]  # fmt: skip
    if len(judged) < MIN_JUDGED:
        return None
    x, right = np.array([[odds] for odds, _ in judged]), np.array([float(r) for _, r in judged])
    bias, slope = logistic.fit_logistic(
        x, right, np.ones(len(judged)), [SignedPrior("judge", +1, 1.0)]
    )
    return round(bias, 4), round(float(slope[0]), 4)


def _author_classes(
    rows: Sequence[VerdictRow], known: Mapping[str, AuthorClass]
) -> dict[str, AuthorClass]:
    found = dict(known)
    graded: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row.author and verdict_signals.class_of(row.author, known) == verdict_signals.UNKNOWN:
            graded[row.author.lower()].append(row.right)
    for author, results in sorted(graded.items()):
        if len(results) >= MIN_RUNS:
            share = sum(results) / len(results)
            found[author] = "strong" if share >= STRONG_FROM else "weak"
    return found


def _training_card(
    rows: Sequence[VerdictRow], classes: Sequence[str], signals: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """What the weights rest on: rows, and for each signal how many of them have it."""
    return {
        "rows": len(rows),
        "right": sum(row.right for row in rows),
        "issues": len({row.instance for row in rows}),
        "rows_by_repository": dict(sorted(Counter(row.repo for row in rows).items())),
        "rows_by_author": dict(sorted(Counter(row.author for row in rows).items())),
        "rows_by_class": dict(sorted(Counter(classes).items())),
        "weights": {
            one.name: {
                "rows_with_it": (count := sum(one.name in found for found in signals)),
                "is": "fitted towards its prior" if count else "its prior",
                "prior": {"weak": one.weak, "strong": one.strong},
                "prior_from": one.source,
                "strength": {
                    c: verdict_signals.strength(one.name, c)
                    for c in (verdict_signals.WEAK, verdict_signals.STRONG)
                },
            }
            for one in verdict_signals.PRIORS
        }
        | {
            name: {
                "rows_with_it": sum(name in found for found in signals),
                "is": "fitted towards 0",
                "prior_from": "none: of a verifier that no figure is published of",
            }
            for name in verdict_signals.new_names(signals)
        },
        "bias_priors": dict(verdict_signals.BIAS),
        "cross_validation": "each repository scored by the fit that left it out; the bias and"
        " slope that temper a class are of all its held-out scores and move none before another",
        "priors": "settled with many of these candidates in sight, so held-out scores flatter",
        "seed": "none: nothing is drawn",
    }


__all__ = [
    "Calibration",
    "VerdictRow",
    "fit_calibration",
    "load_calibration",
    "parse_calibration",
    "verdict_row",
]
