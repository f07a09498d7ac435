"""What a user does with ``verify``: patches of others, judged without a model or a label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.__main__ import main

pytestmark = pytest.mark.box

SAMPLE = assets.root() / "runs" / "sample"
ONE, TWO = "demo__confet-14", "demo__confet-19"


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    """The patches of the sample run's attempts on two instances: local wrong, cloud right."""
    found = []
    for line in (SAMPLE / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        for outcome in record["outcomes"] if record["instance"]["id"] in (ONE, TWO) else ():
            found.append({
                "instance_id": record["instance"]["id"],
                "candidate": outcome["attempt"]["id"],
                "model_patch": outcome["candidate"]["patch"],
                "model_name_or_path": "some model",
            })  # fmt: skip
    return found


def verify(tmp_path: Path, entries: list[dict], *words: str, names: str = "applies") -> int:
    file = tmp_path / "p.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in entries))
    asked = ["verify", "--predictions", str(file), "--split", "demo", "--names", names]
    return main([*asked, "--sandbox", "local", "--unsafe", *words])


def rows(capsys) -> list[dict]:
    """The rows without what the clock says."""
    told = json.loads(capsys.readouterr().out)
    for row in told:
        row.pop("seconds")
        for verdict in row["verdicts"]:
            verdict.pop("seconds")
            verdict["evidence"].pop("seconds", None)
    return told


def test_right_and_wrong_patches_are_told_apart_by_tests_that_anyone_can_run_again(
    tmp_path, capsys, entries
):
    mine = [one for one in entries if one["instance_id"] == ONE]
    assert verify(tmp_path, mine, "--json", "--trajectories", str(SAMPLE),
                  "--seconds", "900", names="applies,repo-tests") == 0  # fmt: skip
    wrong, right = rows(capsys)
    assert [row["candidate"] for row in (wrong, right)] == ["1-local", "2-cloud"]
    assert [row["outcome"] for row in (wrong, right)] == ["fail", "pass"]
    assert [one["verifier"] for one in right["verdicts"]] == ["applies", "repo-tests"]
    tests = wrong["verdicts"][1]["evidence"]["tests"]
    assert any(came == ["passed", "failed"] for came in tests.values())
    assert (right["model_name_or_path"], right["probability"]) == ("some model", None)
