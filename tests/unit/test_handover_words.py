"""Each line of the notes and of an earlier conversation, at its limits."""

from __future__ import annotations

import pytest

from swe_router.records import Completion, Message, Outcome, Step, ToolCall
from swe_router.solve.handover import CANNOT_CONTINUE, hand_over, transcript, why_not_continued
from swe_router.solve.handover_notes import CUT_MARK, notes, shortened
from tests.doubles.earlier import did, step
from tests.doubles.engine import plan
from tests.doubles.project import outcome, verdict

HEAD = "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n"
DIFF = f"{HEAD}@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a * b\n"
AT = "/testbed"


def lines(made: Outcome, *steps: Step, limit: int = 6000) -> list[str]:
    return notes([(made, steps)], AT, limit).splitlines()


def ended(how, why="", steps=3, patch=DIFF, *verdicts):
    made = outcome(patch, *verdicts, ended=how)
    trajectory = made.attempt.trajectory.model_copy(update={"why": why, "steps": steps})
    attempt = made.attempt.model_copy(update={"trajectory": trajectory})
    return made.model_copy(update={"attempt": attempt})


def test_an_attempt_is_told_by_its_end_its_change_and_its_checks():
    assert lines(ended("time", "too slow")) == [
        "An earlier attempt hit its time limit after 3 steps (too slow).",
        "It changed calc.py; that change is not trusted.",
        "Checks of its change said nothing.",
    ]
    checked = ended("submitted", "it says so", 2, DIFF, verdict("pass", "a"), verdict("fail", "b"))
    assert lines(checked) == [
        "An earlier attempt was submitted after 2 steps.",
        "It changed calc.py; that change is not trusted.",
        "Checks of its change said a: pass, b: fail.",
    ]
    assert lines(ended("gave_up", patch=""))[1] == "It left no change."
    bare = Outcome(attempt=ended("gave_up").attempt)
    assert lines(bare)[1] == "It left no change."
    assert lines(ended("gave_up", "x" * 300))[0].endswith(f"({'x' * 200}).")
    assert lines(ended("gave_up", patch="no diff at all"))[1] == (
        "It changed files; that change is not trusted."
    )


def test_at_most_three_attempts_are_told_the_latest_and_each_in_its_share():
    many = [(ended("time", steps=n), ()) for n in range(5)]
    told = notes(many, AT)
    assert [n for n in range(5) if f"after {n} steps" in told] == [2, 3, 4]
    assert told.count("\n\n") == 2
    short = notes(many[:2], AT, 130)
    assert len(short.encode()) <= 130
    assert short.split("\n\n")[0].endswith(CUT_MARK)
    assert "after 1 steps" in short
    assert notes([], AT) == ""


def test_what_refused_a_change_says_why_and_what_it_broke():
    why = "return a * b is wrong\nthe sum is off"
    tests: dict[str, object] = {"t.py::a": ["passed", "failed"], "t.py::b": ["failed", "failed"]}
    tests |= {"t.py::c": "pf", "t.py::d": 3, "t.py::e": {"passed": 1, "failed": 2}}
    refused = ended("submitted", "", 1, DIFF, verdict("fail", "repo-tests", why=why, tests=tests))
    assert lines(refused)[3:] == [
        "repo-tests failed: the sum is off",
        "Tests of the repository that pass without its change and fail with it: t.py::a",
    ]
    passed = ended("submitted", "", 1, DIFF, verdict("pass", "repo-tests", why=why, tests=tests))
    assert lines(passed)[3:] == []
    assert lines(ended("time", "", 1, DIFF, verdict("fail", "x", tests=["t"])))[3:] == []
    long = ended("time", "", 1, DIFF, verdict("fail", "x", why="y" * 400))
    assert lines(long)[3:] == [f"x failed: {'y' * 300}"]
    nothing = ended("time", "", 1, DIFF, verdict("fail", "x", why=None))
    assert lines(nothing)[3:] == []


def test_a_reproduction_test_that_still_fails_is_shown_and_one_that_passes_is_not():
    text = "import calc\nassert calc.add(1, 2) == 3"
    evidence = {
        "w1": {"after": "failed", "text": text, "reason": "1 + 2 is 3", "said": "Error\n-> 2"},
        "w2": {"after": "passed", "text": text},
        "w3": {"after": "failed", "text": text},
    }
    made = ended("time", "", 1, DIFF, verdict("unknown", "reproduction", tests=evidence))
    assert lines(made)[3:] == [
        "Reproduction test w1 fails with its change (1 + 2 is 3)",
        "    import calc", "    assert calc.add(1, 2) == 3",
        "  and said:", "    Error", "    -> 2",
        "Reproduction test w3 fails with its change",
        "    import calc", "    assert calc.add(1, 2) == 3",
    ]  # fmt: skip
    big = {"w": {"after": "failed", "text": "a = 1\n" * 400, "said": "b\n" * 400}}
    told = lines(ended("time", "", 1, DIFF, verdict("fail", "r", tests=big)))
    test_lines = told[told.index("Reproduction test w fails with its change") + 1 :]
    split = test_lines.index("  and said:")
    assert 1480 < len("\n".join(one[4:] for one in test_lines[:split])) <= 1500
    assert 480 < len("\n".join(one[4:] for one in test_lines[split + 1 :])) <= 500
    long_reason = {"w": {"after": "failed", "reason": "z" * 400}}
    told = lines(ended("time", "", 1, DIFF, verdict("fail", "r", tests=long_reason)))
    assert told[3:] == [f"Reproduction test w fails with its change ({'z' * 300})"]


def test_what_was_looked_at_twice_or_edited_is_relevant_and_searches_add_the_rest():
    work = (
        step(0, did("search", "lib/deep.py:3: x\nseen.py:1: y\ncalc.py:9: z", query="x")),
        step(1, did("bash", "", 0, command=f"cat twice.py seen.py {AT}/calc.py")),
        step(2, did("bash", "", 0, command="cat twice.py")),
        step(3, did("edit", "Edited", path=f"{AT}/./calc.py", action="replace")),
    )
    told = lines(ended("time"), *work)
    assert told[3:6] == [
        "Files it took for relevant: calc.py, twice.py",
        "It also looked at: seen.py",
        "Its searches led to: lib/deep.py",
    ]
    assert told[6] == (
        f"It ran 2 commands, of late `cat twice.py seen.py {AT}/calc.py` (exit code 0),"
        " `cat twice.py` (exit code 0)"
    )


def test_a_call_that_was_no_call_did_nothing():
    broken = did("bash", "", None, command="cat other.py")
    wrong = broken.model_copy(
        update={"call": ToolCall(id="c", name="bash", arguments={"command": "cat o.py"}, error="x")}
    )
    assert lines(ended("time"), step(0, wrong))[3:] == []


def test_lists_are_of_twelve_names_six_searches_and_four_commands():
    names = [f"f{n:02}.py" for n in range(14)]
    told = lines(ended("time"), step(0, did("bash", "", 0, command=" ".join(["cat", *names]))))
    assert told[3] == f"It also looked at: {', '.join(names[:12])} and 2 more"
    told = lines(ended("time"), step(0, did("bash", "", 0, command=" ".join(names[:12]))))
    assert told[3] == f"It also looked at: {', '.join(names[:12])}"
    told = lines(ended("time"), step(0, did("search", "\n".join(names))))
    assert told[3] == f"Its searches led to: {', '.join(names[:6])}"
    ran = [did("bash", "", n, command=f"make {n}") for n in range(6)]
    told = lines(ended("time"), step(0, *ran))
    expected = ", ".join(f"`make {n}` (exit code {n})" for n in range(2, 6))
    assert told[3] == f"It ran 6 commands, of late {expected}"
    told = lines(ended("time"), step(0, did("bash", "", 0, command=f"  make {'x' * 200}\nls")))
    assert told[3] == f"It ran 1 commands, of late `make {'x' * 95}` (exit code 0)"


def test_the_last_words_are_the_last_eight_lines_of_prose_of_six_steps():
    said = [step(n, say=f"- word {n}\n\n```\ncode {n}\n```\n<call x>y</call>") for n in range(8)]
    assert lines(ended("time"), *said)[3:] == [
        "Its own last words:", *(f"    word {n}" for n in range(2, 8))
    ]  # fmt: skip
    long = step(0, say="\n".join(f"line {n} {'x' * 400}" for n in range(10)))
    told = lines(ended("time"), long, limit=9000)[4:]
    assert [one.split()[1] for one in told] == [str(n) for n in range(2, 10)]
    assert {len(one) for one in told} == {304}


def test_lines_that_the_change_removed_and_lines_of_a_diff_are_not_told():
    said = "return a - b\nreturn c\n@@ -1 +1 @@\nso return a * b it is\nx"
    assert lines(ended("time"), step(0, say=said))[4:] == ["    return c", "    x"]
    patch = f"{HEAD}@@ -1,3 +1,3 @@\n-x = 1\n-longer\n+y = 1\n+y = 100\n"
    said = "x = 1\nlonger\nfar longer\ny = 1\nand y = 100 too"
    told = lines(ended("time", patch=patch), step(0, say=said))[4:]
    assert told == ["    x = 1", "    far longer", "    y = 1"], "short lines are common"


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("one\ntwo", 7, "one\ntwo"),
        ("one\ntwo!", 7, "\n[cut h"),
        ("one\ntwo three four", 16, f"one\n{CUT_MARK}"),
        ("one two three", 13, "one two three"),
        ("one two three four", 14, f"one\n{CUT_MARK}"),
        ("äöü äöü äöü", 15, f"äö\n{CUT_MARK}"),
        ("anything", 0, ""),
        ("anything", -3, ""),
    ],
)
def test_a_text_keeps_its_first_whole_lines_and_a_mark(text, limit, short):
    assert shortened(text, limit) == short


# Going on from an earlier conversation.


def test_a_conversation_gives_up_old_observations_first_and_then_old_steps():
    steps = [step(n, did("bash", f"{n}" * 301, 0, command="ls"), say=f"I {n}") for n in range(3)]
    whole = transcript(steps, 10_000)
    assert whole.split("\n\n")[0].startswith("Step 1:\nI 0\n")
    assert whole.split("\n\n")[2].endswith(f"Shown:\n{'2' * 301}")
    assert transcript(steps, len(whole)) == whole
    one = transcript(steps, len(whole) - 1)
    assert one.count("[301 bytes were shown here]") == 1
    assert one.split("\n\n")[0].endswith("[301 bytes were shown here]")
    elided = "\n\n".join(one.replace(f"Shown:\n{n * 301}", "[301 bytes were shown here]")
                         for n, one in zip("012", whole.split("\n\n"), strict=True))  # fmt: skip
    assert transcript(steps, len(elided)) == elided
    head = "[the first 1 steps are left out]"
    assert transcript(steps, len(elided) - 1) == "\n\n".join([head, *elided.split("\n\n")[1:]])
    two = "\n\n".join(["[the first 2 steps are left out]", elided.split("\n\n")[2]])
    assert transcript(steps, len(two)) == two
    assert transcript(steps, len(two) - 1) == shortened(elided.split("\n\n")[2], len(two) - 1)
    assert transcript([], 100) == ""


def test_a_short_observation_stays_and_a_call_that_was_none_is_not_repeated():
    wrong = did("bash", "no such tool", None, command="ls")
    wrong = wrong.model_copy(update={"call": wrong.call.model_copy(update={"error": "bad"})})
    made = step(0, did("bash", "x" * 300, 0, command="ls"), wrong)
    told = transcript([made], 10_000)
    assert told.count("command") == 1
    assert transcript([made], len(told) - 1).count("x" * 300) <= 1
    assert "bytes were shown here" not in transcript([made], len(told) - 1)
    text_call = made.model_copy(
        update={"completion": Completion(message=Message(role="assistant", content="<call>"))}
    )
    assert "command" not in transcript([text_call], 10_000), "it stands in the answer"


def handing(mode: str):
    return plan("cloud").model_copy(update={"handover": mode})


def over(mode, past, work=(), fallen="", room=5000):
    return hand_over(handing(mode), past, lambda name: work, room, fallen, workdir=AT)


def test_only_an_attempt_that_left_a_patch_or_steps_is_handed_over():
    nothing = outcome("")
    assert over("notes", (nothing,)).message == ""
    assert over("notes", (Outcome(attempt=nothing.attempt),)).message == ""
    work = (step(0, say="words"),)
    assert "words" in over("notes", (nothing,), work).message
    going_on = over("continue", (nothing,), work)
    assert (going_on.continued, going_on.patch_to_apply, going_on.continued_attempt_id) == (
        True,
        "",
        nothing.attempt.id,
    )
    assert going_on.message.endswith("Step 1:\nwords")


def test_the_last_patch_is_gone_on_from_where_one_has_no_probability():
    sure = verdict("fail", "acceptance").model_copy(update={"score": 0.6})
    past = (outcome("a", sure), outcome("b", sure, number=2), outcome("", number=3))
    assert over("continue", past).patch_to_apply == "b", "of two as likely the later"
    assert over("continue", (past[0], outcome("c", number=4))).patch_to_apply == "c"
    assert over("continue", (past[0], past[2]), (step(0, say="w"),)).patch_to_apply == "a"


def test_what_cannot_be_continued_becomes_notes_and_says_so():
    handed = over("continue", (outcome(DIFF),), fallen="the patch does not apply")
    assert (handed.continued, handed.patch_to_apply) == (False, "")
    assert handed.note == f"{CANNOT_CONTINUE}: the patch does not apply"
    assert over("notes", (outcome(DIFF),)).note == ""
    noted = step(0).model_copy(update={"note": f"{handed.note}; elided 3 observations"})
    assert why_not_continued([noted]) == "the patch does not apply"
    assert why_not_continued([step(0)]) == ""
    assert why_not_continued([]) == ""


def test_the_notes_and_the_conversation_share_the_room():
    work = tuple(step(n, did("bash", "y" * 900, 0, command="ls")) for n in range(4))
    handed = over("continue", (outcome(DIFF),), work, room=2000)
    assert len(handed.message.encode()) <= 2002
    assert "Step 4:" in handed.message
    assert handed.message.startswith("An earlier attempt was submitted")


def test_a_step_without_words_begins_with_what_it_did():
    told = transcript([step(0, did("bash", "out", 0, command="ls"))], 1000)
    assert told.startswith("Step 1:\n<")
    assert told.endswith("\nShown:\nout")
