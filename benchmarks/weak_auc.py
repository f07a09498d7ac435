"""How well is "the weak tier resolves it" known before anything is spent? Leave-one-repository-out.

Usage: python benchmarks/weak_auc.py --features FEATURES.jsonl --split ROWS.parquet
           --outcomes WEAK.csv.gz [--teachers OTHERS.csv.gz] [--json] MODEL ...

FEATURES comes from `swe-router features`. WEAK holds instance_id, model, resolved; each MODEL is a
part of a model's name in it. Every predictor is scored on a repository by a fit without it.

- own: the features, fitted on the model's own outcomes in the other repositories;
- taught: the same, fitted on the share of other systems (TEACHERS: instance_id, system, resolved)
  that solve the issues of the *other* repositories: less noise, nothing of the scored one;
- length (minus log words), TF-IDF with logistic regression, and the human label `difficulty`,
  whose annotators saw the patch: a diagnostic, no predictor.

AUC is over all issues with a bootstrap interval over issues (and one over repositories), and
`within` counts only pairs of one repository: levels of repositories cannot help or hurt there.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import rankdata
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from swe_router.estimates.complexity import score_fit
from swe_router.estimates.complexity.score import predicted_rate
from swe_router.features.feature_files import read_features
from swe_router.records import Features
from swe_router.records.known_features import require_values

DRAWS, SEED = 2000, 0
NO_PAIRS = "within: no repository has both a solved and an unsolved issue"
LABELS = {"<15 min fix": 0, "15 min - 1 hour": 1, "1-4 hours": 2, ">4 hours": 3}
SOURCES = {
    "text": {"issue"},
    "text+graph": {"issue", "repo"},
    "text+graph+history": {"issue", "repo", "history"},
}


def auc(scores: np.ndarray, solved: np.ndarray) -> float:
    """Chance that a solved issue scores above an unsolved one; NaN where there is one kind."""
    n = int(solved.sum())
    if n in (0, len(solved)):
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[solved].sum() - n * (n + 1) / 2) / (n * (len(solved) - n)))


def within(scores: np.ndarray, solved: np.ndarray, repos: np.ndarray) -> float | None:
    """AUC over pairs of issues of one repository; None where no repository has both kinds."""
    total = pairs = 0.0
    for repo in np.unique(repos):
        here = repos == repo
        found = auc(scores[here], solved[here])
        weight = float(solved[here].sum() * (~solved[here]).sum())
        if weight:
            total, pairs = total + weight * found, pairs + weight
    return total / pairs if pairs else None


def interval(scores: np.ndarray, solved: np.ndarray, draws: Sequence[np.ndarray]) -> list[float]:
    """Percentile interval (95%) over resampled issues."""
    found = [auc(scores[draw], solved[draw]) for draw in draws]
    return [round(float(q), 3) for q in np.nanquantile(found, [0.025, 0.975])]


def resampled(repos: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows of each bootstrap draw: of issues, and of whole repositories."""
    drawn = np.random.default_rng(SEED)
    count, names = len(repos), np.unique(repos)
    places = {name: np.flatnonzero(repos == name) for name in names}
    by_issue = [drawn.integers(0, count, count) for _ in range(DRAWS)]
    by_repo = [
        np.concatenate([places[name] for name in drawn.choice(names, len(names))])
        for _ in range(DRAWS)
    ]
    return by_issue, by_repo


def by_features(known: Sequence[Features], rates: np.ndarray, sources: set[str]) -> np.ndarray:
    """Predicted solve rates from the features of these sources."""
    allowed = {k for one in known for k, source in one.provenance.items() if source in sources}
    signs = [sign for sign in score_fit.WEIGHT_SIGNS if sign.feature in allowed]
    rows = [
        score_fit.OutcomeExample(one.repo, require_values(one), float(rate))
        for one, rate in zip(known, rates, strict=True)
    ]
    fits, _ = score_fit.cross_validate_complexity(rows, signs)
    return np.array([predicted_rate(fits[row.repo.lower()], row.values) for row in rows])


def by_words(texts: Sequence[str], solved: np.ndarray, repos: np.ndarray) -> np.ndarray:
    """TF-IDF of one and two words, logistic regression."""
    out = np.zeros(len(texts))
    for repo in np.unique(repos):
        here = repos == repo
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=20000),
            LogisticRegression(max_iter=1000),
        )
        model.fit([t for t, held in zip(texts, here, strict=True) if not held], solved[~here])
        held_out = [t for t, held in zip(texts, here, strict=True) if held]
        out[here] = model.predict_proba(held_out)[:, 1]
    return out


def outcomes(path: Path, column: str) -> list[tuple[str, str, bool]]:
    """(instance, ``column``, resolved) of a CSV."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows = csv.DictReader(text.splitlines())
    return [(row["instance_id"], row[column], float(row["resolved"]) > 0) for row in rows]


def named(part: str, models: set[str]) -> str:
    """The one model whose name holds ``part``."""
    found = sorted(model for model in models if part.lower() in model.lower())
    exact = [model for model in found if model.lower().startswith(f"{part.lower()} (")]
    if len(exact or found) != 1:
        raise SystemExit(f"{part!r} names {found or 'no model'}: there is {sorted(models)}")
    return (exact or found)[0]


def predictors(
    known: Sequence[Features],
    texts: Sequence[str],
    labels: Sequence[str],
    taught: Mapping[str, float],
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """What scores every issue, given the outcomes of one model."""
    repos = np.array([one.repo for one in known])
    shares = np.array([taught.get(one.instance_id, np.nan) for one in known])
    fixed = {"length": -np.array([require_values(one)["log_words"] for one in known])}
    if not np.isnan(shares).any():
        fixed |= {f"taught: {n}": by_features(known, shares, s) for n, s in SOURCES.items()}
    fixed["shipped complexity"] = -np.array([require_values(one)["complexity"] for one in known])
    if any(labels):
        fixed["human label (diagnostic)"] = -np.array([LABELS.get(x, 1) for x in labels], float)

    def scores(solved: np.ndarray) -> dict[str, np.ndarray]:
        own = {f"own: {n}": by_features(known, solved, s) for n, s in SOURCES.items()}
        return {**own, **fixed, "TF-IDF LR": by_words(texts, solved, repos)}

    return scores


def main() -> None:
    """Print a line for every model and predictor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    for name in ("--features", "--split", "--outcomes"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--teachers", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    args = parser.parse_args()
    table = {row["instance_id"]: row for row in pq.read_table(args.split).to_pylist()}
    runs = outcomes(args.outcomes, "model")
    known = [one for one in read_features(args.features) if one.instance_id in table]
    repos = np.array([one.repo for one in known])
    texts = [table[one.instance_id]["problem_statement"] for one in known]
    labels = [table[one.instance_id].get("difficulty") or "" for one in known]
    taught = score_fit.solve_rates(outcomes(args.teachers, "system")) if args.teachers else {}
    scores_of = predictors(known, texts, labels, taught)
    by_issue, by_repo = resampled(repos)
    out = []
    for part in args.models:
        model = named(part, {run[1] for run in runs})
        truth = {run[0]: run[2] for run in runs if run[1] == model}
        solved = np.array([truth[one.instance_id] for one in known])
        for name, scores in scores_of(solved).items():
            inside = within(scores, solved, repos)
            row: dict[str, Any] = {
                "model": model, "n": len(solved), "resolved": int(solved.sum()), "by": name,
                "auc": round(auc(scores, solved), 3), "ci": interval(scores, solved, by_issue),
                "ci_repos": interval(scores, solved, by_repo),
                "within": None if inside is None else round(inside, 3),
            }  # fmt: skip
            out.append(row)
            if not args.json:
                low, high = row["ci"]
                note = NO_PAIRS if inside is None else f"within {inside:.3f}"
                print(f"{model[:24]:24} {name:28} AUC {row['auc']:.3f} ({low:.3f} to {high:.3f},"
                      f" by repository {row['ci_repos']}) {note}",
                      flush=True)  # fmt: skip
    if args.json:
        print(json.dumps(out))


if __name__ == "__main__":
    main()
