"""What a user does with ``verify``: patches of others, judged without a model or a label."""

from __future__ import annotations

import pytest

from tests.doubles.verifying import ONE, SAMPLE, rows, sample_entries, verify

pytestmark = pytest.mark.box


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    return sample_entries()


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
