"""The verifiers that only ask models, on a real vLLM server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.verifying import ONE, SAMPLE, sample_entries
from tests.live.vllm_server import VllmServer

pytestmark = [pytest.mark.vllm, pytest.mark.box]
NAMES = ("rubric", "tournament", "summary-bracket")
PRESET = """
budget = 5
[tiers.served]
dialect = "vllm"
model = "{model}"
base_url = "{url}"
api_key_env = "SWE_ROUTER_SERVE_KEY"
window = 4096
max_output_tokens = 500
tools = "text"
temperature = 0.0
attempt_usd = 0.5
price = "gpu-hour"
[verify]
names = ["applies", "rubric", "tournament", "summary-bracket", "acceptance"]
usd = 2
seconds = 1800
judge = "served"
[verify.knobs.rubric]
looks = 1
lines = 20
look_chars = 1000
criteria = 3
issue_chars = 1500
patch_chars = 2500
answer_tokens = 400
forced_form = true
[verify.knobs.tournament]
criteria = ["complete"]
issue_chars = 1500
patch_chars = 1500
[verify.knobs.summary-bracket]
issue_chars = 1500
patch_chars = 1500
log_chars = 1500
answer_tokens = 450
forced_form = true
"""


def test_each_runs_end_to_end_and_costs_what_its_calls_took(
    tmp_path: Path, short_window_server: VllmServer
) -> None:
    file, entries = tmp_path / "served.toml", tmp_path / "preds.jsonl"
    server = short_window_server
    file.write_text(PRESET.format(model=server.model, url=server.url))
    mine = [one for one in sample_entries() if one["instance_id"] == ONE]
    entries.write_text("".join(json.dumps(one) + "\n" for one in mine))
    words = ["--preset", str(file), "--predictions", str(entries), "--trajectories", str(SAMPLE)]
    where = ["--split", "demo", "--model", "served", "--budget", "4", "--sandbox", "local"]
    command = [sys.executable, "-m", "swe_router", "verify", *words, *where, "--unsafe", "--json"]
    environ = {**os.environ, "SWE_ROUTER_SERVE_KEY": server.key or "none"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 2
    made = [{one["verifier"]: one for one in row["verdicts"]} for row in rows]
    for name in NAMES:
        first, second = (verdicts[name] for verdicts in made)
        assert (first["outcome"], second["outcome"]) == ("unknown", "unknown")
        calls = [*first["evidence"].get("calls", ()), *second["evidence"].get("calls", ())]
        assert calls, name
        assert all(float(call["usd"]) > 0 for call in calls)
    ratings = made[0]["tournament"]["evidence"]["ratings"]
    assert {row["place"] for row in ratings} == {"first", "second"}
    assert all(0 < sum(row["mine"].values()) <= 1.0001 for row in ratings)
    total = sum(made[n]["tournament"]["score"] for n in (0, 1))
    assert total == pytest.approx(1, abs=1e-5), "two changes share one comparison"
    for verdicts in made:
        rubric = verdicts["rubric"]["evidence"]
        assert rubric["criteria"], "a forced form gives a rubric, whatever it is worth"
        assert rubric["met"] is not None
        assert set(verdicts["summary-bracket"]["evidence"]["summary"]) in (
            set(), {"cause", "change", "checked", "doubts"},
        )  # fmt: skip
