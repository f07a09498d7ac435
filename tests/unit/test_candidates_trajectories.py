"""Trajectories of others: commands, exit codes, money and ends; damage is passed over, never fatal.

All texts are made up.
"""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import assets
from swe_router.candidates import mini_swe_agent, swe_agent, trajectory_folders
from swe_router.candidates.trajectory import exit_of
from swe_router.errors import UsageError

A, B = "o__n-1", "o__n-2"
DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
USE = {"prompt_tokens": 100, "completion_tokens": 7, "cost": 0.25,
       "prompt_tokens_details": {"cached_tokens": 60},
       "completion_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip


def said(content, **extra):
    return {"role": "assistant", "content": content, "extra": extra}


ONE = {
    "trajectory_format": "mini-swe-agent-1",
    "info": {
        "exit_status": "Submitted", "submission": DIFF,
        "model_stats": {"instance_cost": 0.5, "api_calls": 3},
        "config": {"model": {"model_name": "maker/m-1"}},
    },
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "do it, as in\n```bash\nls\n```"},
        said("THOUGHT: look\n\n```bash\nls -a\n```", response={"usage": USE}),
        {"role": "user", "content": "<returncode>2</returncode>\n<output>\nnone\n</output>"},
        said("```bash\na\n```\nor\n```bash\nb\n```"),
        {"role": "user", "content": "give exactly one action"},
        said("```bash\necho done\n```"),
        {"role": "user", "content": DIFF},
    ],
}  # fmt: skip
CALL = {"id": "c1", "function": {"name": "bash", "arguments": '{"command": "pytest -q"}'}}
TWO = {
    "trajectory_format": "mini-swe-agent-1.1",
    "info": {
        "exit_status": "LimitsExceeded", "submission": "",
        "model_stats": {"instance_cost": 3.1, "api_calls": 2},
        "config": {"agent": {"cost_limit": 3.0}, "model": {"model_name": "m-2"}},
    },
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "do it"}]},
        {**said([{"type": "text", "text": "two at once"}], cost=0.5, actions=[
            {"command": "ls", "tool_call_id": "c1"}, {"command": "pwd", "tool_call_id": "c2"}])},
        {"role": "tool", "tool_call_id": "c2", "content": "shown",
         "extra": {"returncode": 0, "raw_output": "/testbed\n"}},
        {"role": "tool", "tool_call_id": "c1", "content": "gone", "extra": {"returncode": 127}},
        {**said("run", cost=0.25), "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "1 failed", "extra": {"returncode": 1}},
        {"role": "exit", "content": "", "extra": {"exit_status": "LimitsExceeded"}},
    ],
}  # fmt: skip
SWE = {
    "trajectory": [
        {"action": "python t.py", "observation": "boom", "thought": "try", "execution_time": 1.5},
        {"action": "", "observation": "", "response": "nothing to do"},
    ],
    "info": {
        "exit_status": "submitted (exit_cost)", "submission": DIFF,
        "model_stats": {"instance_cost": 2, "api_calls": 5, "tokens_sent": 9, "tokens_received": 4},
    },
    "replay_config": json.dumps({"agent": {"model": {"name": "m-3"}}}),
}  # fmt: skip


def commands(found):
    return [
        (action.call.arguments["command"], action.observation, action.exit_code)
        for step in found.steps
        for action in step.actions
    ]


def test_format_1_has_its_commands_and_codes_in_the_text():
    found = mini_swe_agent.read_mini_swe_agent(ONE, A, "n")
    assert commands(found) == [("ls -a", "none\n", 2), ("echo done", DIFF, None)]
    assert [len(step.actions) for step in found.steps] == [1, 0, 1], "two blocks are not run"
    assert (found.submission, found.model) == (DIFF, "maker/m-1")
    end = found.trajectory
    assert (end.exit, end.steps, end.usd) == ("submitted", 3, Decimal("0.5"))
    usage = found.steps[0].completion.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (40, 60, 7)
    assert found.steps[0].completion.usd == Decimal("0.25")
    assert found.steps[0].actions[0].call.name == "bash"


def test_format_1_1_has_them_beside_the_text_and_answers_by_call():
    found = mini_swe_agent.read_mini_swe_agent(TWO, A, "n")
    assert commands(found) == [("ls", "gone", 127), ("pwd", "/testbed\n", 0),
                               ("pytest -q", "1 failed", 1)]  # fmt: skip
    assert found.trajectory.exit == "budget", "its limit in dollars was reached"
    assert [step.completion.usd for step in found.steps] == [Decimal("0.5"), Decimal("0.25")]
    assert found.steps[0].completion.message.content == "two at once"


def test_a_swe_agent_run_that_hit_its_limit_did_not_submit():
    found = swe_agent.read_swe_agent(SWE, A, "n")
    assert commands(found) == [("python t.py", "boom", None)]
    assert found.steps[0].actions[0].seconds == 1.5
    end = found.trajectory
    assert (end.exit, end.steps, end.usd) == ("budget", 5, Decimal(2))
    assert (end.usage.input_tokens, end.usage.output_tokens) == (9, 4)
    assert (found.submission, found.model) == (DIFF, "m-3")


def test_of_a_retrying_agent_the_attempt_that_it_chose_is_told():
    attempts = [{"trajectory": [{"action": "a"}]}, {"trajectory": [{"action": "b"}]}]
    found = swe_agent.read_swe_agent(
        {"attempts": attempts, "info": {"best_attempt_idx": 1}}, A, "n"
    )
    assert [line[0] for line in commands(found)] == ["b"]


@pytest.mark.parametrize(
    ("status", "submission", "ours"),
    [
        ("Submitted", "", "submitted"),
        ("LimitsExceeded", "", "steps"),
        ("exit_cost", "", "budget"),
        ("submitted (exit_context)", DIFF, "gave_up"),
        ("APIError", "", "broke"),
        (None, DIFF, "submitted"),
        (None, "", "broke"),
        ({"no": "text"}, "", "broke"),
    ],
)
def test_every_end_has_our_word(status, submission, ours):
    assert exit_of(status, submission) == ours


@pytest.mark.parametrize("strange", [10**400, "--5", float("inf"), "-"])
def test_a_count_that_no_number_can_hold_is_no_count_and_no_traceback(strange):
    usage = {"input_tokens": strange, "output_tokens": 5}
    stats = {"instance_cost": strange, "api_calls": strange, "tokens_sent": strange}
    turn = {"object": "response", "output": [], "usage": usage}
    told = {"info": {"model_stats": stats}, "messages": [turn]}
    assert mini_swe_agent.read_mini_swe_agent(told, "a__a-1", "n").trajectory.usd == 0
    fine = {"info": {"model_stats": {"instance_cost": 2.5, "api_calls": 1}}, "trajectory": []}
    retried = {"attempts": [{"info": {"model_stats": stats}}, fine], "info": {}}
    found = swe_agent.read_swe_agent(retried, "a__a-1", "n").trajectory
    assert (found.usd, found.steps) == (Decimal("2.5"), 1)


def put(path, tree):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_files_are_found_flat_in_folders_and_in_folders_of_runs(tmp_path):
    put(tmp_path / f"{A}.traj.json.gz", ONE)
    put(tmp_path / B / f"{B}.traj", SWE)
    put(tmp_path / "run2" / A / f"{A}.traj.json", TWO)
    found = trajectory_folders.read_trajectories(tmp_path, {A, B}, print)
    assert [(one.instance_id, one.model) for one in found] == [
        (A, "maker/m-1"), (B, "m-3"), (A, "m-2"),
    ]  # fmt: skip
    assert "run2" in found[2].name.split("/")


def test_labels_that_lie_beside_are_never_opened(tmp_path):
    put(tmp_path / f"{A}.traj.json", ONE)
    before = trajectory_folders.read_trajectories(tmp_path, {A}, print)
    for name in (f"{A}.report.json", "results.json", "grades.jsonl", f"{A}/report.json"):
        put(tmp_path / name, {A: {"resolved": True}})
    resolved = {**ONE, "resolved": True, "info": {**ONE["info"], "resolved": True, "reward": 1}}
    put(tmp_path / f"{A}.traj.json", resolved)
    assert trajectory_folders.read_trajectories(tmp_path, {A}, print) == before


DAMAGED = {
    "torn": b'{"messages": [',
    "no json": b"\xff\xfe",
    "no trajectory": b'{"resolved": true}',
    "a list": b"[1]",
    "endless": b"[" * 100_000,
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_file_costs_a_word_and_no_other_file(tmp_path, how):
    put(tmp_path / f"{A}.traj.json", DAMAGED[how])
    put(tmp_path / f"{B}.traj.json", ONE)
    words: list[str] = []
    assert [
        one.instance_id
        for one in trajectory_folders.read_trajectories(tmp_path, {A, B}, words.append)
    ] == [B]
    assert len(words) == 1
    assert f"{A}.traj.json" in words[0]


def test_instances_that_nobody_asked_for_are_not_even_opened(tmp_path):
    put(tmp_path / f"{A}.traj.json", b"not opened")
    words: list[str] = []
    assert trajectory_folders.read_trajectories(tmp_path, {B}, words.append) == []
    assert words == []


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_any_trajectory_is_a_slip_of_the_user(tmp_path, there):
    path = tmp_path if there else tmp_path / "none"
    with pytest.raises(UsageError, match="--trajectories"):
        trajectory_folders.read_trajectories(path, {A}, print)


def test_a_run_of_ours_tells_its_attempts_without_their_verdicts():
    sample = assets.assets_root() / "runs" / "sample"
    found = trajectory_folders.read_trajectories(sample, {"demo__confet-14"}, print)
    assert [(one.name, one.model) for one in found] == [("1-local", "local"), ("2-cloud", "cloud")]
    assert all(one.steps and one.submission.startswith("diff --git") for one in found)
    assert len(found[0].steps) == found[0].trajectory.steps


WORDS = ("messages", "info", "role", "assistant", "user", "tool", "content", "extra", "actions",
         "command", "tool_calls", "function", "arguments", "tool_call_id", "returncode",
         "trajectory", "action", "observation", "attempts", "model_stats", "instance_cost",
         "api_calls", "usage", "prompt_tokens", "exit_status", "submission", "best_attempt_idx",
         "replay_config", "```bash\nls\n```", "<returncode>1</returncode>")  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
    | st.text(alphabet=st.characters(exclude_categories=[]), max_size=8)
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
TOLD = st.dictionaries(st.sampled_from(WORDS), TREES, max_size=6)


@given(TOLD, st.lists(st.dictionaries(st.sampled_from(WORDS), TREES, max_size=5), max_size=4))
def test_whatever_a_file_holds_no_reader_falls_over(tree, turns):
    for reader in (mini_swe_agent.read_mini_swe_agent, swe_agent.read_swe_agent):
        found = reader({**tree, "messages": turns, "trajectory": turns}, A, "n")
        for step in found.steps:
            assert step.model_validate_json(step.model_dump_json()) == step
        assert found.trajectory.usd >= 0
