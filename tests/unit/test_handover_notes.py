"""Notes of earlier attempts: what was found, tried and failed, and not the wrong change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.records import NOTES_BYTES, WORKDIR
from swe_router.solve.handover_notes import RejectedLines, notes, shortened
from tests.doubles.earlier import WORK, WRONG, did, step
from tests.doubles.project import outcome, verdict

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
    said = notes([(failed(ended="steps"), WORK)], WORKDIR)
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
    assert f"It also looked at: {', '.join(names)}" in notes([(failed(), work)], WORKDIR)


def test_notes_do_not_hand_the_wrong_change_on_in_any_guise():
    said = notes([(failed(), WORK)], WORKDIR)
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
    said = notes([(failed(), ran)], WORKDIR)
    assert "a * b" not in said
    assert "`make test` (exit code 1)" in said
    assert "It ran 2 commands" in said


def test_a_command_that_writes_outside_the_project_is_told():
    ran = (step(0, did("bash", "", 0, command="echo '1 2' > /tmp/in.txt 2>&1")),)
    assert "`echo '1 2' > /tmp/in.txt 2>&1`" in notes([(failed(), ran)], WORKDIR)


def test_a_failing_test_is_told_though_the_majority_of_tests_passed():
    said = verdict("unknown", "reproduction", **REPRODUCTION)
    assert "Reproduction test w1 fails" in notes([(outcome(WRONG, said), ())], WORKDIR)
    assert "It changed calc.py;" in notes([(outcome(WRONG, said), ())], WORKDIR)


def test_a_test_that_the_change_itself_added_is_still_told():
    lines = "".join(f"+{line}\n" for line in TEST.splitlines())
    head = "diff --git a/t.py b/t.py\nnew file mode 100644\n--- /dev/null\n+++ b/t.py\n"
    added = f"{head}@@ -0,0 +1,3 @@\n{lines}"
    assert "    assert add(2, 3) == 5, add(2, 3)" in notes([(failed(WRONG + added), ())], WORKDIR)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@given(
    added=st.lists(words, max_size=6), said=st.lists(words, max_size=8), limit=st.integers(0, 900)
)
def test_no_added_line_and_no_byte_too_many_comes_through(added, said, limit):
    diff = "diff --git a/x.py b/x.py\n@@ -0,0 +1 @@\n" + "".join(f"+{line}\n" for line in added)
    prose = "\n".join([*said, *added])
    told = notes([(failed(diff), (step(0, say=prose),))], WORKDIR, limit)
    assert len(told.encode()) <= limit
    for mark in RejectedLines.of(diff).searched_lines():
        assert all(mark not in line for line in told.splitlines() if line.startswith("    "))


@given(st.text(), st.integers(0, 60))
def test_a_text_is_cut_to_its_bytes(text, limit):
    assert len(shortened(text, limit).encode("utf-8", "replace")) <= max(limit, 0)


def test_notes_of_many_long_attempts_stay_bounded():
    long = step(0, say="\n".join(f"sentence number {n} " * 9 for n in range(400)))
    assert (
        len(notes([(failed(number=n), (long,)) for n in range(9)], WORKDIR).encode()) <= NOTES_BYTES
    )
