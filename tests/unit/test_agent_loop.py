"""The tool loop: what it sends, what it shows, and how it ends."""

from decimal import Decimal

import pytest

from swe_router.agents import manifest
from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.agents.manifest import LoopLimits, Manifest
from swe_router.agents.tool_loop import ToolLoop
from swe_router.errors import LedgerRefused, Lost, Overloaded, ScaffoldError
from swe_router.records import Action, Budget, Completion, Message, ToolCall, Usage
from tests.doubles.agent import (
    BROKEN,
    FIX,
    INSTANCE,
    LOOK,
    SUBMIT,
    DictSearch,
    PlayedModel,
    TempSandbox,
    Told,
    answer,
    call,
)

FIRST_RULES = manifest.read_manifest("default").model_copy(update={"rules": 1})
RICH = Budget(dollars=Decimal(10))


def loop(sheet: Manifest | None = None) -> ToolLoop:
    sheet = sheet or manifest.read_manifest("default")
    return ToolLoop(sheet, command_timeout=20, command_timeout_max=60)


def solve(tmp_path, model, *, budget=RICH, sheet=None, told=None, sandbox=None, **context):
    told = told or Told()
    sandbox = sandbox or TempSandbox(tmp_path / "box")
    end = loop(sheet).solve(INSTANCE, model, sandbox, budget, told.context(**context))
    return end, told.steps, sandbox


@pytest.mark.parametrize("text", [False, True])
def test_it_edits_runs_and_submits_in_both_dialects(tmp_path, text):
    model = PlayedModel(
        answer(LOOK, say="I look.", text=text),
        answer(FIX, LOOK, text=text),
        answer(SUBMIT, text=text),
    )
    end, steps, sandbox = solve(tmp_path, model, text_tools=text)
    assert (end.exit, end.steps, end.usd) == ("submitted", 3, Decimal("0.03"))
    assert sandbox.read("/testbed/calc.py") == b"def add(a, b):\n    return a + b\n"
    assert end.usage == sum((s.completion.usage for s in steps), Usage())
    assert "return a - b" in steps[0].actions[0].observation
    assert "return a + b" in steps[1].actions[1].observation
    assert bool(model.requests[0].tools) is not text
    taught = "<call bash>" in model.requests[0].messages[0].content
    assert taught is text


@pytest.mark.parametrize("text", [False, True])
def test_each_request_begins_with_the_whole_request_before(tmp_path, text):
    plays = [answer(LOOK, LOOK, text=text), answer(say="Hm."), answer(call("bsh"), text=text)]
    model = PlayedModel(*plays, answer(LOOK, text=text), answer(SUBMIT, text=text))
    solve(tmp_path, model, text_tools=text)
    assert len(model.requests) == 5
    for before, after in zip(model.requests, model.requests[1:], strict=False):
        assert after.messages[: len(before.messages)] == before.messages
        # As a request is known by: what the loop tells of its gaps is no part of it.
        limits = [one.limits.model_dump() for one in (before, after)]
        assert (after.tools, limits[1]) == (before.tools, limits[0])


def test_every_native_call_is_answered_by_its_id_even_after_an_error(tmp_path):
    bad = ToolCall(id="b", name="bash", error="The arguments are not JSON.")
    model = PlayedModel(answer(bad, call("bash", command="echo hi")), answer(SUBMIT))
    _, steps, _ = solve(tmp_path, model, sheet=FIRST_RULES)
    told = model.requests[1].messages[-2:]
    assert [(m.role, m.tool_call_id) for m in told] == [("tool", "b"), ("tool", "n1")]
    assert "The arguments are not JSON." in told[0].content
    assert told[1].content == "hi\n[exit code 0]"
    assert steps[0].actions[1].exit_code == 0


def test_nothing_is_done_after_submit(tmp_path):
    model = PlayedModel(answer(SUBMIT, FIX))
    end, steps, sandbox = solve(tmp_path, model)
    assert end.exit == "submitted"
    assert len(steps[0].actions) == 1
    assert sandbox.read("/testbed/calc.py") == BROKEN


def test_a_native_model_that_writes_its_call_as_text_is_understood(tmp_path):
    model = PlayedModel(
        answer(say='{"name": "bash", "arguments": {"command": "echo hi"}}'), answer(SUBMIT)
    )
    _, steps, _ = solve(tmp_path, model)
    assert steps[0].actions[0].observation == "hi\n[exit code 0]"
    assert model.requests[1].messages[-1].role == "user"


@pytest.mark.parametrize(
    ("play", "says"),
    [
        (answer(say="I think it is fine."), "3 answers in a row held no tool call"),
        (answer(), "3 answers in a row held no tool call"),
        (answer(call("bash")), "5 answers in a row held only malformed tool calls"),
        (answer(say="<call bash>\nls\n</call>"), "5 answers in a row held only malformed"),
    ],
)
def test_a_model_that_never_calls_a_tool_rightly_is_given_up(tmp_path, play, says):
    model = PlayedModel(*[play] * 9)
    end, _, _ = solve(tmp_path, model)
    assert end.exit == "gave_up"
    assert says in end.why
    assert all(message.content or message.tool_calls for message in model.requests[-1].messages)


def test_patience_comes_back_with_a_good_call(tmp_path):
    bad, silent = answer(call("bsh")), answer(say="Hm.")
    model = PlayedModel(
        *[bad] * 4, *[silent] * 2, answer(LOOK), *[bad] * 4, *[silent] * 2, answer(SUBMIT)
    )
    assert solve(tmp_path, model)[0].exit == "submitted"


def test_a_cut_off_call_is_not_carried_out(tmp_path):
    cut = call("bash", command="rm calc.py")
    model = PlayedModel(
        answer(LOOK, cut, stop="length"),
        answer(say="<call bash>\ncommand: rm calc.py", stop="length"),
        answer(say="Let me think about", stop="length"),
        answer(LOOK, text=True, stop="length"),
        answer(SUBMIT),
    )
    end, steps, sandbox = solve(tmp_path, model)
    assert end.exit == "submitted"
    assert sandbox.read("/testbed/calc.py") == BROKEN
    assert "cut off" in steps[0].actions[1].observation
    assert "cut off" in steps[1].actions[0].observation
    assert "cut off" in model.requests[3].messages[-1].content
    assert steps[3].actions[0].exit_code == 0


def test_a_refusal_ends_it(tmp_path):
    end, _, _ = solve(tmp_path, PlayedModel(answer(say="I cannot help.", stop="refusal")))
    assert (end.exit, end.steps) == ("gave_up", 1)


def test_limits_are_exits(tmp_path):
    many = [answer(LOOK)] * 9
    steps = solve(tmp_path / "a", PlayedModel(*many), budget=Budget(dollars=Decimal(1), steps=2))
    assert (steps[0].exit, steps[0].steps) == ("steps", 2)
    time = solve(tmp_path / "b", PlayedModel(*many), budget=Budget(dollars=Decimal(1), seconds=8))
    assert time[0].exit == "time"
    money = solve(tmp_path / "c", PlayedModel(*many), budget=Budget(dollars=Decimal("0.03")))
    assert (money[0].exit, money[0].steps) == ("budget", 3)
    refused = PlayedModel(answer(LOOK), LedgerRefused("a call may cost $2, $1 is left"))
    end = solve(tmp_path / "d", refused)[0]
    assert (end.exit, end.steps, end.why) == ("budget", 1, "a call may cost $2, $1 is left")


def stop_at(asking: int):
    """A stop that comes just before it is asked about for the n-th time."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= asking


def test_a_stop_is_heeded_at_the_step_boundary(tmp_path):
    end, steps, _ = solve(tmp_path, PlayedModel(answer(FIX)), stopping=stop_at(4))
    assert (end.exit, len(steps)) == ("interrupted", 1)


@pytest.mark.parametrize("asking", [2, 3])
def test_a_command_that_a_stop_may_have_cut_short_is_no_observation(tmp_path, asking):
    end, steps, _ = solve(tmp_path, PlayedModel(answer(FIX)), stopping=stop_at(asking))
    assert (end.exit, steps) == ("interrupted", [])


class KilledSandbox(TempSandbox):
    """Its commands break it: a Ctrl-C in a terminal reaches a sandbox and its driver at once."""

    def run(self, command, *, timeout, cwd=""):
        raise Lost("the sandbox is gone")


@pytest.mark.parametrize(("asking", "recorded"), [(3, 0), (6, 0), (999, 1)])
def test_a_step_whose_sandbox_a_stop_killed_is_not_recorded_without_its_observation(
    tmp_path, asking, recorded
):
    told = Told()
    with pytest.raises(Lost):
        solve(tmp_path, PlayedModel(answer(call("bash", command="ls"))), told=told,
              sandbox=KilledSandbox(tmp_path / "box"), stopping=stop_at(asking))  # fmt: skip
    assert len(told.steps) == recorded


def test_an_answer_of_many_calls_does_not_outlive_the_attempt(tmp_path):
    many = answer(*[LOOK] * 50)
    late, steps, _ = solve(
        tmp_path / "a", PlayedModel(many), budget=Budget(dollars=Decimal(1), seconds=30)
    )
    assert (late.exit, late.steps) == ("time", 1)
    assert 1 < len(steps[0].actions) < 50
    told = solve(tmp_path / "b", PlayedModel(many), stopping=stop_at(4))
    assert (told[0].exit, told[1]) == ("interrupted", [])
    assert len(told[2].ran) <= 2


def test_a_command_never_outlives_the_attempt(tmp_path):
    model = PlayedModel(answer(call("bash", command="true", timeout=50)), answer(SUBMIT))
    _, _, sandbox = solve(tmp_path, model, budget=Budget(dollars=Decimal(1), seconds=30))
    assert sandbox.timeouts[0] < 30


class BreakingSandbox(TempSandbox):
    def run(self, command, *, timeout, cwd=""):
        if "boom" in command:
            raise Lost("the container is gone")
        return super().run(command, timeout=timeout, cwd=cwd)


def test_a_broken_sandbox_passes_through_after_the_paid_answer_was_recorded(tmp_path):
    told, sandbox = Told(), BreakingSandbox(tmp_path / "box")
    model = PlayedModel(answer(LOOK, call("bash", command="boom"), LOOK))
    with pytest.raises(Lost):
        solve(tmp_path, model, told=told, sandbox=sandbox)
    assert len(told.steps) == 1
    assert told.steps[0].completion.usd == Decimal("0.01")
    assert len(told.steps[0].actions) == 1


def test_a_broken_provider_passes_through_and_keeps_the_steps(tmp_path):
    told = Told()
    with pytest.raises(Overloaded):
        solve(tmp_path, PlayedModel(answer(FIX), Overloaded("529")), told=told)
    assert [step.index for step in told.steps] == [0]


def test_the_seals_are_a_chain(tmp_path):
    end, steps, _ = solve(tmp_path, PlayedModel(answer(LOOK), answer(FIX), answer(SUBMIT)))
    before = ""
    for step in steps:
        assert step.sealed(before).seal == step.seal
        before = step.seal
    assert end.seal == before


def test_an_answer_that_no_file_can_hold_is_made_sendable(tmp_path):
    weird = call("edit", action="create", path="x.txt", new="a\ud800b")
    _, steps, sandbox = solve(tmp_path, PlayedModel(answer(weird, say="\udcff"), answer(SUBMIT)))
    assert steps[0].model_dump_json()
    assert sandbox.read("/testbed/x.txt").startswith(b"a")


def noisy(number: int):
    return answer(call("bash", command=f"echo turn {number}; yes 0123456789 | head -c 6000"))


def test_near_the_window_old_observations_go_in_one_step_and_then_it_is_append_only(tmp_path):
    model = PlayedModel(*[noisy(n) for n in range(20)], answer(SUBMIT))
    sheet = manifest.read_manifest("default").model_copy(
        update={"limits": LoopLimits(keep_turns=2)}
    )
    end, steps, _ = solve(tmp_path, model, sheet=sheet, window=12_000, max_output_tokens=1000)
    assert end.exit == "submitted"
    noted = [step.index for step in steps if step.note]
    assert 1 <= len(noted) <= 5
    assert "elided the observations of turns 1 to" in steps[noted[0]].note
    for index, step in enumerate(steps[1:], 1):
        before, after = model.requests[index - 1], model.requests[index]
        kept = after.messages[: len(before.messages)] == before.messages
        assert kept is not bool(step.note)
        assert after.size() / 4 + 1000 <= 12_000
    shown = [m.content for m in model.requests[noted[0]].messages if m.role == "tool"]
    assert "bytes were shown here" in shown[0]
    assert shown[-1].startswith("turn")


def test_a_conversation_that_cannot_be_made_to_fit_is_given_up_before_it_is_paid(tmp_path):
    long = answer(LOOK, say="word " * 3000)
    model = PlayedModel(*[long] * 9)
    end, steps, _ = solve(tmp_path, model, window=12_000, max_output_tokens=1000)
    assert end.exit == "gave_up"
    assert "do not fit the window of 12000" in end.why
    assert len(steps) == len(model.requests) < 5


def test_dense_text_does_not_overrun_the_window():
    """Hex dumps come at two bytes a token; a guess of three sends more than the window holds."""
    setup = DialogueSetup(Told().context(window=16_000, max_output_tokens=1000))
    dialogue = Dialogue(manifest.read_manifest("default"), INSTANCE, setup)
    for number in range(20):
        dialogue.make_room()
        tokens = dialogue.request().size() // 2
        assert tokens + 1000 <= 16_000
        ask = ToolCall(id=f"c{number}", name="bash", arguments={"command": "xxd a"})
        said = Completion(
            message=Message(role="assistant", tool_calls=(ask,)), usage=Usage(input_tokens=tokens)
        )
        dialogue.add(said, [Action(call=ask, observation="f0" * 2300)])


def test_an_observation_never_fills_a_small_window(tmp_path):
    big = answer(call("bash", command="yes 0123456789 | head -c 20000"))
    _, steps, _ = solve(
        tmp_path, PlayedModel(big, answer(SUBMIT)), window=4096, max_output_tokens=1024
    )
    assert len(steps[0].actions[0].observation) < 3000
    assert "bytes left out" in steps[0].actions[0].observation


def test_notes_of_earlier_attempts_stand_in_the_first_message(tmp_path):
    model = PlayedModel(answer(SUBMIT))
    solve(tmp_path, model, handover="calc.py was looked at", temperature=0.5, seed=7)
    request = model.requests[0]
    assert "calc.py was looked at" in request.messages[1].content
    assert "add() subtracts." in request.messages[1].content
    assert (request.limits.temperature, request.limits.seed) == (0.5, 7)


def test_a_text_call_cut_off_inside_a_body_is_told_so(tmp_path):
    cut = answer(say="<call edit>\naction: create\npath: x\nnew <<END\nabc", stop="length")
    _, steps, sandbox = solve(tmp_path, PlayedModel(cut, answer(SUBMIT)), text_tools=True)
    assert "cut off" in steps[0].actions[0].observation
    assert not (sandbox.tree / "x").exists()


class FaultySearch(DictSearch):
    def text(self, pattern, *, regex, path, limit):
        raise KeyError(pattern)


def test_a_fault_of_our_own_breaks_one_attempt_and_not_the_run(tmp_path):
    told = Told()
    model = PlayedModel(answer(call("search", query="a")))
    with pytest.raises(ScaffoldError, match="KeyError"):
        solve(tmp_path, model, told=told, search=FaultySearch())
    assert len(told.steps) == 1
