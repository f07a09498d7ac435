"""Several candidates of one issue: dealt, compared, stopped early, and replayed as recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router import plugins
from swe_router.__main__ import main
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder

pytestmark = pytest.mark.box

ISSUE = "demo__confet-3"
"""Its one recording is right, so every attempt makes the same change."""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> RunFolder:
    out = tmp_path_factory.mktemp("ensemble") / "runs"
    sets = ['verify.names=["applies","repo-tests"]', "selector=majority",
            'ensemble.variants=["","minimal"]', "ensemble.temperatures=[0.1,0.9]",
            "tiers.local.temperature=0.5", "policy.ladder=[\"local\"]"]  # fmt: skip
    asked = ["run", "--split", "demo", "-i", ISSUE, "--candidates", "5", "--no-grade"]
    words = [word for one in sets for word in ("--set", one)]
    where = ["--sandbox", "local", "--unsafe", "--out", str(out), "--json"]
    assert main([*asked, *words, *where]) == 0
    return RunFolder.find("latest", out)


def replayed(run: RunFolder, capsys) -> str:
    main(["replay", str(run.path)])
    said: str = capsys.readouterr().out
    return said


def changed(run: RunFolder, folder: Path, edit) -> RunFolder:
    """A copy of the run whose record is edited."""
    path = folder / "run"
    path.mkdir()
    for file in run.path.rglob("*"):
        if file.is_file():
            target = path / file.relative_to(run.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    records = path / "records.jsonl"
    row = json.loads(records.read_text())
    edit(row)
    records.write_text(json.dumps(row) + "\n")
    return RunFolder(path)


def test_each_candidate_is_dealt_something_else_and_the_last_is_left_out(done, capsys):
    record = done.records()[ISSUE]
    plans = [outcome.attempt.plan for outcome in record.outcomes]
    assert [(p.seed, p.variant, p.temperature) for p in plans] == [
        (None, "", 0.1),
        (1, "minimal", 0.9),
        (2, "", 0.9),
    ]
    (left,) = record.left_out
    assert left.attempts == ("4-local", "5-local")
    assert "cannot outvote" in left.why
    assert "4-local" not in done.ledger_file.read_text(), "no money was held for it"
    (move, _) = InstanceLog(done.attempt_folder(ISSUE)).moves()
    assert move.left_out == left
    assert "1 instances replayed: all as recorded" in replayed(done, capsys)


def test_a_change_that_was_tested_is_not_tested_again(done):
    said = [{v.verifier: v.evidence.get("same_as") for v in one.verdicts}
            for one in done.records()[ISSUE].outcomes]  # fmt: skip
    assert said[0] == {"applies": None, "repo-tests": None}
    assert said[1] == said[2] == {"applies": "1-local", "repo-tests": "1-local"}


def test_a_flipped_cell_is_named(done, tmp_path, capsys):
    def flip(row):
        results = row["matrix"]["results"]
        patch = next(iter(results))
        test = next(iter(results[patch]))
        results[patch][test] = "passed" if results[patch][test] == "failed" else "failed"

    assert "matrix: " in replayed(changed(done, tmp_path, flip), capsys)


def test_a_plan_that_is_said_to_be_left_out_for_another_reason_is_named(done, tmp_path, capsys):
    def other(row):
        row["left_out"][0]["why"] = "it was late"

    assert "decision 1 left out: " in replayed(changed(done, tmp_path, other), capsys)


def test_nothing_is_owed_afterwards(done, capsys):
    assert main(["resume", str(done.path), "--json"]) == 0
    assert "nothing is owed" in capsys.readouterr().err


def test_selectors_are_compared_over_graded_candidates_only(done, capsys):
    assert main(["replay", "sample", "--selector", "all", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["selector"]: row for row in told["selectors"]}
    assert rows.keys() == {*plugins.BUILT_IN["selectors"], "this run", "mean single"}
    assert all(row["resolved"] <= rows["oracle"]["resolved"] for row in rows.values())
    assert 0 < rows["this run"]["resolved"] <= told["instances"]
    few = told["instances"] < 10
    assert rows.pop("oracle")["said"] == "hindsight"
    assert all((row["said"] == "too few instances") == few for row in rows.values())
    assert all(row["p"] < 0.05 for row in rows.values() if row["said"] == "differs")
    assert main(["replay", str(done.path), "--selector", "majority"]) == 2
    assert "of no instance every patch is graded" in capsys.readouterr().err
    assert main(["replay", "sample", "--selector", "majorty"]) == 2
    assert "did you mean 'majority'" in capsys.readouterr().err


def test_an_oracle_is_refused_before_a_run_folder_is_made(tmp_path, capsys):
    asked = ["run", "--split", "demo", "--set", "selector=oracle", "--out", str(tmp_path / "runs")]
    assert main(asked) == 2
    assert "official results" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
