"""What agents leave: read as a shell reads it, run again, and judged by result or print."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.records import Action, Completion, Message, Outcome, Step, ToolCall, Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.reproduction import printed
from swe_router.verifiers.reproduction.harvest import Left, left
from swe_router.verifiers.reproduction.shelltext import commands
from swe_router.verifiers.reproduction.verifier import Reproduction
from tests.doubles.project import INSTANCE, Project, outcome

ISSUE = INSTANCE.model_copy(update={"problem": "`calc.half(3)` gives 1, I expected 1.5."})
CALC = "def half(n):\n    return n // 2\n"
RIGHT = {"calc.py": CALC.replace("//", "/")}
ALSO_RIGHT = {"calc.py": CALC.replace("n // 2", "0.5 * n")}
WRONG = {"calc.py": CALC.replace("n // 2", "n // 2 + 0.25")}
OTHER_WRONG = {"calc.py": CALC + "\n# looked at\n"}


def step(index: int, *calls: tuple[str, dict[str, Any], str, int]) -> Step:
    actions = tuple(
        Action(
            call=ToolCall(id=f"c{n}", name=name, arguments=arguments),
            observation=said,
            exit_code=code,
        )
        for n, (name, arguments, said, code) in enumerate(calls)
    )
    answer = Completion(message=Message(role="assistant"), model="agent-1")
    return Step(index=index, request="r", completion=answer, actions=actions)


def bash(*scripts: str | tuple[str, str, int]) -> list[Step]:
    """Steps that each run one script: its text, or text, output and exit code."""
    told = [one if isinstance(one, tuple) else (one, "", 0) for one in scripts]
    return [
        step(n, ("bash", {"command": text}, said, code))
        for n, (text, said, code) in enumerate(told)
    ]


def found(*scripts: str | tuple[str, str, int], known: Sequence[str] = ()) -> list[Left]:
    return left(bash(*scripts), set(known).__contains__)


# shell text --------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(blacklist_characters="\0", codec="utf-8"), max_size=200))
def test_a_quoted_here_document_keeps_any_text(body: str) -> None:
    lines = "".join(f"{line}\n" for line in body.split("\n") if line != "THE_END")
    script = f"cat <<'THE_END' > x.py\n{lines}THE_END\npython x.py --now\n"
    first, second = commands(script)
    assert (first.document, first.writes) == (lines, [("x.py", False)])
    assert second.words == ["python", "x.py", "--now"]


@given(st.text(alphabet="ab \\'\"$`()<>|&;#\n\tEOF", max_size=60))
@settings(max_examples=300)
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
    assert (one.path, test.text, test.way, test.place) == ("x.py", "print(1)\n", way, place)
    assert test.arguments == arguments
    assert test.where == ("/testbed/sub" if "sub" in run else "")


def test_a_label_of_django_is_a_file() -> None:
    (one,) = found(
        "cat > tests/queries/test_repro.py <<'EOF'\nx\nEOF",
        ("./tests/runtests.py --settings=test_sqlite queries.test_repro.Case.test_a", "FAILED", 1),
    )
    assert (one.path, one.test.way, one.test.place) == (
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
    assert [(one.test.text, one.telling) for one in ran] == [("two\n", 3)]


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
    assert one.test.files == {"t/helper.py": "def go(): pass\n"}


def test_a_package_that_a_script_names_comes_along_with_its_empty_files() -> None:
    (one,) = found(
        "mkdir app && touch app/__init__.py && cat > app/models.py <<'EOF'\nX = 1\nEOF",
        "touch calc.py",
        ("python - <<'EOF'\nsettings = ['app']\nEOF", "wrong", 0),
        known=["calc.py"],
    )
    assert one.test.files == {"app/__init__.py": "", "app/models.py": "X = 1\n"}


def test_files_of_the_edit_tool_count_too() -> None:
    steps = [
        step(0, ("edit", {"action": "create", "path": "/testbed/x.py", "new": "a = 1\n"}, "", 0)),
        step(
            1,
            ("edit", {"action": "replace", "path": "x.py", "old": "1", "new": "2"}, "", 0),
            ("bash", {"command": "python x.py"}, "wrong", 0),
        ),
    ]
    assert [one.test.text for one in left(steps, lambda path: False)] == ["a = 2\n"]


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
    ],
)
def test_words_of_failure(line: str, marks: set[str]) -> None:
    assert set(printed.marks(line)) == marks


@given(st.text(max_size=200))
def test_normal_output_is_normal(text: str) -> None:
    once = printed.normal(text)
    assert printed.normal(once) == once


def test_chance_is_no_difference() -> None:
    one = "<Obj at 0x7f1b2c> took 0.31s in /tmp/tmpab12/x at 2026-01-02 03:04:05, id 140234"
    two = "<Obj at 0x7f9999> took 12.5s in /tmp/tmpzz99/x at 2025-11-12 13:14:15, id 998877"
    assert printed.digest(one) == printed.digest(two)
    assert printed.digest("half: 1") != printed.digest("half: 2")


# run again ---------------------------------------------------------------------------------

ASSERTS = "import calc\nassert calc.half(3) == 1.5\n"
PRINTS = """\
import calc
value = calc.half(3)
print("OK" if value == 1.5 else f"BUG: got {value}")
"""
SHOWS = "import calc\nprint('half of three is', calc.half(3), object())\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {"calc.py": CALC, "pytest.ini": "[pytest]\n", "tests/test_calc.py": "import calc\n"}
    return Project(tmp_path_factory.mktemp("home"), files)


def wrote(text: str, name: str = "repro.py") -> list[Step]:
    run = f"pytest -q {name}" if name.startswith("test_") else f"python {name}"
    return bash(f"cat > {name} <<'EOF'\n{text}EOF", (run, "BUG", 1))


def judged(
    project: Project,
    changes: dict[str, str | None],
    *peers: tuple[list[Step], dict[str, str | None] | None],
    own: list[Step] | None = None,
    seconds: float = 60,
) -> Verdict:
    """The verdict on ``changes``, with what peers (steps and their patch) left."""
    this = outcome(project.patch(changes), number=9)
    others: list[Outcome] = []
    steps = {this.attempt.id: own or []}
    for number, (left_steps, patch) in enumerate(peers, 1):
        others.append(outcome(project.patch(patch) if patch else "", number=number))
        steps[others[-1].attempt.id] = left_steps
    verifier = Reproduction(VerifySettings(seconds=seconds))
    kit = project.kit(steps=lambda attempt: steps[attempt])
    found = verifier.verify(this, others, ISSUE, kit)
    assert verifier.check(Verdict.model_validate_json(found.model_dump_json())) == found.outcome
    assert not any(box.root.exists() for box in project.opened)
    return found


@pytest.mark.parametrize(
    ("text", "name", "oracle"),
    [
        (ASSERTS, "repro.py", "result"),
        (PRINTS, "repro.py", "marks"),
        (SHOWS, "repro.py", "output"),
        ("import calc\n\n\ndef test_x():\n    assert calc.half(3) == 1.5\n", "test_x.py", "result"),
    ],
)
def test_another_candidate_is_judged_by_what_a_peer_left(
    project: Project, text: str, name: str, oracle: str
) -> None:
    peer = (wrote(text, name), RIGHT)
    good = judged(project, ALSO_RIGHT, peer)
    bad = judged(project, OTHER_WRONG, peer)
    test = bad.evidence["tests"][f"1-weak:{name}"]
    assert (test["oracle"], test["source"], test["by"]) == (oracle, "harvested", "1-weak")
    assert (good.outcome, bad.outcome) == ("pass", "fail")


def test_output_that_is_neither_the_bases_nor_the_fixed_one_says_nothing(project: Project) -> None:
    assert judged(project, WRONG, (wrote(SHOWS), RIGHT)).outcome == "unknown"
    assert judged(project, WRONG, (wrote(PRINTS), RIGHT)).outcome == "fail", (
        "its word is still there"
    )


def test_who_left_tests_that_say_nothing_abstains(project: Project) -> None:
    verdict = judged(project, WRONG, (wrote(SHOWS), RIGHT), (wrote(ASSERTS), RIGHT))
    said = [test["after"] for test in verdict.evidence["tests"].values()]
    assert (sorted(said), verdict.outcome) == (["failed", "unknown"], "fail")


def test_what_a_run_left_itself_has_no_vote(project: Project) -> None:
    alone = judged(project, RIGHT, own=wrote(ASSERTS))
    test = alone.evidence["tests"]["9-weak:repro.py"]
    assert (alone.outcome, test["own"], test["after"]) == ("unknown", True, "passed")


def test_a_script_has_no_vote_on_the_very_edit_that_it_was_kept_for(project: Project) -> None:
    twin = judged(project, RIGHT, (wrote(ASSERTS), RIGHT))
    (test,) = twin.evidence["tests"].values()
    assert (twin.outcome, test["own"], test["after"]) == ("unknown", True, "passed")


def test_one_attempt_has_one_vote_however_much_it_left(project: Project) -> None:
    strict = "import calc\nassert calc.half(3) == 1.5 and calc.half.__doc__\n"
    many = [
        *wrote(strict + "# 1\n", "a.py"),
        *wrote(strict + "# 2\n", "b.py"),
        *wrote(strict + "# 3\n", "c.py"),
    ]
    documented = {"calc.py": 'def half(n):\n    """Half."""\n    return n / 2\n'}
    verdict = judged(
        project, ALSO_RIGHT, (many, documented), (wrote(ASSERTS), RIGHT), (wrote(PRINTS), RIGHT)
    )
    said = [test["after"] for test in verdict.evidence["tests"].values()]
    assert (said.count("failed"), said.count("passed")) == (3, 2)
    assert verdict.outcome == "pass"


@pytest.mark.parametrize(
    ("text", "patch", "why"),
    [
        ("import calc\nassert calc.half(4) == 2\n", RIGHT, "prints the same"),
        ("import calc\nassert calc.half(3) == 7\n", RIGHT, "does not pass after its own"),
        ("print('BUG')\n", RIGHT, "called nothing of the project"),
        ("import calc\nclac.half(3)\n", RIGHT, "mistake of its own"),
        (
            "import calc\nopen('calc.py', 'w').write('x = 1')\ncalc.half(3)\n",
            RIGHT,
            "changes files",
        ),
        (SHOWS, None, "prints no word of failure"),
        ("import calc, time\ncalc.half(3)\ntime.sleep(60)\n", RIGHT, "did not end within"),
        ("import calc, os\ncalc.half(3)\nos._exit(3)\n", RIGHT, "no result at the base"),
    ],
)
def test_what_cannot_be_used_is_listed_with_its_reason(
    project: Project, text: str, patch: dict[str, str | None] | None, why: str
) -> None:
    # Words of the issue in a comment only: the rules look at what failed.
    verdict = judged(project, ALSO_RIGHT, (wrote(text), patch), seconds=12)
    assert verdict.outcome == "unknown"
    assert why in verdict.evidence["unusable"]["1-weak:repro.py"]


@pytest.mark.parametrize(
    "vandal",
    [
        "import subprocess, sys\nsubprocess.Popen(['sleep', '120'], start_new_session=False)\n",
        "import sys\nfor _ in range(30_000):\n    print('x' * 1000)\n",
        "import shutil\nshutil.rmtree('tests', ignore_errors=True)\n",
    ],
)
def test_scripts_that_fork_flood_or_delete_are_judged_or_unknown_in_time(
    project: Project, vandal: str
) -> None:
    text = f"import calc\nvalue = calc.half(3)\n{vandal}assert value == 1.5, 'half'\n"
    good = judged(project, ALSO_RIGHT, (wrote(text), RIGHT), seconds=30)
    bad = judged(project, OTHER_WRONG, (wrote(text), RIGHT), seconds=30)
    assert good.outcome in ("pass", "unknown")
    assert bad.outcome in ("fail", "unknown")
    assert "pass" not in bad.outcome


def test_a_script_lies_where_it_lay(project: Project) -> None:
    text = (
        "import pathlib, sys\nsys.path.insert(0, str(pathlib.Path(__file__).parent.parent))\n"
        "import calc\nassert pathlib.Path('pytest.ini').exists()\nassert calc.half(3) == 1.5\n"
    )
    steps = bash(f"mkdir -p sub\ncat > sub/x.py <<'EOF'\n{text}EOF", ("python sub/x.py", "", 1))
    assert judged(project, ALSO_RIGHT, (steps, RIGHT)).outcome == "pass"
    assert judged(project, OTHER_WRONG, (steps, RIGHT)).outcome == "fail"
