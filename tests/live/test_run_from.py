"""``run --from``: what was paid for already is verified first, and only the rejected escalate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.__main__ import main
from swe_router.journal.run_folder import RunFolder

pytestmark = pytest.mark.box

SAMPLE = assets.assets_root() / "runs" / "sample"
GOOD, BAD, BARE = "demo__confet-14", "demo__confet-19", "demo__gridtext-4"
CHEAP = ["--no-grade", "--sandbox", "local", "--unsafe", "--set", 'verify.names=["applies"]']


def patch_of(instance: str) -> str:
    for line in (SAMPLE / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["instance"]["id"] == instance:
            return str(record["outcomes"][-1]["candidate"]["patch"])
    raise AssertionError(instance)


@pytest.fixture
def source(tmp_path) -> Path:
    """A right patch of cloud's with its trajectory, one that applies to nothing, one empty."""
    entries = [
        {"instance_id": GOOD, "model_patch": patch_of(GOOD), "model_name_or_path": "m"},
        {"instance_id": BAD, "model_patch": patch_of(GOOD), "resolved": True},
        {"instance_id": BARE, "model_patch": ""},
    ]
    path = tmp_path / "preds.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in entries))
    return path


def run(tmp_path: Path, source: Path, *words: str) -> int:
    asked = ["run", "--split", "demo", "--budget", "1", "--policy", "cascade", *CHEAP]
    where = ["--from", str(source), "--trajectories", str(SAMPLE), "--out", str(tmp_path / "runs")]
    return main([*asked, *where, *words])


def replayed(tmp_path: Path, capsys) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["replay", "latest", "--out", str(tmp_path / "runs")])
    return code, capsys.readouterr().out


@pytest.fixture
def done(tmp_path, source, capsys) -> RunFolder:
    assert run(tmp_path, source, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by_tier"]["imported"] == {"attempts": 3, "usd": 0.0, "resolved": 0}
    assert told["usd"] == sum(row["usd"] for row in told["by_tier"].values())
    assert told["escalated"] == 2
    return RunFolder.find("latest", tmp_path / "runs")


def test_the_accepted_one_is_kept_for_nothing_and_the_rejected_ones_are_tried(
    done, tmp_path, source, capsys
):
    records = done.records()
    assert list(records) == [GOOD, BAD, BARE], "the instances of the file, and no others"
    ids = {name: [o.attempt.id for o in one.outcomes] for name, one in records.items()}
    assert ids == {
        GOOD: ["0-imported"], BAD: ["0-imported", "1-local"], BARE: ["0-imported", "1-local"],
    }  # fmt: skip
    assert records[GOOD].usd == 0
    assert records[GOOD].stop.startswith("the candidate it came with was accepted: preds.jsonl m")
    assert records[GOOD].patch == patch_of(GOOD)
    assert records[GOOD].outcomes[0].attempt.trajectory.steps > 0, "its trajectory was found"
    source.unlink()
    assert replayed(tmp_path, capsys) == (0, "3 instances replayed: all as recorded\n")
    assert main(["show", str(done.path), GOOD]) == 0
    assert "paid elsewhere" in capsys.readouterr().out
    assert main(["show", str(done.path), GOOD, "0-imported"]) == 0
    assert "step 1" in capsys.readouterr().out


def change(path: Path, old: str, new: str, count: int = 1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def test_a_flipped_verdict_or_patch_of_an_imported_candidate_is_named(done, tmp_path, capsys):
    moves = done.attempt_folder(GOOD) / "moves.jsonl"
    shutil.copytree(done.path, tmp_path / "whole")
    for path in (done.records_file, moves):
        change(
            path, '"verifier":"applies","outcome":"pass"', '"verifier":"applies","outcome":"fail"'
        )
    code, said = replayed(tmp_path, capsys)
    assert code == 1
    assert "attempt 0-imported verdict applies" in said
    shutil.rmtree(done.path)
    shutil.copytree(tmp_path / "whole", done.path)
    for path in (done.records_file, moves, done.attempt_folder(GOOD) / "imported.json"):
        change(path, "+", "+ ", 40)
    code, said = replayed(tmp_path, capsys)
    assert code == 1
    assert "attempt 0-imported patch" in said


def test_a_changed_step_or_source_of_an_imported_candidate_is_named(done, tmp_path, capsys):
    packed = done.attempt_folder(GOOD) / "0-imported.jsonl.gz"
    packed.unlink()
    code, said = replayed(tmp_path, capsys)
    assert code == 1
    assert "attempt 0-imported seal" in said
    (done.attempt_folder(BAD) / "imported.json").unlink()
    code, said = replayed(tmp_path, capsys)
    assert "the candidates that the run began with were changed" in said


def test_another_author_in_every_file_of_the_run_is_named(done, tmp_path, capsys):
    folder = done.attempt_folder(GOOD)
    for path in (done.records_file, folder / "moves.jsonl", folder / "imported.json"):
        change(path, "preds.jsonl m", "preds.jsonl strong-model", 40)
    code, said = replayed(tmp_path, capsys)
    assert code == 1
    assert "the candidates that the run began with were changed" in said


def test_the_file_names_the_run_and_a_resume_does_not_need_it(tmp_path, source, capsys):
    assert run(tmp_path, source, "-i", GOOD) == 0
    first = RunFolder.find("latest", tmp_path / "runs")
    source.write_text(source.read_text().replace('"m"', '"m2"'))
    assert run(tmp_path, source, "-i", GOOD) == 0
    second = RunFolder.find("latest", tmp_path / "runs")
    names = [one.header()["digest"] for one in (first, second)]
    assert names[0] != names[1], "its author's class decides from which probability it is accepted"
    source.write_text(source.read_text().replace("\\n+", "\\n+ ", 1))
    assert run(tmp_path, source, "-i", GOOD, "--resume", str(second.path)) == 2
    assert "was made under other settings: source_digest" in capsys.readouterr().err
    source.unlink()
    second.records_file.unlink()
    (second.attempt_folder(GOOD) / "moves.jsonl").unlink()
    assert main(["resume", str(second.path)]) == 0
    assert second.records()[GOOD].chosen == "0-imported"


def test_a_folder_that_lost_what_it_began_with_is_not_gone_on_with(tmp_path, source, capsys):
    assert run(tmp_path, source, "-i", GOOD) == 0
    folder = RunFolder.find("latest", tmp_path / "runs")
    folder.records_file.unlink()
    (folder.attempt_folder(GOOD) / "imported.json").unlink()
    assert main(["resume", str(folder.path)]) == 2
    assert "does not hold the candidates that it began with" in capsys.readouterr().err


def test_all_are_verified_before_the_first_attempt_is_made(tmp_path, capsys):
    path = tmp_path / "preds.jsonl"
    entries = [
        {"instance_id": GOOD, "model_patch": ""},
        {"instance_id": BARE, "model_patch": patch_of(BARE)},
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in entries))
    assert run(tmp_path, path) == 0
    said = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "imported verifying" in line or "local starting" in line
    ]
    assert ["imported" in line for line in said] == [True, True, False]
    records = RunFolder.find("latest", tmp_path / "runs").records()
    assert list(records) == [BARE, GOOD], "the accepted one is concluded before anything is tried"
    left = records[GOOD].decisions[0].purse.instances_left
    assert left == 1, "a policy rations its money among the rejected alone"


def test_with_rest_the_other_instances_are_solved_too(tmp_path, source, capsys):
    words = ("--rest", "--filter", "gridtext-[48]$", "--json")
    assert run(tmp_path, source, *words) == 0
    assert json.loads(capsys.readouterr().out)["instances"] == 2
    records = RunFolder.find("latest", tmp_path / "runs").records()
    assert {name: one.outcomes[0].attempt.id for name, one in records.items()} == {
        "demo__gridtext-4": "0-imported", "demo__gridtext-8": "1-local",
    }  # fmt: skip


def test_trajectories_without_a_source_are_a_slip(tmp_path, capsys):
    assert main(["run", "--split", "demo", "--budget", "1", "--rest"]) == 2
    assert "go with --from" in capsys.readouterr().err


def test_a_dry_run_says_first_how_many_escalate_and_spends_and_opens_nothing(
    tmp_path, source, capsys
):
    assert run(tmp_path, source, "--dry-run", "--set", "verify.calibration=none") == 0
    said = capsys.readouterr().out
    assert said.startswith("candidates: 3 of 3 instances; 1 instances have none that could be")
    assert "to be escalated: about" in said
    assert "nothing was started or spent" in said
    assert not (tmp_path / "runs").exists()
    assert run(tmp_path, source, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)["from"]
    assert 1 <= told["escalated"]["low"] <= told["escalated"]["expected"]
    assert told["usd"]["high"] <= 1
