"""Calls behind one of the same answer that failed, and answers that a full window ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swe_router.agents import recorded_attempt
from swe_router.agents.dialogue import DialogueSetup
from swe_router.records import Step, ToolCall, Usage
from tests.doubles.agent import BROKEN, FIX, INSTANCE, LOOK, SUBMIT, PlayedModel, Told, answer, call
from tests.unit.test_agent_loop import FIRST_RULES, manifest, solve

SETUP = DialogueSetup(Told().context(), command_timeout=20, command_timeout_max=60)
MISSED = call("edit", action="replace", path="calc.py", old="not there", new="a + b")
NO_TOOL = call("bsh", command="ls")
UNREADABLE = ToolCall(id="u", name="edit", error="The arguments are not valid JSON.")
WROTE = call("edit", action="create", path="new.py", new="x = 1\n")


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("bad", [MISSED, NO_TOOL, call("edit", action="replace"), UNREADABLE])
def test_nothing_behind_a_call_that_failed_is_carried_out(tmp_path, bad, text):
    """A weak model writes whole conversations at once: its submit was written too early."""
    if text and bad is UNREADABLE:
        bad = call("edit", action="create", path=3)
    model = PlayedModel(
        answer(LOOK, bad, WROTE, SUBMIT, text=text),
        answer(FIX, text=text),
        answer(SUBMIT, text=text),
    )
    end, steps, sandbox = solve(tmp_path, model, text_tools=text)
    assert (end.exit, end.steps) == ("submitted", 3)
    assert [action.call.name for action in steps[0].actions] == ["bash", bad.name]
    assert not (sandbox.tree / "new.py").exists()
    assert sandbox.read("/testbed/calc.py") != BROKEN
    told = model.requests[1].messages
    if text and bad is not MISSED:
        return  # What stands behind a block that cannot be read is not read either.
    rest = [m.content for m in told if m.role == "tool"][2:] if not text else [told[-1].content]
    assert "Not carried out: this call was written before it was known" in rest[0]
    assert text or len(rest) == 2, "each call has an answer, as the providers demand"


def test_calls_behind_a_good_one_or_a_failing_command_are_carried_out(tmp_path):
    failing = call("bash", command="exit 3")
    end, steps, _ = solve(tmp_path, PlayedModel(answer(FIX, failing, SUBMIT)))
    assert (end.exit, end.steps, len(steps[0].actions)) == ("submitted", 1, 3)


def test_a_run_of_the_first_rules_goes_on_as_it_did(tmp_path):
    end, steps, _ = solve(tmp_path, PlayedModel(answer(MISSED, SUBMIT)), sheet=FIRST_RULES)
    assert (end.exit, end.steps) == ("submitted", 1)
    assert "refused" not in steps[0].actions[0].model_dump(), "seals stay what they were"


def test_a_run_with_calls_that_were_not_carried_out_replays(tmp_path):
    model = PlayedModel(answer(MISSED, SUBMIT), answer(FIX, SUBMIT))
    end, steps, _ = solve(tmp_path, model)
    stored = [Step.model_validate_json(step.model_dump_json()) for step in steps]
    sheet = manifest.read_manifest("default")
    assert recorded_attempt.recheck_attempt(sheet, INSTANCE, stored, SETUP, recorded=end) == []


def talk(full, **fields):
    """Six long looks, an answer that ends because the window is full, and a submit."""
    looks = [answer(call("bash", command=f"seq {n} 700")) for n in range(6)]
    return [*looks, full, answer(SUBMIT)]


def test_a_full_window_makes_room_and_the_model_is_told_so(tmp_path):
    """The server's window is a third of what the tier says; its answer ends after 3 tokens."""
    half = answer(say="I will", stop="window", usage=Usage(input_tokens=4000, output_tokens=3))
    model = PlayedModel(*talk(half))
    end, steps, _ = solve(tmp_path, model, window=12_000, max_output_tokens=500)
    assert end.exit == "submitted"
    assert "elided the observations" in steps[7].note
    last = model.requests[7].messages
    assert "fills the model's window" in last[-1].content
    assert "Write less" not in last[-1].content
    assert model.requests[7].size() < model.requests[6].size() / 2
    setup = replace(SETUP, context=Told().context(window=12_000, max_output_tokens=500))
    assert (
        recorded_attempt.recheck_attempt(manifest.read_manifest("default"), INSTANCE, steps, setup)
        == []
    )


def test_a_cap_that_was_reached_is_told_as_ever(tmp_path):
    cut = answer(say="I will", stop="length")
    model = PlayedModel(*talk(cut))
    solve(tmp_path, model, window=12_000, max_output_tokens=500)
    assert "limit of 500 tokens" in model.requests[7].messages[-1].content
    assert "Write less" in model.requests[7].messages[-1].content


def test_a_window_that_is_too_small_for_any_answer_is_said_with_its_true_size(tmp_path):
    full = answer(say="I", stop="window", usage=Usage(input_tokens=1000, output_tokens=3))
    end, _, _ = solve(tmp_path, PlayedModel(full), window=12_000, max_output_tokens=900)
    assert end.exit == "gave_up"
    assert "do not fit the window of 1003 tokens" in end.why
