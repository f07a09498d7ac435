"""A crash costs nothing twice, and a finished attempt can be made again from its record."""

from decimal import Decimal

import pytest

from swe_router.agents import manifest, recorded_attempt
from swe_router.agents.dialogue import DialogueSetup
from swe_router.agents.manifest import LoopLimits
from swe_router.agents.tool_loop import PAST_LEFT, ToolLoop
from swe_router.errors import EngineGone
from swe_router.records import Budget, Step, Trajectory
from swe_router.records.conversation import UNUSED_ANSWER
from tests.doubles.agent import (
    FIX,
    INSTANCE,
    LOOK,
    SUBMIT,
    PlayedModel,
    TempSandbox,
    Told,
    answer,
    call,
)

RICH = Budget(dollars=Decimal(10))
SHEET = manifest.read_manifest("default").model_copy(update={"limits": LoopLimits(keep_turns=2)})
SMALL = {"window": 7000, "max_output_tokens": 1000}
NOISE = call("bash", command="date +%N; yes 0123456789 | head -c 4000")
PLAYS = [
    answer(LOOK, call("bsh")),
    answer(FIX, NOISE),
    answer(say="Hm."),
    *[answer(NOISE)] * 4,
    answer(call("bash", command="echo done > made.txt"), NOISE),
    answer(SUBMIT),
]


def run(tmp_path, plays, past=(), **context):
    told, sandbox, model = Told(), TempSandbox(tmp_path), PlayedModel(*plays)
    loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
    end = loop.solve(
        INSTANCE, model, sandbox, RICH, told.context(past=past, **{**SMALL, **context})
    )
    return end, told.steps, sandbox, model


def setup(**context):
    return DialogueSetup(
        Told().context(**{**SMALL, **context}), command_timeout=20, command_timeout_max=60
    )


def journaled(steps):
    """The steps as the run folder gives them back."""
    return [Step.model_validate_json(step.model_dump_json()) for step in steps]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    end, steps, _, model = run(tmp_path_factory.mktemp("whole"), PLAYS)
    assert any(step.note for step in steps), "the plays must need an elision"
    return end, journaled(steps), model.requests


@pytest.mark.parametrize("done", range(len(PLAYS) + 1))
def test_a_resumed_attempt_sends_what_the_whole_one_sends_and_pays_for_no_step_twice(
    tmp_path, whole, done
):
    end, steps, requests = whole
    again, fresh, sandbox, model = run(tmp_path, PLAYS[done:], past=steps[:done])
    assert model.requests[:1] == requests[done : done + 1]
    assert [step.index for step in fresh] == list(range(done, len(PLAYS)))
    assert all(PAST_LEFT not in step.note for step in fresh)
    assert (again.exit, again.steps, again.usd) == (end.exit, end.steps, end.usd)
    assert sandbox.read("/testbed/calc.py").endswith(b"a + b\n")
    assert sandbox.read("/testbed/made.txt") == b"done\n"
    before = steps[done - 1].seal if done else ""
    for step in fresh:
        assert step.sealed(before).seal == step.seal
        before = step.seal


class Leaves(TempSandbox):
    """A sandbox whose engine goes away under the first edit."""

    def write(self, path, data):
        if getattr(self, "ran", None):
            raise EngineGone("the Docker engine does not answer")
        super().write(path, data)


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_edit_that_the_engine_cut_short_is_made_in_the_next_sandbox(tmp_path, whole, comes_back):
    """Recorded without its actions it was replayed without them: an empty patch was handed in."""
    end, _, requests = whole
    told, loop = Told(), ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
    context = told.context(comes_back=comes_back, **SMALL)
    with pytest.raises(EngineGone):
        loop.solve(INSTANCE, PlayedModel(*PLAYS), Leaves(tmp_path / "a"), RICH, context)
    if not comes_back:  # nobody acts upon it again: the paid answer is kept
        assert [len(step.actions) for step in told.steps] == [2, 0]
        return
    past = journaled(told.steps)
    again, _, sandbox, model = run(tmp_path / "b", PLAYS[len(past) :], past=past)
    assert model.requests[0] == requests[1], "the answer that was paid for is asked for otherwise"
    assert (again.exit, again.steps) == (end.exit, end.steps)
    assert sandbox.read("/testbed/calc.py").endswith(b"a + b\n")


def test_the_recorded_observation_stands_though_the_command_says_another_thing_now(tmp_path, whole):
    _, steps, _ = whole
    _, _, _, model = run(tmp_path, [answer(SUBMIT)], past=steps[:2])
    sent = [message.content for message in model.requests[0].messages]
    assert steps[1].actions[1].observation in sent


def test_a_past_that_no_longer_fits_is_left_and_the_next_note_says_so(tmp_path, whole):
    _, steps, _ = whole
    changed = steps[1].actions[0].model_copy(update={"observation": "tampered"})
    bent = [steps[0], steps[1].model_copy(update={"actions": (changed,)}), steps[2]]
    end, fresh, sandbox, model = run(tmp_path, PLAYS[2:], past=bent)
    assert fresh[0].note.startswith(f"{PAST_LEFT} 2")
    assert [step.index for step in fresh][:2] == [3, 4]
    assert end.steps == 3 + len(fresh)
    assert end.usd == Decimal("0.01") * end.steps
    assert "tampered" in str(model.requests[0].messages[-2])
    assert sandbox.read("/testbed/calc.py").endswith(b"a + b\n")
    found = recorded_attempt.recheck_attempt(
        SHEET, INSTANCE, journaled([*bent, *fresh]), setup(), recorded=end
    )
    assert {d.where.partition(" (")[0] for d in found} == {"step 2 seal", "step 3 request"}


def test_the_seconds_before_the_crash_count(tmp_path, whole):
    _, steps, _ = whole
    told, model = Told(), PlayedModel(answer(SUBMIT))
    loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
    budget = Budget(dollars=Decimal(10), seconds=3)
    context = told.context(past=steps[:4], clock=lambda: 1000.0, **SMALL)
    end = loop.solve(INSTANCE, model, TempSandbox(tmp_path), budget, context)
    assert (end.exit, told.steps) == ("time", [])


def test_a_whole_attempt_is_recomputed_without_a_difference(whole):
    end, steps, _ = whole
    assert (
        recorded_attempt.recheck_attempt(SHEET, INSTANCE, steps, setup(), recorded=end, budget=RICH)
        == []
    )


def test_an_answer_that_was_paid_and_not_acted_on_is_no_difference(whole):
    _, steps, _ = whole
    number = next(step.index for step in steps if step.note)
    past, unused = steps[:number], {"actions": (), "note": UNUSED_ANSWER}
    last = steps[number].model_copy(update=unused).sealed(past[-1].seal)
    ended = Trajectory.of([*past, last], "stop_loss", f"stopped at {number}")

    def stop_loss(steps, usd):
        return f"stopped at {steps}" if steps >= number else ""

    assert (
        recorded_attempt.recheck_attempt(
            SHEET, INSTANCE, [*past, last], setup(), recorded=ended, stop_loss=stop_loss
        )
        == []
    )


def flipped(steps, number, **update):
    bent = list(steps)
    bent[number] = bent[number].model_copy(update=update)
    return bent


def firsts(steps, end):
    return [
        d.where
        for d in recorded_attempt.recheck_attempt(SHEET, INSTANCE, steps, setup(), recorded=end)
    ]


def test_a_flip_anywhere_is_found_and_named(whole):
    end, steps, _ = whole
    said = steps[2].completion
    other = said.model_copy(update={"message": said.message.model_copy(update={"content": "Ha."})})
    assert (
        firsts(flipped(steps, 2, completion=other), end)[0] == "step 3 seal (answer or observation)"
    )
    dear = steps[3].completion.model_copy(update={"usd": Decimal(9)})
    assert firsts(flipped(steps, 3, completion=dear), end) == [
        "step 4 seal (usage, usd or seconds)",
        "usd",
    ]
    look = steps[0].actions[0].model_copy(update={"observation": "nothing"})
    bent = flipped(steps, 0, actions=(look, steps[0].actions[1]))
    assert firsts(bent, end)[0] == "step 1 seal (answer or observation)"
    told = steps[0].actions[1].model_copy(update={"observation": "well done"})
    bent = flipped(steps, 0, actions=(steps[0].actions[0], told))
    assert firsts(bent, end)[0] == "step 1 observation"
    gone = steps[1].actions[0].call.model_copy(update={"name": "search"})
    bent = flipped(steps, 1, actions=(steps[1].actions[0].model_copy(update={"call": gone}),))
    assert firsts(bent, end)[0] == "step 2 answer"
    assert firsts(flipped(steps, 4, request="0" * 64), end) == ["step 5 request"]
    assert firsts(flipped(steps, 4, note="all fine"), end)[0].startswith("step 5")


def test_an_exit_that_the_steps_do_not_bear_out_is_found(whole):
    end, steps, _ = whole
    for wrong in ("gave_up", "steps", "time"):
        assert firsts(steps, end.model_copy(update={"exit": wrong})) == ["exit"]
    assert "exit" in firsts(steps[:-1], end)
    assert "seal" in firsts(steps[:-1], end)
    assert firsts(steps, end.model_copy(update={"usd": Decimal(1)})) == ["usd"]


def test_another_issue_or_setting_is_another_conversation(whole):
    end, steps, _ = whole
    other = INSTANCE.model_copy(update={"problem": "Something else."})
    found = recorded_attempt.recheck_attempt(SHEET, other, steps, setup(), recorded=end)
    assert found[0].where == "step 1 request"
    found = recorded_attempt.recheck_attempt(
        SHEET, INSTANCE, steps, setup(temperature=0.3), recorded=end
    )
    assert found[0].where == "step 1 request"
