"""--from RUN --failed: what a graded run officially failed, and nothing else."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest

from swe_router import assets
from swe_router.__main__ import main
from swe_router.commands.run.failed_instances import failed_instances, predictions_file
from swe_router.errors import UsageError
from tests.doubles.copies import copied

SAMPLE = assets.assets_root() / "runs" / "sample"


@pytest.fixture
def run(tmp_path):
    return copied(SAMPLE, tmp_path / "mine")


def outcomes(run):
    rows = [json.loads(line) for line in (run / "grades.jsonl").open()]
    return {row["instance_id"]: row["outcome"] for row in rows}


def test_the_officially_unresolved_are_taken_by_name_folder_or_predictions(run, tmp_path):
    wrong = tuple(name for name, said in outcomes(run).items() if said == "unresolved")
    assert len(wrong) == 2
    for source in ("mine", str(run), str(run / "preds.json")):
        found = failed_instances(source, tmp_path)
        assert (set(found.instance_ids), found.split) == (set(wrong), "demo")
        assert "no score of the split" in found.note


def test_what_has_no_official_outcome_is_left_out_and_told(run, tmp_path):
    rows = [json.loads(line) for line in (run / "grades.jsonl").open()]
    wrong = [row for row in rows if row["outcome"] == "unresolved"]
    wrong[0]["outcome"] = "ungraded"
    (run / "grades.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = failed_instances("mine", tmp_path)
    assert found.instance_ids == (wrong[1]["instance_id"],)
    assert "1 without an outcome are left out" in found.note
    (run / "grades.jsonl").write_text("")
    with pytest.raises(UsageError, match="15 have no official outcome"):
        failed_instances("mine", tmp_path)


def test_a_run_is_a_source_of_predictions_and_a_file_stays_what_it_is(run, tmp_path):
    assert predictions_file("mine", tmp_path) == str(run / "preds.json")
    assert predictions_file(str(run / "preds.json"), tmp_path) == str(run / "preds.json")
    assert predictions_file("nothing.json", tmp_path) == "nothing.json"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--failed"], "--failed goes with --from RUN"),
        (["--from", "mine", "--failed", "--rest"], "--failed begins afresh"),
        (["--from", "mine", "--failed", "-i", "demo__confet-3"], "none in common"),
        (["--from", "nobody", "--failed"], "no run 'nobody'"),
        (["--from", "loose.json", "--failed"], "lies in no run"),
    ],
)
def test_what_cannot_be_meant_is_said(run, tmp_path, capsys, words, said):
    shutil.copy(run / "preds.json", tmp_path / "loose.json")
    with contextlib.chdir(tmp_path):
        assert main(["run", *words, "--out", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_dry_run_plans_the_failed_ones_alone(run, tmp_path, capsys):
    code = main(["run", "--from", "mine", "--failed", "--policy", "fixed", "--policy-set",
                 "tier=cloud", "--dry-run", "--out", str(tmp_path), "--json"])  # fmt: skip
    facts = json.loads(capsys.readouterr().out)
    assert (code, facts["instances"]) == (0, 2)
