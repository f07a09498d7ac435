"""What agents leave: read as a shell reads it, run again, and judged by result or print."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.records import WORKDIR
from swe_router.shell import commands
from swe_router.verifiers.reproduction import printed_output
from swe_router.verifiers.reproduction.harvested_scripts import HarvestedScript, harvest_scripts
from tests.doubles.steps import bash, step


def found(*scripts: str | tuple[str, str, int], known: Sequence[str] = ()) -> list[HarvestedScript]:
    return harvest_scripts(bash(*scripts), set(known).__contains__, WORKDIR)


# shell text --------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(blacklist_characters="\0", codec="utf-8"), max_size=200))
def test_a_quoted_here_document_keeps_any_text(body: str) -> None:
    lines = "".join(f"{line}\n" for line in body.split("\n") if line != "THE_END")
    script = f"cat <<'THE_END' > x.py\n{lines}THE_END\npython x.py --now\n"
    first, second = commands(script)
    assert (first.document, first.writes) == (lines, [("x.py", False)])
    assert second.words == ["python", "x.py", "--now"]


@given(st.text(alphabet="ab \\'\"$`()<>|&;#\n\tEOF", max_size=60))
@settings(max_examples=150)
def test_no_text_breaks_the_reader(script: str) -> None:
    for command in commands(script):
        assert command.words or command.writes or command.document is not None


@given(st.text(alphabet="ab1 \\'\"\t-.#", max_size=24))
@settings(max_examples=60, deadline=None)
def test_words_are_those_of_a_real_shell(script: str) -> None:
    if script.count("\\") and script.rstrip("\n").endswith("\\"):
        return
    shown = subprocess.run(
        ["sh", "-c", f"printf '<%s>' say {script}"], capture_output=True, check=False
    )
    if shown.returncode or shown.stderr:
        return  # unbalanced quotes
    words = commands(f"say {script}")[0].words
    assert "".join(f"<{word}>" for word in words) == shown.stdout.decode()


def test_expanding_documents_are_known_only_without_expansions() -> None:
    assert commands('cat > a <<EOF\nx = "\\$y" \\\\ 5$\nEOF\n')[0].document == 'x = "$y" \\ 5$\n'
    assert commands("cat > a <<EOF\nx = $y\nEOF\n")[0].document is None
    assert commands("cat > a <<EOF\nx = `date`\nEOF\n")[0].document is None
    assert commands("cat <<-EOF > a\n\tx\n\tEOF\n")[0].document == "x\n"
    assert not commands('python -c "print($x)"')[0].known
    two = commands("cat <<A <<'B'\none\nA\ntwo\nB\necho done")
    assert [command.document for command in two] == ["two\n", None]
    assert commands("cat <<'EOF' > a\nnever ended")[0].document == "never ended\n"


# what was left -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "way", "place", "arguments"),
    [
        ("python x.py", "script", "", ()),
        (
            "cd /testbed && PYTHONPATH=. timeout 60 python3.9 -W ignore x.py -v",
            "script",
            "",
            ("-v",),
        ),
        ("python -m pytest -q x.py::test_a", "pytest", "", ()),
        ("pytest x.py -k a 2>&1 | tail -5", "pytest", "", ()),
        ("python -m unittest x", "module", "", ()),
        ("python bin/test x.py", "module", "", ()),
        ("python -m x", "script", "", ()),
        ("cd sub && python ../x.py", "script", "", ()),
    ],
)
def test_how_a_file_was_run(run: str, way: str, place: str, arguments: tuple[str, ...]) -> None:
    (one,) = found("cat > x.py <<'EOF'\nprint(1)\nEOF", (run, "FAIL", 1))
    test = one.test
    assert (one.path, test.text, test.run_mode, test.folder) == ("x.py", "print(1)\n", way, place)
    assert test.arguments == arguments
    assert test.working_directory == ("/testbed/sub" if "sub" in run else "")


def test_a_label_of_django_is_a_file() -> None:
    (one,) = found(
        "cat > tests/queries/test_repro.py <<'EOF'\nx\nEOF",
        ("./tests/runtests.py --settings=test_sqlite queries.test_repro.Case.test_a", "FAILED", 1),
    )
    assert (one.path, one.test.run_mode, one.test.folder) == (
        "tests/queries/test_repro.py",
        "django",
        "tests/queries",
    )


def test_the_text_is_that_of_the_run_and_the_most_telling_one() -> None:
    make = "cat > x.py <<'EOF'\n{}\nEOF\npython x.py"
    ran = found(
        (make.format("one"), "Traceback", 1),
        (make.format("two"), "BUG", 0),
        ("python x.py", "fine", 0),
        (make.format("three"), "fine", 0),
        "rm x.py",
    )
    assert [(one.test.text, one.usefulness_hint) for one in ran] == [("two\n", 4)]


def test_a_text_that_said_something_else_later_is_worth_more_than_one_that_broke_off() -> None:
    ran = found(
        ("cat > x.py <<'EOF'\nprint(joins())\nEOF\npython x.py", "JOIN count: 3", 0),
        ("python x.py", "JOIN count: 1", 0),
        ("cat > x.py <<'EOF'\nno table\nEOF\npython x.py", "no such table", 1),
    )
    assert [(one.test.text, one.usefulness_hint) for one in ran] == [("print(joins())\n", 3)]


def test_two_texts_of_a_file_that_both_showed_a_change_are_both_kept() -> None:
    make = "cat > x.py <<'EOF'\n{}\nEOF\npython x.py"
    ran = found((make.format("one"), "BUG", 0), ("python x.py", "ok", 0),
                (make.format("two"), "BUG", 1), ("python x.py", "ok", 0))  # fmt: skip
    assert [(one.path, one.test.text) for one in ran] == [
        ("x.py", "two\n"),
        ("x.py (text 2)", "one\n"),
    ]


def test_scripts_that_never_were_a_file() -> None:
    ran = found(
        ("python - <<'EOF'\nimport calc\nEOF", "Error", 1),
        ("python -c 'print(\"a\")'", "wrong", 0),
        ("cat <<'EOF' | python\nimport os\nEOF", "Error", 1),
        "python -c 'print($HOME)' \"$x\"",
    )
    assert sorted(one.test.text for one in ran) == ["import calc\n", "import os\n", 'print("a")']
    assert all(one.path.startswith("inline-") for one in ran)


def test_files_of_the_repository_unknown_texts_and_what_never_ran_are_left_out() -> None:
    assert not found("cat > calc.py <<'EOF'\nx\nEOF", ("python calc.py", "", 1), known=["calc.py"])
    assert not found("cat > x.py <<EOF\n$y\nEOF", ("python x.py", "", 1))
    assert not found("cat > x.py <<'EOF'\ny\nEOF\nsed -i s/y/z/ x.py", ("python x.py", "", 1))
    assert not found("curl -o x.py host", ("python x.py", "", 1))
    assert not found("cat > x.py <<'EOF'\ny\nEOF")


def test_pieces_are_put_together_and_helpers_come_along() -> None:
    (one,) = found(
        "mkdir t; echo 'import helper' > t/x.py; echo 'helper.go()' >> t/x.py",
        "cat <<'EOF' | tee t/helper.py\ndef go(): pass\nEOF",
        "cat > unrelated.py <<'EOF'\n1\nEOF",
        ("python t/x.py", "failed", 1),
    )
    assert one.test.text == "import helper\nhelper.go()\n"
    assert one.test.needed_files == {"t/helper.py": "def go(): pass\n"}


def test_a_package_that_a_script_names_comes_along_with_its_empty_files() -> None:
    (one,) = found(
        "mkdir app && touch app/__init__.py && cat > app/models.py <<'EOF'\nX = 1\nEOF",
        "touch calc.py",
        ("python - <<'EOF'\nsettings = ['app']\nEOF", "wrong", 0),
        known=["calc.py"],
    )
    assert one.test.needed_files == {"app/__init__.py": "", "app/models.py": "X = 1\n"}


def test_files_of_the_edit_tool_count_too() -> None:
    steps = [
        step(0, ("edit", {"action": "create", "path": "/testbed/x.py", "new": "a = 1\n"}, "", 0)),
        step(
            1,
            ("edit", {"action": "replace", "path": "x.py", "old": "1", "new": "2"}, "", 0),
            ("bash", {"command": "python x.py"}, "wrong", 0),
        ),
    ]
    assert [one.test.text for one in harvest_scripts(steps, lambda path: False, WORKDIR)] == [
        "a = 2\n"
    ]


def test_files_of_foreign_editors_count_too() -> None:
    (new,) = found(
        "str_replace_editor create /testbed/x.py --file_text 'a = \"$HOME\"\nb = 1\n'",
        "str_replace_editor str_replace /testbed/x.py --old_str 'b = 1' --new_str 'b = 2'",
        "str_replace_editor view /testbed/x.py",
        ("cd /testbed && python x.py", "wrong", 0),
    )
    assert new.test.text == 'a = "$HOME"\nb = 2\n'
    (old,) = found(
        "create x.py",
        "edit 1:1\nimport calc\nprint(calc)\nend_of_edit",
        "edit 2:2\nprint(1)\nend_of_edit",
        ("python x.py", "wrong", 0),
    )
    assert old.test.text == "import calc\nprint(1)\n"


# words of failure --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "marks"),
    [
        ("FAILURE: got 1", {"fail"}),
        ("Test FAILED with ValueError: x", {"fail", "error"}),
        ("BUG reproduced", {"bug", "reproduced"}),
        ("Error: no errors found", {"error"}),
        ("No errors.", set()),
        ("0 failed, 3 passed; failures: 0", set()),
        ("debugger, failsafe", set()),
        ("✗ half", {"✗"}),
        ("all fine", set()),
        ("ISSUE NOT REPRODUCED: Found 'Outer.Inner'", set()),
        ("Issue reproduced", {"reproduced"}),
    ],
)
def test_words_of_failure(line: str, marks: set[str]) -> None:
    assert set(printed_output.failure_marks(line)) == marks


@pytest.mark.parametrize(
    ("output", "well"),
    [
        ("ISSUE NOT REPRODUCED: Found 'Outer.Inner'", True),
        ("value: 3\nSuccess", True),
        ("it works as expected", True),
        ("not ok", False),
        ("not fixed", False),
        ("unsuccessful", False),
        ("OK\nERROR: half", False),
        ("JOIN count: 3", False),
    ],
)
def test_words_of_success(output: str, well: bool) -> None:
    assert printed_output.reports_success(output) is well


@given(st.text(max_size=200))
def test_normal_output_is_normal(text: str) -> None:
    once = printed_output.normalised_output(text)
    assert printed_output.normalised_output(once) == once


def test_chance_is_no_difference() -> None:
    one = "<Obj at 0x7f1b2c> took 0.31s in /tmp/tmpab12/x at 2026-01-02 03:04:05, id 140234"
    two = "<Obj at 0x7f9999> took 12.5s in /tmp/tmpzz99/x at 2025-11-12 13:14:15, id 998877"
    assert printed_output.output_digest(one) == printed_output.output_digest(two)
    assert printed_output.output_digest("half: 1") != printed_output.output_digest("half: 2")
