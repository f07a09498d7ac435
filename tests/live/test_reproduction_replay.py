"""A run with a writer: paid once, replayed as recorded, and whatever is flipped in it is named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from swe_router.__main__ import main
from swe_router.commands import replay

pytestmark = pytest.mark.box

ONE = "demo__confet-3"
NAMES = '["applies", "reproduction", "acceptance"]'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    asked = ["run", "--split", "demo", "--instances", ONE, "--out", str(out), "--no-grade"]
    assert main([*asked, "--set", f"verify.names={NAMES}"]) == 0
    (run,) = {path.resolve() for path in out.iterdir()}
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def verdicts(row: Any) -> list[dict[str, Any]]:
    outcomes = row.get("outcomes") or ()
    return [v for o in outcomes for v in o["verdicts"] if v["verifier"] == "reproduction"]


def flip(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the evidence of the reproduction verdict wherever a file holds it."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        for verdict in verdicts(row):
            change(verdict["evidence"])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def said(run: Path) -> str:
    shown = replay.replay_run(str(run), run.parent)
    return json.dumps(shown.facts) if shown.exit_code else ""


def rewritten(test: dict[str, Any]) -> None:
    test["text"] = test["text"].replace("0.5", "0.6")
    test["digest"] = hashlib.sha256(test["text"].encode()).hexdigest()


def test_it_replays_as_recorded_and_the_ledger_holds_what_the_test_cost(run: Path) -> None:
    assert said(run) == ""
    (record,) = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    (verdict,) = verdicts(record)
    evidence = verdict["evidence"]
    ledger = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    mine = [row for row in ledger if row.get("key") == f"{ONE}/verify:1-local"]
    settled = {row["id"]: row["usd"] for row in ledger if row["op"] == "settle"}
    assert [row["tier"] for row in mine] == ["overhead"]
    assert Decimal(settled[mine[0]["id"]]) == Decimal(evidence["usd"]) > 0
    assert verdict["outcome"] == "pass"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda e: e["tests"]["written-1"].update(after="failed"), "written-1"),
        (lambda e: e["tests"]["written-1"]["results"].popitem(), ""),
        (
            lambda e: e["tests"]["written-1"]["results"].update(
                {name: ["failed", "failed"] for name in e["tests"]["written-1"]["results"]}
            ),
            "written-1",
        ),
        (lambda e: e["tests"]["written-1"].update(text="import os\n"), "written-1"),
        (lambda e: rewritten(e["tests"]["written-1"]), "written-1: text"),
        (lambda e: e.update(usd="0.9"), "usd"),
        (lambda e: e["calls"][0].update(usd="0"), "usd"),
        (lambda e: e.update(usd="0", calls=[]), "usd in the ledger"),
        (lambda e: e["calls"][0]["usage"].update(output_tokens=1), "call 1 price"),
    ],
)
def test_a_flip_is_named(run: Path, change: Callable[[Any], object], named: str) -> None:
    moves = run / "trajectories" / ONE / "moves.jsonl"
    flip(run / "records.jsonl", change)
    if named:  # a forger who changes both files; a test function left out shows in one of them
        flip(moves, change)
    told = said(run)
    assert told, "the change went unnoticed"
    assert named in told


def test_a_second_run_of_the_verdict_pays_nothing(run: Path) -> None:
    notes = run / "trajectories" / ONE / "notes.jsonl"
    assert [json.loads(line)["key"] for line in notes.read_text().splitlines()] == [
        "reproduction:1"
    ]
    moves = run / "trajectories" / ONE / "moves.jsonl"
    first = moves.read_text().splitlines(keepends=True)[:1]
    moves.write_text("".join(first))  # killed while it was being verified
    (run / "records.jsonl").unlink()
    before = (run / "ledger.jsonl").read_text().count('"tier":"overhead"')
    assert main(["resume", str(run)]) == 0
    assert (run / "ledger.jsonl").read_text().count('"tier":"overhead"') == before
    assert said(run) == ""
