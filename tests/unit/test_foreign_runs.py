"""Runs of peers in every form that they write today: what is told is read, or the gap is named.

The forms are those of mini-swe-agent 2.4.6 (each of its model classes was run once against a
server of our own) and of SWE-agent 1.1; the texts are made up.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from swe_router.candidates import mini_swe_agent, swe_agent, trajectory, trajectory_folders
from swe_router.errors import UsageError
from swe_router.outcomes.importers.forms import IMPORTERS_BY_FORM, gather
from swe_router.outcomes.importers.gathering import ImportOptions

A, B = "django__django-1", "django__django-2"
CHAT = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details":
        {"cached_tokens": 40}}  # fmt: skip
RESPONSE = {"input_tokens": 100, "output_tokens": 10, "input_tokens_details":
            {"cached_tokens": 40}, "output_tokens_details": {"reasoning_tokens": 4}}  # fmt: skip
CLAUDE = {"input_tokens": 60, "output_tokens": 10, "cache_read_input_tokens": 40,
          "cache_creation_input_tokens": 5}  # fmt: skip


def chat(say, *commands, usage=CHAT):
    calls = [
        {"id": f"c{n}", "function": {"name": "bash", "arguments": json.dumps({"command": one})}}
        for n, one in enumerate(commands)
    ]
    answer = {"choices": [{"message": {"role": "assistant", "content": say}}], "usage": usage}
    return {"role": "assistant", "content": say, "tool_calls": calls or None, "extra": {
        "response": answer, "cost": 0.5}}  # fmt: skip


def response(say, *commands, kind="response", **more):
    output = [{"type": "reasoning", "summary": []},
              {"type": "message", "content": [{"type": "output_text", "text": say}]}]  # fmt: skip
    output += [
        {"type": "function_call", "call_id": f"c{n}", "arguments": json.dumps({"command": one})}
        for n, one in enumerate(commands)
    ]
    object_ = {"object": kind} if kind else {}
    return {**object_, "output": output, "usage": RESPONSE, "extra": {"cost": 0.5}, **more}


def refused(turn):
    """As mini-swe-agent keeps an answer without a usable call: beside the word that says so."""
    answer = turn["extra"].get("response") or {k: v for k, v in turn.items() if k != "extra"}
    extra = {"interrupt_type": "FormatError", "cost": 0.5, "response": answer}
    return {"role": "user", "content": "give a call", "extra": extra}


def seen(number, code, text, *, responses):
    extra = {"returncode": code, "raw_output": text}
    if responses:
        return {
            "type": "function_call_output",
            "call_id": f"c{number}",
            "output": "",
            "extra": extra,
        }
    return {"role": "tool", "tool_call_id": f"c{number}", "content": "", "extra": extra}


def run_of(say, *, responses, calls=3):
    messages = [
        {"role": "system", "content": "s"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "do it"}]},
        say("look", "ls", "false"),
        seen(1, 3, "none\n", responses=responses),
        seen(0, 0, "a.py\n", responses=responses),
        refused(say("hm")),
        say("done", "submit"),
        {"role": "exit", "content": "", "extra": {"exit_status": "Submitted"}},
    ]
    stats = {"instance_cost": 1.5, "api_calls": calls}
    return {"info": {"model_stats": stats, "exit_status": "Submitted", "submission": "d"},
            "messages": messages, "trajectory_format": "mini-swe-agent-1.1"}  # fmt: skip


FORMS_OF_MINI = {
    "chat": run_of(chat, responses=False),
    "responses": run_of(response, responses=True),
    "responses without an object": run_of(
        lambda *words: response(*words, kind=""), responses=True),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS_OF_MINI)
def test_each_form_of_a_turn_is_a_step_with_its_commands_codes_and_tokens(form):
    found = mini_swe_agent.read_mini_swe_agent(FORMS_OF_MINI[form], A, "n")
    told = [[(a.call.arguments["command"], a.observation, a.exit_code) for a in step.actions]
            for step in found.steps]  # fmt: skip
    assert told == [[("ls", "a.py\n", 0), ("false", "none\n", 3)], [], [("submit", "", None)]]
    assert [step.completion.message.content for step in found.steps] == ["look", "hm", "done"]
    usage = found.trajectory.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (180, 120, 30)
    assert sum(step.completion.usd for step in found.steps) == Decimal("1.5")
    assert (found.trajectory.steps, found.remark) == (3, "")


@pytest.mark.parametrize("form", FORMS_OF_MINI)
def test_tokens_of_an_imported_run_are_those_of_all_its_calls_the_refused_ones_too(tmp_path, form):
    (tmp_path / f"{A}.traj.json").write_text(json.dumps(FORMS_OF_MINI[form]))
    (tmp_path / "report.json").write_text(json.dumps({"resolved_ids": [A]}))
    (row,) = gather(IMPORTERS_BY_FORM["mini"], [tmp_path], ImportOptions()).table.rows
    assert (row.input_tokens, row.cache_read_tokens, row.output_tokens) == (180, 120, 30)
    assert (row.usd, row.steps) == (1.5, 3)


def test_caches_that_a_provider_counts_apart_are_not_taken_out_of_the_prompt():
    turn = chat("look", "ls", usage=CLAUDE)
    usage = mini_swe_agent.read_mini_swe_agent({"messages": [turn]}, A, "n").trajectory.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (60, 40, 5)


STRANGE = {"info": {"model_stats": {"api_calls": 7}}, "messages": [
    {"kind": "turn", "text": "look"}, {"kind": "result", "text": "a.py"}]}  # fmt: skip
NO_TURNS = {"info": {"model_stats": {"api_calls": 7}}, "trajectory": []}


LITELLM = {"prompt_tokens": 105, "completion_tokens": 10, "cache_read_input_tokens": 40,
           "cache_creation_input_tokens": 5}  # fmt: skip


@pytest.mark.parametrize("details", [{}, {"cached_tokens": 40}, {
    "cached_tokens": 40, "cache_creation_tokens": 5}, {"cache_write_tokens": 5}])  # fmt: skip
def test_tokens_written_to_a_cache_are_taken_out_of_a_prompt_that_counts_them(details):
    usage = trajectory.usage_of({**LITELLM, "prompt_tokens_details": details})
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (60, 40, 5)


def test_a_folder_with_two_runs_of_an_instance_is_refused_with_both_named(tmp_path):
    for calls, run in enumerate(("one", "two"), 3):
        file = tmp_path / "r" / run / A / f"{A}.traj.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(run_of(chat, responses=False, calls=calls)))
    (tmp_path / "r" / "report.json").write_text(json.dumps({A: {"resolved": True}}))
    with pytest.raises(UsageError, match=r"more than once.*one/.*two/"):
        gather(IMPORTERS_BY_FORM["mini"], [tmp_path / "r"], ImportOptions())


@pytest.mark.parametrize("tree", [[], {"info": None, "messages": None}, {"info": {}}])
def test_a_file_that_holds_no_trajectory_is_said(tmp_path, tree):
    (tmp_path / f"{A}.traj.json").write_text(json.dumps(tree))
    (tmp_path / "report.json").write_text(json.dumps({A: {"resolved": True}}))
    made = gather(IMPORTERS_BY_FORM["mini"], [tmp_path], ImportOptions())
    assert any("holds no trajectory" in line for line in made.remarks)


def test_a_form_that_is_not_read_is_said_with_what_was_told_and_what_was_read(tmp_path):
    (tmp_path / f"{A}.traj.json").write_text(json.dumps(FORMS_OF_MINI["chat"]))
    (tmp_path / f"{B}.traj.json").write_text(json.dumps(STRANGE))
    said: list[str] = []
    assert [
        one.instance_id
        for one in trajectory_folders.read_trajectories(tmp_path, {A, B}, said.append)
    ] == [A]
    assert "it reports 7 model calls and 0 steps were read" in said[0]
    for name, tree in ((f"{B}.traj.json", STRANGE), (f"{B}.traj", NO_TURNS)):
        alone = tmp_path / name.removeprefix(B)[1:]
        alone.mkdir()
        (alone / name).write_text(json.dumps(tree))
        with pytest.raises(UsageError, match=r"reports 7 model calls and 0 steps were"):
            trajectory_folders.read_trajectories(alone, {B}, said.append)


def test_a_run_of_which_a_part_is_read_is_used_and_its_gap_told(tmp_path):
    run = json.loads(json.dumps(FORMS_OF_MINI["responses"]))
    run["messages"].insert(3, {"kind": "turn", "text": "more"})
    (tmp_path / f"{A}.traj.json").write_text(json.dumps(run))
    (tmp_path / "report.json").write_text(json.dumps({"resolved_ids": [A]}))
    said: list[str] = []
    assert len(trajectory_folders.read_trajectories(tmp_path, {A}, said.append)[0].steps) == 3
    assert "3 steps were read; 1 of its 9 messages are of a form" in said[0]
    made = gather(IMPORTERS_BY_FORM["mini"], [tmp_path], ImportOptions())
    assert any("1 of its 9 messages" in line for line in made.remarks)


def test_a_run_whose_first_call_failed_is_no_strange_form(tmp_path):
    run = {"info": {"model_stats": {"api_calls": 1}, "exit_status": "AuthenticationError"},
           "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
                        {"role": "exit", "content": "no key"}]}  # fmt: skip
    (tmp_path / f"{A}.traj.json").write_text(json.dumps(run))
    said: list[str] = []
    assert (
        trajectory_folders.read_trajectories(tmp_path, {A}, said.append)[0].trajectory.exit
        == "broke"
    )
    assert said == []


def stats(usd, calls):
    return {"instance_cost": usd, "api_calls": calls, "tokens_sent": 100 * calls,
            "tokens_received": 10 * calls}  # fmt: skip


def retried(total, reviews):
    attempts = [{"trajectory": [{"action": f"a{n}", "observation": ""}],
                 "info": {"model_stats": stats(usd, calls), "submission": f"d{n}"}}
                for n, (usd, calls) in enumerate([(1.0, 10), (2.0, 20)])]  # fmt: skip
    whole = {"attempts": attempts}
    if total is not None:
        whole |= attempts[1]
        whole["info"] = {**attempts[1]["info"], "best_attempt_idx": 1, "model_stats": total,
                         "rloop_model_stats": reviews}  # fmt: skip
    return whole


@pytest.mark.parametrize(
    ("total", "reviews", "usd", "calls"),
    [
        (stats(3.5, 35), stats(0.5, 5), 3.5, 35),
        (stats(3.0, 30), stats(0, 0), 3.0, 30),
        (None, None, 3.0, 30),
        (stats(2.0, 20), stats(0.5, 5), 3.5, 35),
    ],
    ids=["reviewer", "chooser", "interrupted", "the chosen attempt alone is counted"],
)
def test_a_retrying_agent_costs_what_all_its_attempts_and_reviews_did(
    tmp_path, total, reviews, usd, calls
):
    tree = retried(total, reviews)
    end = swe_agent.read_swe_agent(tree, A, "n").trajectory
    assert (float(end.usd), end.steps) == (usd, calls)
    assert (end.usage.input_tokens, end.usage.output_tokens) == (100 * calls, 10 * calls)
    (tmp_path / f"{A}.traj").write_text(json.dumps(tree))
    (tmp_path / "report.json").write_text(json.dumps({"resolved_ids": [A], "unresolved_ids": []}))
    (row,) = gather(IMPORTERS_BY_FORM["swe-agent"], [tmp_path], ImportOptions()).table.rows
    assert (row.usd, row.steps, row.input_tokens) == (usd, calls, 100 * calls)


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_what_python_takes_for_a_line_end_ends_no_line_of_json(tmp_path, odd):
    """JSON escapes control characters; U+2028, U+2029 and U+0085 stand raw."""
    lines = [json.dumps({"instance_id": one, "model_patch": f"a{odd}b", "model_name_or_path": "m"},
                        ensure_ascii=False) for one in (A, B)]  # fmt: skip
    (tmp_path / "all_preds.jsonl").write_text("\n".join(lines) + "\r\n\n", "utf-8")
    (tmp_path / "report.json").write_text(json.dumps({"resolved_ids": [A], "unresolved_ids": [B]}))
    made = gather(IMPORTERS_BY_FORM["swe-agent"], [tmp_path], ImportOptions())
    assert {row.instance_id: row.resolved for row in made.table.rows} == {A: True, B: False}
