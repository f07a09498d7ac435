"""What goes from one attempt to the next: notes without the diff, or patch and conversation."""

from __future__ import annotations

import datetime
import shutil
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.agents import manifest, rerun
from swe_router.agents.dialogue import Dialogue, Setup
from swe_router.agents.loop import ToolLoop
from swe_router.assemble.handing import room
from swe_router.assemble.header import Header
from swe_router.models.metered import MeteredModel
from swe_router.policies.cascade import Cascade
from swe_router.prices import flat, free
from swe_router.records import (
    IMPORTED,
    NOTES_BYTES,
    Action,
    Budget,
    Completion,
    Message,
    Result,
    Step,
    Stop,
)
from swe_router.sandboxes import fitting
from swe_router.sandboxes.patch import Snapshot
from swe_router.seams import Desk
from swe_router.settings import load
from swe_router.solve.engine import solve
from swe_router.solve.handover import FELL_BACK, fell_back, hand_over, transcript
from swe_router.solve.notes import Wrong, notes, shortened
from tests.doubles.agent import FIX, LOOK, SUBMIT, PlayedModel, answer, call
from tests.doubles.engine import FEATURES, INSTANCE, Ladder, ListMemory, bench, plan
from tests.doubles.plain_box import PlainBox
from tests.doubles.project import outcome, verdict

BASE = "def add(a, b):\n    return a - b\n"
WRONG = """diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a * b + SOMETHING_WRONG
"""
TEST = "from calc import add\n\nassert add(2, 3) == 5, add(2, 3)\n"
REPRODUCTION = {
    "tests": {
        "w1": {
            "after": "failed",
            "text": TEST,
            "reason": "2 + 3 is 5",
            "said": "AssertionError: 6",
        },
        "w2": {"after": "passed", "text": "assert True"},
    },
    "why": "1 of 2 reproduction tests fails",
}
REPO = {"tests": {"t.py::a": ["passed", "failed"], "t.py::b": ["passed", "passed"]}, "why": "broke"}


def step(index: int, *actions: Action, say: str = "") -> Step:
    message = Message(
        role="assistant", content=say, tool_calls=tuple(action.call for action in actions)
    )
    return Step(index=index, request="r", completion=Completion(message=message), actions=actions)


def did(name: str, shown: str = "", code: int | None = None, **arguments: str) -> Action:
    return Action(call=call(name, **arguments), observation=shown, exit_code=code)


WORK = (
    step(0, did("search", "calc.py:1: def add", query="add")),
    step(1, did("bash", BASE, 0, command="cat calc.py util/other.py"), say="I look at calc.py."),
    step(2, did("bash", "", 1, command="python calc.py")),
    step(
        3,
        did("edit", "Edited", action="replace", path="calc.py", old="a - b", new="a * b"),
        say="Multiplying should do.\n    return a * b + SOMETHING_WRONG\n- then I submit",
    ),
)


def failed(diff: str = WRONG, **fields):
    verdicts = (
        verdict("fail", "reproduction", **REPRODUCTION),
        verdict("fail", "repo-tests", **REPO),
    )
    made = outcome(diff, *verdicts, **fields)
    return made.model_copy(
        update={"candidate": made.candidate.model_copy(update={"files": ("calc.py",)})}
    )


def test_notes_tell_what_was_found_tried_and_failed():
    said = notes([(failed(ended="steps"), WORK)])
    assert "hit its step limit" in said
    assert "It changed calc.py" in said
    assert "Files it took for relevant: calc.py" in said
    assert "It also looked at: util/other.py" in said
    assert "Reproduction test w1 fails with its change (2 + 3 is 5)" in said
    assert "    assert add(2, 3) == 5, add(2, 3)" in said
    assert "AssertionError: 6" in said
    assert "pass without its change and fail with it: t.py::a" in said
    assert "w2" not in said
    assert "t.py::b" not in said
    assert "Multiplying should do." in said
    assert "`python calc.py` (exit code 1)" in said


def test_files_are_named_in_the_order_in_which_they_came_up_whatever_the_process():
    names = [f"part{n}/file{n * 7 % 5}{n}.py" for n in range(11)]
    work = (step(0, did("bash", "", 0, command="cat " + " ".join(names))),)
    assert f"It also looked at: {', '.join(names)}" in notes([(failed(), work)])


def test_notes_do_not_hand_the_wrong_change_on_in_any_guise():
    said = notes([(failed(), WORK)])
    assert "SOMETHING_WRONG" not in said
    assert not any(line.startswith(("+", "-", "@@", "diff ")) for line in said.splitlines())


@pytest.mark.parametrize(
    "command",
    [
        "sed -i 's/a - b/a * b/' calc.py",
        "perl -pi -e 's/a - b/a * b/' calc.py",
        "cat > calc.py <<'EOF'\nreturn a * b\nEOF",
        "echo 'a * b' >> calc.py",
        "python -c \"open('calc.py', 'w').write('a * b')\"",
        "echo 'a * b' | tee calc.py",
    ],
)
def test_a_command_that_makes_the_wrong_change_is_not_told(command):
    ran = (step(0, did("bash", "", 0, command=command), did("bash", "", 1, command="make test")),)
    said = notes([(failed(), ran)])
    assert "a * b" not in said
    assert "`make test` (exit code 1)" in said
    assert "It ran 2 commands" in said


def test_a_command_that_writes_outside_the_project_is_told():
    ran = (step(0, did("bash", "", 0, command="echo '1 2' > /tmp/in.txt 2>&1")),)
    assert "`echo '1 2' > /tmp/in.txt 2>&1`" in notes([(failed(), ran)])


def test_a_failing_test_is_told_though_the_majority_of_tests_passed():
    said = verdict("unknown", "reproduction", **REPRODUCTION)
    assert "Reproduction test w1 fails" in notes([(outcome(WRONG, said), ())])
    assert "It changed calc.py;" in notes([(outcome(WRONG, said), ())])


def test_a_test_that_the_change_itself_added_is_still_told():
    lines = "".join(f"+{line}\n" for line in TEST.splitlines())
    head = "diff --git a/t.py b/t.py\nnew file mode 100644\n--- /dev/null\n+++ b/t.py\n"
    added = f"{head}@@ -0,0 +1,3 @@\n{lines}"
    assert "    assert add(2, 3) == 5, add(2, 3)" in notes([(failed(WRONG + added), ())])


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@given(
    added=st.lists(words, max_size=6), said=st.lists(words, max_size=8), limit=st.integers(0, 900)
)
def test_no_added_line_and_no_byte_too_many_comes_through(added, said, limit):
    diff = "diff --git a/x.py b/x.py\n@@ -0,0 +1 @@\n" + "".join(f"+{line}\n" for line in added)
    prose = "\n".join([*said, *added])
    told = notes([(failed(diff), (step(0, say=prose),))], limit)
    assert len(told.encode()) <= limit
    for mark in Wrong.of(diff).marks():
        assert all(mark not in line for line in told.splitlines() if line.startswith("    "))


@given(st.text(), st.integers(0, 60))
def test_a_text_is_cut_to_its_bytes(text, limit):
    assert len(shortened(text, limit).encode("utf-8", "replace")) <= max(limit, 0)


def test_notes_of_many_long_attempts_stay_bounded():
    long = step(0, say="\n".join(f"sentence number {n} " * 9 for n in range(400)))
    assert len(notes([(failed(number=n), (long,)) for n in range(9)]).encode()) <= NOTES_BYTES


@given(st.lists(st.integers(0, 900), min_size=1, max_size=8), st.integers(60, 4000))
def test_a_transcript_fits_and_keeps_the_newest(sizes, limit):
    steps = [
        step(n, did("bash", "x" * size, 0, command=f"echo {n}")) for n, size in enumerate(sizes)
    ]
    text = transcript(steps, limit)
    assert len(text.encode()) <= limit
    assert f"Step {len(sizes)}:" in text


def test_old_observations_go_before_old_steps():
    steps = [step(n, did("bash", "x" * 800, 0, command=f"echo {n}")) for n in range(4)]
    whole = transcript(steps, 10_000)
    assert whole.count("x" * 800) == 4
    some = transcript(steps, len(whole) - 700)
    assert some.count("x" * 800) == 3
    assert "Step 1:" in some
    least = transcript(steps, 1000)
    assert "steps are left out]" in least or least.count("x" * 800) == 0


def handing(mode: str, **fields):
    return plan("cloud").model_copy(update={"handover": mode, **fields})


def test_the_likeliest_patch_is_gone_on_from_where_all_have_a_probability():
    sure = verdict("fail", "acceptance").model_copy(update={"score": 0.6})
    less = verdict("fail", "acceptance").model_copy(update={"score": 0.2})
    past = (outcome("one", sure), outcome("two", less, number=2))
    assert hand_over(handing("continue"), past, lambda name: (), 999).patch == "one"
    unknown = (*past, outcome("three", verdict("fail"), number=3))
    assert hand_over(handing("continue"), unknown, lambda name: (), 999).patch == "three"
    assert hand_over(handing("continue"), (), lambda name: (), 999).text == ""
    assert hand_over(handing("fresh"), past, lambda name: WORK, 999).text == ""


# One instance, for real: git, the tool loop, and a model that plays.

LEFT = call("edit", action="create", path="left.txt", new="left\n")
EDIT = call("edit", action="replace", path="calc.py", old="a - b", new="a * b")
MEND = call("edit", action="replace", path="calc.py", old="a * b", new="a + b")


class RightOnly:
    def verify(self, outcome, peers, instance, kit):
        said = "pass" if "+    return a + b" in outcome.candidate.patch else "fail"
        return verdict(said, "repo-tests").model_copy(
            update={"candidate": outcome.candidate.digest}
        )

    def check(self, verdict):
        return verdict.outcome


@pytest.fixture
def place(tmp_path):
    """Opens boxes that are copies of one repository; counts them."""
    seed = PlainBox(tmp_path / "seed")
    seed.write("/testbed/calc.py", BASE.encode())
    git = "git -c user.name=t -c user.email=t@t"
    seed.must(f"git init -q && git add -A && {git} commit -qm base")
    opened = []

    @contextmanager
    def open_sandbox(instance):
        home = tmp_path / f"box{len(opened)}"
        shutil.copytree(seed.tree, home / "tree")
        opened.append(PlainBox(home))
        yield opened[-1]

    return open_sandbox, opened


SHEET = manifest.read("default")
LOOP = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)


def real(place, plays, memory=None, **parts):
    """A bench with git and the tool loop; ``plays``: tier -> its model."""
    return bench(
        memory=memory,
        open_sandbox=place[0],
        snapshot=Snapshot.take,
        verifiers=[("repo-tests", RightOnly())],
        scaffold=LOOP,
        model=lambda plan, session, hold: plays[plan.arm.model],
        room=lambda plan: 20_000,
        **{"apply": fitting.apply, **parts},
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
    record = solve(INSTANCE, FEATURES, policy=ladder("continue"), bench=work, run="t")
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
    record = solve(INSTANCE, FEATURES, policy=ladder("notes"), bench=work, run="t")
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
        apply=lambda box, text: Result(exit_code=1, output="error: patch\nfailed"),
    )
    record = solve(INSTANCE, FEATURES, policy=ladder("continue"), bench=work, run="t")
    assert "whose changes are not in /testbed" in first_message(strong)
    note = memory.steps("2-cloud")[0].note
    assert note == f"{FELL_BACK}: the patch of 1-local does not apply: error: patch failed"
    assert fell_back(memory.steps("2-cloud"))
    assert replayed(record, memory, "continue") == []


def replayed(record, memory, mode, room=20_000):
    steps = memory.steps("2-cloud")
    handed = hand_over(handing(mode), record.outcomes[:1], memory.steps, room, fell_back(steps))
    setup = Setup(
        handover=handed.text,
        continued=handed.continued,
        command_timeout=20,
        command_timeout_max=60,
    )
    end = record.outcomes[1].attempt.trajectory
    return rerun.recompute(SHEET, INSTANCE, steps, setup, recorded=end)


@pytest.mark.parametrize("mode", ["notes", "continue"])
def test_a_replay_makes_the_same_requests_and_finds_another_conversation(place, mode):
    memory = ListMemory()
    strong = PlayedModel(answer(LOOK), answer(SUBMIT))
    work = real(place, {"local": weak(), "cloud": strong}, memory)
    record = solve(INSTANCE, FEATURES, policy=ladder(mode), bench=work, run="t")
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
        solve(INSTANCE, FEATURES, policy=ladder(mode), bench=work, run="t")
    strong = PlayedModel(answer(SUBMIT))
    again = replace(work, model=lambda plan, session, hold: strong)
    record = solve(INSTANCE, FEATURES, policy=ladder(mode), bench=again, run="t")
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
    solve(INSTANCE, FEATURES, policy=Pair([plan("local"), handing("notes")]), bench=work, run="t")
    first, second = (request.messages[1].content for request in plays["cloud"].requests)
    assert first == second
    assert "Times!" in first


def test_an_earlier_conversation_takes_what_window_and_limit_bear():
    sizes = ("local.window=10000", "local.max_output_tokens=2000", "cloud.window=200000")
    settings = load("demo", sets=[f"tiers.{one}" for one in sizes])
    price = flat(Decimal(3), Decimal(15), source="t", on=datetime.date(2026, 1, 1))
    rates = {"local": free(datetime.date(2026, 1, 1)), "cloud": price}
    header = Header(settings, "", rates, {}, "local", {}, 0.0)
    local, cloud = header.ladder()
    assert room(header, local) == 8000 * 3 // 2, "half the window's room, at three bytes a token"
    cheap = cloud.model_copy(update={"budget": Budget(dollars=Decimal("0.12"))})
    assert room(header, cheap) == 10_000, "a quarter of the limit, at a token a byte"
    dear = cloud.model_copy(update={"budget": Budget(dollars=Decimal(100))})
    assert room(header, dear) > 200_000


class Books:
    def __init__(self):
        self.reserved = []

    def reserve(self, usd):
        self.reserved.append(usd)
        return str(len(self.reserved))

    def settle(self, reservation, usd, usage, note=""):
        pass


@given(limit=st.integers(500, 30_000))
def test_the_prefix_is_reserved_for_at_the_price_of_input(limit):
    price = flat(Decimal(3), Decimal(15), source="t", on=datetime.date(2026, 1, 1))
    text = transcript([step(0, did("bash", "x" * 40_000, 0, command="echo"))], limit)

    def reserved(handover: str) -> Decimal:
        books = Books()
        model = MeteredModel(PlayedModel(answer(SUBMIT)), books, price)
        desk = Desk(record=lambda step: None, clock=lambda: 0.0, handover=handover)
        request = Dialogue(SHEET, INSTANCE, Setup.of(desk, 20, 60)).request()
        model.complete(request.messages, request.tools, limits=request.limits)
        return books.reserved[0]

    least = Decimal(len(text.encode())) * 3 / 1_000_000
    assert reserved(text) - reserved("") >= least


@pytest.mark.parametrize("mode", ["fresh", "notes", "continue"])
def test_what_an_instance_came_with_is_handed_over_as_the_policy_says(place, mode):
    """The policy is not shown it; its first tier begins with it all the same."""
    brought = imported(WRONG.replace(" + SOMETHING_WRONG", ""))
    local = PlayedModel(answer(SUBMIT))
    work = real(place, {"local": local}, came_with=[brought])
    policy = Cascade([plan("local")], handover=mode)
    record = solve(INSTANCE, FEATURES, policy=policy, bench=work, run="t")
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
