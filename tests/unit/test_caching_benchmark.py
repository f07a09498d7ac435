"""benchmarks/caching.py on made runs, and on the recorded ones where they are."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.conversations import SHARED, shared_trajectories

ROOT = Path(__file__).resolve().parents[2]


def bench(*words):
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "caching.py"), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def written(path, *, steps, start):
    """A run of mini-swe-agent whose every step adds 400 tokens."""
    messages = [
        {"role": "system", "content": "s" * 6000},
        {"role": "user", "content": f"the issue of {path.name} " + "i" * 9000},
    ]
    for number in range(steps):
        usage = {
            "prompt_tokens": 3000 + 400 * number,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        text = f"THOUGHT: step {number}\n\n```bash\nsed -n {number}p a.py\n```"
        response = {"created": start + 5 * number, "usage": usage}
        messages += [
            {"role": "assistant", "content": text, "extra": {"response": response}},
            {"role": "user", "content": f"{number} " + "o" * 900},
        ]
    path.write_bytes(gzip.compress(json.dumps({"messages": messages}).encode()))


def test_each_way_is_billed_by_the_rules_of_six_models(tmp_path):
    written(tmp_path / "a.traj.json.gz", steps=30, start=1000)
    written(tmp_path / "b.traj.json.gz", steps=30, start=1002)
    done = bench("--trajectories", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["runs"], facts["calls"], facts["longest_gap"]) == (2, 60, 5.0)
    recorded = facts["scenarios"]["as recorded"]
    assert len({row["model"] for row in recorded}) == 6
    for name, rows in facts["scenarios"].items():
        for row in rows:
            assert row["floor"] <= row["ours"] <= row["none"], (name, row)
            assert row["ours"] <= row["mini"] * 1.0001, (name, row)
    (many, *_) = facts["scenarios"]["12 calls in a turn"]
    assert many["mini_losses"]["look_back"] > 0, "a turn of 24 blocks is out of mini's sight"
    (slow, *_) = facts["scenarios"]["each 8th command 400 s"]
    assert slow["mini_losses"]["time"] > 0
    assert slow["ours"] < slow["mini"], "an hour is worth it there"


def test_the_recorded_runs_cost_at_most_a_twentieth_more_than_the_floor():
    if not shared_trajectories():
        pytest.skip("the recorded trajectories are not here")
    done = bench("--trajectories", str(SHARED), "--limit", "4", "--json")
    rows = json.loads(done.stdout)["scenarios"]["as recorded"]
    assert [row["model"] for row in rows if row["ours_over_possible"] > 1.05] == []


def test_without_recorded_runs_it_says_what_to_give(tmp_path):
    done = bench("--trajectories", str(tmp_path))
    assert done.returncode == 2
    assert "give --trajectories FOLDER" in done.stderr
    assert done.stdout == ""
