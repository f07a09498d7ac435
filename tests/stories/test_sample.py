"""The shipped run, looked at and replayed; whatever is changed in it is named."""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from swe_router import assets, settings
from swe_router.__main__ import main
from swe_router.commands import replay as replay_command
from swe_router.commands.run import run_driver
from swe_router.errors import UsageError
from tests.doubles.copies import copied

SAMPLE = assets.assets_root() / "runs" / "sample"
ONE = "demo__confet-14"
"""Local breaks tests, cloud solves: two attempts, four verdicts, three decisions."""


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def rows_of(path: Path) -> list:
    text = text_of(path)
    lines = [text] if path.name == "settings.json" else text.splitlines()
    return [json.loads(line) for line in lines]


def write(path: Path, rows: list) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def about(row: dict) -> str:
    return (row.get("instance") or {}).get("id") or row.get("instance_id") or row["id"]


@pytest.fixture
def run(tmp_path) -> Path:
    """The sample cut down to one instance."""
    folder = tmp_path / "run"
    ignored = [p.name for p in (SAMPLE / "trajectories").iterdir() if p.name != ONE]
    copied(SAMPLE, folder, tuple(ignored))
    for name in ("records", "instances", "grades"):
        path = folder / f"{name}.jsonl"
        write(path, [row for row in rows_of(path) if about(row) == ONE])
    return folder


def replay(run: Path):
    return replay_command.replay_run(str(run), run.parent)


def said(run: Path) -> str:
    shown = replay(run)
    assert shown.exit_code == 1, "the change went unnoticed"
    return json.dumps(shown.facts)


def test_the_sample_replays_as_recorded_without_a_model_or_a_key(capsys):
    assert main(["replay", "sample"]) == 0
    assert "15 instances replayed: all as recorded" in capsys.readouterr().out


def test_the_sample_shows_a_summary_whose_tiers_sum_to_its_cost(capsys):
    assert main(["show", "sample", "--json"]) == 0
    told = json.loads(capsys.readouterr().out, parse_float=Decimal)
    assert list(told) == [
        *("run", "split", "policy", "instances", "resolved", "unresolved", "ungraded", "empty"),
        *("usd", "budget", "escalated", "seconds", "by_tier", "settled", "lost", "reserved"),
        *("unused", "ended", "tokens", "cache", "rows"),
    ]
    assert sum(tier["usd"] for tier in told["by_tier"].values()) == told["usd"] <= told["budget"]
    assert 0 < told["resolved"] < told["instances"]
    assert sum(tier["resolved"] for tier in told["by_tier"].values()) == told["resolved"]
    assert told["resolved"] + told["unresolved"] + told["ungraded"] + told["empty"] == 15
    assert told["escalated"] > 0
    assert "overhead" in told["by_tier"]


def test_an_instance_and_an_attempt_can_be_shown(capsys):
    assert main(["show", "sample", ONE]) == 0
    assert "failed repo-tests" in capsys.readouterr().out
    assert main(["show", "sample", ONE, "2-cloud", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["completion"]["usd"]
    assert main(["show", "sample", "demo__nothing-1"]) == 2
    assert main(["show", "sample", ONE, "7-none"]) == 2


def test_the_sample_holds_no_path_of_the_machine_that_made_it():
    for path in SAMPLE.rglob("*"):
        if path.is_file():
            text = text_of(path)
            assert not any(f'"{place}' in text for place in ("/home/", "/root/", "/opt/", "/tmp/"))


def change(run: Path, file: str, edit) -> None:
    path = run / file
    rows = rows_of(path)
    edit(rows)
    write(path, rows)


def said_by(outcome, verifier):
    return next(one for one in outcome["verdicts"] if one["verifier"] == verifier)


FLIPS = {
    "the official verdict on a patch that was not handed in": (
        "candidate_grades.jsonl",
        lambda rows: [row.update(outcome="resolved") for row in rows],
        "grade",
    ),
    "a reproduction test's result": (
        "records.jsonl",
        lambda rows: [
            test.update(after="passed")
            for test in said_by(rows[0]["outcomes"][0], "reproduction")["evidence"][
                "tests"
            ].values()
        ],
        "reproduction",
    ),
    "the acceptance of a patch": (
        "records.jsonl",
        lambda rows: said_by(rows[0]["outcomes"][0], "acceptance").update(score=0.99),
        "acceptance",
    ),
    "an answer": (
        f"trajectories/{ONE}/1-local.jsonl.gz",
        lambda rows: rows[1]["completion"]["message"].update(content="no"),
        "attempt 1-local step",
    ),
    "what an answer cost": (
        f"trajectories/{ONE}/2-cloud.jsonl.gz",
        lambda rows: rows[0]["completion"].update(usd="0.5"),
        "attempt 2-cloud step 1 price",
    ),
    "the tokens of an answer": (
        f"trajectories/{ONE}/2-cloud.jsonl.gz",
        lambda rows: rows[0]["completion"]["usage"].update(output_tokens=1),
        "attempt 2-cloud step 1 price",
    ),
    "an observation": (
        f"trajectories/{ONE}/2-cloud.jsonl.gz",
        lambda rows: rows[0]["actions"][0].update(observation="nothing found"),
        "attempt 2-cloud step",
    ),
    "a price": (
        "settings.json",
        lambda rows: rows[0]["rates"]["local"]["bands"][0].update(output="0.61"),
        "attempt 1-local step 1 price",
    ),
    "a setting": (
        "settings.json",
        lambda rows: rows[0]["settings"].update(seed=7),
        "settings_intact",
    ),
    "a verdict": (
        "records.jsonl",
        lambda rows: said_by(rows[0]["outcomes"][0], "repo-tests").update(outcome="pass"),
        "verdict repo-tests",
    ),
    "the reason of a decision": (
        "records.jsonl",
        lambda rows: rows[0]["decisions"][1]["decision"].update(why="a whim"),
        "decision 2",
    ),
    "the tier of a decision": (
        "records.jsonl",
        lambda rows: rows[0]["decisions"][0]["decision"]["plans"][0]["arm"].update(model="cloud"),
        "decision 1",
    ),
    "what a decision saw of the purse": (
        f"trajectories/{ONE}/moves.jsonl",
        lambda rows: rows[0]["decided"]["purse"].update(spent="0.9"),
        "moves: decisions",
    ),
    "the patch": (
        "records.jsonl",
        lambda rows: rows[0]["outcomes"][1]["candidate"].update(patch="diff --git a/x b/x\n"),
        "attempt 2-cloud patch",
    ),
    "what was handed in": (
        "records.jsonl",
        lambda rows: rows[0].update(chosen="1-local"),
        "chosen",
    ),
    "a settlement of the ledger": (
        "ledger.jsonl",
        lambda rows: next(
            row
            for row in rows
            if row["op"] == "settle"
            and any(r.get("id") == row["id"] and r.get("key") == f"{ONE}/1-local" for r in rows)
        ).update(usd="0.000001"),
        "attempt 1-local ledger",
    ),
    "the budget of the ledger": (
        "ledger.jsonl",
        lambda rows: rows[0].update(budget="2"),
        "settings",
    ),
    "the issue": (
        "instances.jsonl",
        lambda rows: rows[0].update(problem="Something else."),
        "instance",
    ),
    "the complexity": (
        "records.jsonl",
        lambda rows: rows[0]["features"]["values"].update(complexity=9.5),
        "features: complexity",
    ),
    "an official verdict": (
        "grades.jsonl",
        lambda rows: rows[0].update(outcome="unresolved"),
        "grade: outcome",
    ),
}


def test_the_cut_down_sample_replays(run):
    assert replay(run).exit_code == 0


def test_settings_that_no_longer_make_sense_are_named_as_changed(run, capsys):
    change(run, "settings.json", lambda rows: rows[0]["settings"]["policy"].update(name="fixed"))
    assert main(["replay", str(run)]) == 2
    assert "settings.json: a setting, rate or digest was changed" in capsys.readouterr().err


def test_the_resume_that_is_offered_finds_a_run_outside_the_default_folder(run):
    found = run_driver.find_to_resume(str(run), Path("runs"))
    with pytest.raises(UsageError, match=re.escape(f"`swe-router resume {run}` goes on")):
        run_driver.require_same_settings(found, settings.load("hybrid"))


@pytest.mark.parametrize("what", FLIPS)
def test_a_flip_is_named_by_replay(run, what):
    file, edit, where = FLIPS[what]
    change(run, file, edit)
    assert where in said(run)
