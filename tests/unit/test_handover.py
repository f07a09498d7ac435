"""What goes from one attempt to the next: notes without the diff, or patch and conversation."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest

from swe_router.agents import manifest, recorded_attempt
from swe_router.agents.dialogue import DialogueSetup
from swe_router.agents.tool_loop import ToolLoop
from swe_router.policies.cascade import Cascade
from swe_router.records import IMPORTED, WORKDIR, Result, Stop
from swe_router.sandboxes import patch_application
from swe_router.sandboxes.patch_capture import StartSnapshot
from swe_router.solve.engine import solve
from swe_router.solve.handover import CANNOT_CONTINUE, hand_over, why_not_continued
from tests.doubles.agent import FIX, LOOK, SUBMIT, PlayedModel, Told, answer, call
from tests.doubles.earlier import BASE, WORK, WRONG
from tests.doubles.engine import FEATURES, INSTANCE, Ladder, ListMemory, context, plan
from tests.doubles.plain_sandbox import PlainSandbox
from tests.doubles.project import outcome, verdict

AT = {"workdir": WORKDIR}


def handing(mode: str, **fields):
    return plan("cloud").model_copy(update={"handover": mode, **fields})


def test_the_likeliest_patch_is_gone_on_from_where_all_have_a_probability():
    sure = verdict("fail", "acceptance").model_copy(update={"score": 0.6})
    less = verdict("fail", "acceptance").model_copy(update={"score": 0.2})
    past = (outcome("one", sure), outcome("two", less, number=2))
    assert hand_over(handing("continue"), past, lambda name: (), 999, **AT).patch_to_apply == "one"
    unknown = (*past, outcome("three", verdict("fail"), number=3))
    assert (
        hand_over(handing("continue"), unknown, lambda name: (), 999, **AT).patch_to_apply
        == "three"
    )
    assert hand_over(handing("continue"), (), lambda name: (), 999, **AT).message == ""
    assert hand_over(handing("fresh"), past, lambda name: WORK, 999, **AT).message == ""


# One instance, for real: git, the tool loop, and a model that plays.

LEFT = call("edit", action="create", path="left.txt", new="left\n")
EDIT = call("edit", action="replace", path="calc.py", old="a - b", new="a * b")
MEND = call("edit", action="replace", path="calc.py", old="a * b", new="a + b")


class RightOnly:
    def verify(self, outcome, peers, instance, context):
        said = "pass" if "+    return a + b" in outcome.candidate.patch else "fail"
        return verdict(said, "repo-tests").model_copy(
            update={"candidate": outcome.candidate.digest}
        )

    def check(self, verdict):
        return verdict.outcome


@pytest.fixture
def place(tmp_path):
    """Opens sandboxes that are copies of one repository; counts them."""
    seed = PlainSandbox(tmp_path / "seed")
    seed.write("/testbed/calc.py", BASE.encode())
    git = "git -c user.name=t -c user.email=t@t"
    seed.must(f"git init -q && git add -A && {git} commit -qm base")
    opened = []

    @contextmanager
    def open_sandbox(instance):
        home = tmp_path / f"sandbox{len(opened)}"
        shutil.copytree(seed.tree, home / "tree")
        opened.append(PlainSandbox(home))
        yield opened[-1]

    return open_sandbox, opened


SHEET = manifest.read_manifest("default")
LOOP = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)


def real(place, plays, memory=None, **parts):
    """A context with git and the tool loop; ``plays``: tier -> its model."""
    return context(
        memory=memory,
        open_sandbox=place[0],
        snapshot=StartSnapshot.take,
        verifiers=[("repo-tests", RightOnly())],
        scaffold=LOOP,
        model_for=lambda plan, session, hold: plays[plan.arm.model],
        max_handover_bytes=lambda plan: 20_000,
        **{"apply_patch": patch_application.apply_patch, **parts},
    )


def ladder(mode):
    return Ladder([plan("local"), handing(mode)])


def weak():
    return PlayedModel(answer(LOOK), answer(EDIT, LEFT, say="Times!"), answer(SUBMIT))


def first_message(model):
    return model.requests[0].messages[1].content


def test_continuing_goes_on_in_the_earlier_state_and_the_diff_is_against_the_start(place):
    strong = PlayedModel(answer(MEND), answer(SUBMIT))
    work = real(place, {"local": weak(), "cloud": strong})
    record = solve(INSTANCE, FEATURES, policy=ladder("continue"), context=work, run_name="t")
    last = record.outcomes[1].candidate
    assert last.files == ("calc.py", "left.txt")
    assert "-    return a - b\n+    return a + b" in last.patch
    said = first_message(strong)
    assert "its changes are in /testbed now" in said
    assert "Times!" in said
    assert BASE.splitlines()[1] in said, "what the earlier one was shown is part of it"
    assert record.chosen == "2-cloud"


def test_notes_begin_in_the_start_state(place):
    strong = PlayedModel(answer(FIX), answer(SUBMIT))
    work = real(place, {"local": weak(), "cloud": strong})
    record = solve(INSTANCE, FEATURES, policy=ladder("notes"), context=work, run_name="t")
    assert record.outcomes[1].candidate.files == ("calc.py",)
    assert "whose changes are not in /testbed" in first_message(strong)
    assert "a * b" not in first_message(strong)


def test_a_patch_that_does_not_apply_is_handed_over_as_notes_and_the_first_step_says_so(place):
    strong = PlayedModel(answer(SUBMIT))
    memory = ListMemory()
    work = real(
        place,
        {"local": weak(), "cloud": strong},
        memory,
        apply_patch=lambda sandbox, text: Result(exit_code=1, output="error: patch\nfailed"),
    )
    record = solve(INSTANCE, FEATURES, policy=ladder("continue"), context=work, run_name="t")
    assert "whose changes are not in /testbed" in first_message(strong)
    note = memory.steps("2-cloud")[0].note
    assert note == f"{CANNOT_CONTINUE}: the patch of 1-local does not apply: error: patch failed"
    assert why_not_continued(memory.steps("2-cloud"))
    assert replayed(record, memory, "continue") == []


def replayed(record, memory, mode, room=20_000):
    steps = memory.steps("2-cloud")
    handed = hand_over(
        handing(mode),
        record.outcomes[:1],
        memory.steps,
        room,
        why_not_continued(steps),
        workdir=WORKDIR,
    )
    setup = DialogueSetup(
        Told().context(handover=handed.message, continued=handed.continued),
        command_timeout=20,
        command_timeout_max=60,
    )
    end = record.outcomes[1].attempt.trajectory
    return recorded_attempt.recheck_attempt(SHEET, INSTANCE, steps, setup, recorded=end)


@pytest.mark.parametrize("mode", ["notes", "continue"])
def test_a_replay_makes_the_same_requests_and_finds_another_conversation(place, mode):
    memory = ListMemory()
    strong = PlayedModel(answer(LOOK), answer(SUBMIT))
    work = real(place, {"local": weak(), "cloud": strong}, memory)
    record = solve(INSTANCE, FEATURES, policy=ladder(mode), context=work, run_name="t")
    assert replayed(record, memory, mode) == []
    said = memory.told["1-local"][1].completion
    other = said.model_copy(
        update={"message": said.message.model_copy(update={"content": "Plus?"})}
    )
    memory.told["1-local"][1] = memory.told["1-local"][1].model_copy(update={"completion": other})
    assert replayed(record, memory, mode)[0].where == "step 1 request"


@pytest.mark.parametrize("mode", ["notes", "continue"])
def test_a_killed_attempt_that_goes_on_from_another_is_resumed_without_paying_twice(place, mode):
    class Killed(BaseException):
        pass

    class Dies(PlayedModel):
        def complete(self, messages, tools=(), *, limits):
            if len(self.requests) == 1:
                raise Killed
            return super().complete(messages, tools, limits=limits)

    memory = ListMemory()
    work = real(place, {"local": weak(), "cloud": Dies(answer(LOOK), answer(SUBMIT))}, memory)
    with pytest.raises(Killed):
        solve(INSTANCE, FEATURES, policy=ladder(mode), context=work, run_name="t")
    strong = PlayedModel(answer(SUBMIT))
    again = replace(work, model_for=lambda plan, session, hold: strong)
    record = solve(INSTANCE, FEATURES, policy=ladder(mode), context=again, run_name="t")
    assert len(strong.requests) == 1
    steps = memory.steps("2-cloud")
    assert [s.index for s in steps] == [0, 1]
    assert all("past steps not used" not in s.note for s in steps)
    assert record.outcomes[1].candidate.files == (
        ("calc.py", "left.txt") if mode == "continue" else ()
    )
    assert replayed(record, memory, mode) == []


def test_candidates_made_side_by_side_are_not_each_others_past(place):
    plays = {"local": weak(), "cloud": PlayedModel(answer(SUBMIT), answer(SUBMIT))}

    class Pair(Ladder):
        def decide(self, features, history, purse):
            if len(history) > 1:
                return Stop(why="done")
            move = super().decide(features, history, purse)
            more = (handing("notes", seed=1),) if history else ()
            return move.model_copy(update={"plans": (*move.plans, *more)})

    work = real(place, plays)
    solve(
        INSTANCE,
        FEATURES,
        policy=Pair([plan("local"), handing("notes")]),
        context=work,
        run_name="t",
    )
    first, second = (request.messages[1].content for request in plays["cloud"].requests)
    assert first == second
    assert "Times!" in first


@pytest.mark.parametrize("mode", ["fresh", "notes", "continue"])
def test_what_an_instance_came_with_is_handed_over_as_the_policy_says(place, mode):
    """The policy is not shown it; its first tier begins with it all the same."""
    brought = imported(WRONG.replace(" + SOMETHING_WRONG", ""))
    local = PlayedModel(answer(SUBMIT))
    work = real(place, {"local": local}, imported=[brought])
    policy = Cascade([plan("local")], handover=mode)
    record = solve(INSTANCE, FEATURES, policy=policy, context=work, run_name="t")
    assert record.decisions[0].decision.plans[0].handover == mode
    said = first_message(local)
    assert ("earlier attempt" in said) == (mode != "fresh")
    files = ("calc.py",) if mode == "continue" else ()
    assert record.outcomes[1].candidate.files == files
    assert record.outcomes[1].candidate.proven


def imported(diff: str):
    made = outcome(diff, tier=IMPORTED)
    attempt = made.attempt.model_copy(update={"id": "0-imported", "source": "p.json"})
    candidate = made.candidate.model_copy(update={"attempt_id": "0-imported"})
    return made.model_copy(update={"attempt": attempt, "candidate": candidate})
