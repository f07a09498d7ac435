"""A folder as a user has it after a while: runs, predictions, rows of verify, a table."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from swe_router import assets
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable, write_table
from tests.doubles.copies import copied
from tests.doubles.judged import attempt, folder, grade, patch, record, said
from tests.doubles.readme import PLACEHOLDERS

SAMPLE = assets.assets_root() / "runs" / "sample"
SUITE = assets.assets_root() / "eval" / "suites" / "demo"
SYSTEMS = {"devstral-small": (0.4, 0.04), "deepseek-v3.2": (0.55, 0.05), "sonnet-4.5": (0.75, 0.6)}
"""System -> (rate, USD a run)."""


def make(root: Path) -> Path:
    """Everything that a command of the README reads, under ``root``."""
    runs = root / "runs"
    for name in ("RUN1", "RUN2"):
        _graded(runs, PLACEHOLDERS[name], 13 if name == "RUN1" else 17)
    copied(SAMPLE, runs / PLACEHOLDERS["RUN"])
    (runs / "latest").unlink(missing_ok=True)
    (runs / "latest").symlink_to(PLACEHOLDERS["RUN"])
    (root / "repos").mkdir()
    shutil.copyfile(SAMPLE / "preds.json", root / "preds.json")
    copied(SAMPLE, root / PLACEHOLDERS["DIR"])
    _verified(root)
    write_table(_table(), root / "table.csv")
    (root / "benchmarks").symlink_to(assets.assets_root() / "benchmarks")
    _project(root)
    return root


def _project(root: Path) -> None:
    """A repository of the user's, and the text of an issue in it."""
    (root / "bug.md").write_text("The parser takes an empty line for the end.\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "bug.md"], ["commit", "-qm", "all there is"]):
        subprocess.run(["git", "-C", str(root), *who, *words], check=True)


def hub_rows() -> Iterator[dict[str, object]]:
    """Rows that the hub on loopback gives for ``verified``: those of the demo."""
    for line in (SUITE / "instances.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def _graded(runs: Path, name: str, seed: int) -> None:
    """A run of 40 instances whose patches are graded, half of them right."""
    made = []
    for n in range(40):
        tests = said("repo-tests", "pass" if (n * seed) % 5 else "fail",
                     counts={"broken": 0 if (n * seed) % 5 else 2}, tests={})  # fmt: skip
        one = attempt(1, "local", patch(f"{name}{n}"), tests)
        made.append(record(f"own__repo{n % 4}-{seed}{n}", [one], "1-local"))
    run = folder(runs, made)
    for n, one in enumerate(made):
        mark = "resolved" if n % 2 else "unresolved"
        run.add_candidate_grade(grade(one.instance.id, patch(f"{name}{n}"), mark))
    run.path.rename(runs / name)


def _verified(root: Path) -> None:
    """``rows.jsonl`` of verify, and the official results in both forms: two a candidate."""
    rows, labels = [], []
    for n in range(40):
        for k in range(2):
            right, text = (n + k) % 2 == 0, patch(f"{n}.{k}")
            outcome = "pass" if right == bool((n + k) % 7) else "fail"
            key = {"instance_id": f"own__repo{n % 4}-{n}", "candidate": str(k)}
            evidence = {"counts": {"broken": int(outcome == "fail")}, "tests": {}}
            verdict = {"verifier": "repo-tests", "outcome": outcome, "score": None, "seconds": 1.0,
                       "evidence": evidence}  # fmt: skip
            rows.append({
                **key, "outcome": outcome, "probability": None, "seconds": 1.0, "why": "",
                "verdicts": [verdict], "model_name_or_path": "some-model", "attempt": f"0-{k}",
                "patch": hashlib.sha256(text.encode()).hexdigest(),
            })  # fmt: skip
            labels.append({**key, "resolved": right, "model_patch": text})
    for name, content in (("rows.jsonl", rows), ("labels.jsonl", labels)):
        (root / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    with (root / "results.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["instance_id", "candidate", "resolved"])
        out.writerows(
            [one["instance_id"], one["candidate"], int(one["resolved"])] for one in labels
        )


def _table() -> OutcomeTable:
    """Runs of three systems on the demo's issues and on 60 more; steps and USD are told."""
    names = [str(row["instance_id"]) for row in hub_rows()]
    names += [f"own__repo{k % 4}-{k}" for k in range(60)]
    rows = []
    for system, (rate, usd) in SYSTEMS.items():
        for k, name in enumerate(names):
            right = (k * 37 % 100) / 100 < rate
            steps = 8 + k * 7 % 23 + (0 if right else 20)
            rows.append(
                OutcomeRow(name, system, right, usd=round(usd * steps / 20, 6), steps=steps)
            )
    return OutcomeTable(tuple(rows), "table.csv")
