r"""Refit eval/complexity.json, the model behind the complexity score, with its training card.

    python eval/fit_complexity.py --features FEATURES.jsonl --out eval/complexity.json \
        --outcomes experiments.csv.gz:MIT:dariakryvosheieva/agent-psychometrics@62851ff8 \
        --outcomes swe_effi.csv:Apache-2.0:Centre-for-Software-Excellence/SWE-Effi@eb40e399

FEATURES.jsonl comes from `swe-router features`. An outcome table is a CSV (.gz or not) with the
columns instance_id, system and resolved; behind the first colon stands its licence, behind the
second its source. A licence that does not let a derived file be shipped (NC, ND, none) is refused.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import gzip
import json
from pathlib import Path
from typing import Any

from swe_router.estimates.complexity import score_fit
from swe_router.features.feature_files import read_features

FREE = {"mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc0-1.0"}
Run = tuple[str, str, bool]


def main() -> None:
    """Fit, cross-validate, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--outcomes", action="append", required=True, metavar="CSV:LICENCE:SOURCE")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    runs: list[Run] = []
    tables = []
    for asked in args.outcomes:
        path, licence, source = (*asked.split(":", 2), "", "")[:3]
        if licence.lower() not in FREE:
            parser.error(f"{asked}: what is fitted on it could not ship; {sorted(FREE)} can")
        found = table(Path(path))
        systems = len({run[1] for run in found})
        tables.append({"name": Path(path).name, "licence": licence, "source": source,
                       "runs": len(found), "systems": systems})  # fmt: skip
        runs += found
    rates = score_fit.solve_rates(runs)
    known = [one for one in read_features(args.features) if one.instance_id in rates]
    rows = [score_fit.OutcomeExample(one.repo, one.values, rates[one.instance_id]) for one in known]
    issue = {k for one in known for k, source in one.provenance.items() if source == "issue"}
    models: dict[str, Any] = {}
    reached = {}
    for name, signs in (
        ("issue", [sign for sign in score_fit.WEIGHT_SIGNS if sign.feature in issue]),
        ("whole", list(score_fit.WEIGHT_SIGNS)),
    ):
        fits, reached[name] = score_fit.cross_validate_complexity(rows, signs)
        models[name] = {repo: score_fit.fit_as_json(one) for repo, one in fits.items()}
    repos = [row.repo for row in rows]
    card = {
        "target": "share of systems that solve the issue (additive in issue and system)",
        "tables": tables,
        "rows": len(rows),
        "rows_by_repository": {repo: repos.count(repo) for repo in sorted(set(repos))},
        "features": sorted({one.version for one in known}),
        "method": "fixed effects of repositories, signed weights, shrunk to a common weight",
        "shrinkage": score_fit.SHRINKAGE,
        "seed": "none: nothing is drawn",
        "cross_validation": "each repository scored by the fit that left it out",
        "reached": reached,
        "caveat": "signs of features and shrinkage were settled with these rows in sight",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    args.out.write_text(shown(card, models), encoding="utf-8")
    print(json.dumps(card, indent=1))


def shown(card: dict[str, Any], models: dict[str, dict[str, Any]]) -> str:
    """The card to be read, each fit on a line of its own."""
    parts = []
    for name, fits in models.items():
        lines = ",\n".join(f"  {json.dumps(repo)}: {json.dumps(fits[repo])}" for repo in fits)
        parts.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    whole = ",\n".join(parts)
    return f'{{"card": {json.dumps(card, indent=1)},\n"models": {{\n{whole}\n}}}}\n'


def table(path: Path) -> list[Run]:
    """(instance, system, resolved) of a CSV."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return [
        (row["instance_id"], row["system"], float(row["resolved"]) > 0)
        for row in csv.DictReader(text.splitlines())
    ]


if __name__ == "__main__":
    main()
