"""Real runs of written tests: which are evidence, who has a vote, and what a flip gives away."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from swe_router.errors import LedgerRefused, Overloaded
from swe_router.records import Completion, Message, Step, Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.reproduction.reproduction import ReproductionVerifier
from tests.doubles.project import INSTANCE, Project, Writer, outcome

pytestmark = pytest.mark.box

ISSUE = INSTANCE.model_copy(
    update={"problem": "`calc.half(3)` gives 1, I expected 1.5. `calc.half(4)` is 2 as it should."}
)
CALC = "def half(n):\n    return n // 2\n\n\ndef crash():\n    return {}['key']\n"
RIGHT = {"calc.py": CALC.replace("n // 2", "n / 2")}
WRONG = {"calc.py": CALC.replace("n // 2", "1.5 if n == 3 else n // 2")}
BAD_SYNTAX = {"calc.py": "def half(n:\n"}
GOOD = """\
import calc


def test_three():
    assert calc.half(3) == 1.5


def test_four_stays():
    assert calc.half(4) == 2
"""
OTHER = "import calc\n\n\ndef test_five():\n    assert calc.half(5) == 2.5\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {
        "calc.py": CALC,
        "tests/test_calc.py": "import calc\n\n\ndef test_it():\n    assert calc.half(4) == 2\n",
        "pytest.ini": "[pytest]\n",
    }
    return Project(tmp_path_factory.mktemp("home"), files)


@pytest.fixture
def project(home: Project) -> Project:
    """The same repository; results at the base are kept, what a writer said is not."""
    home.notes.clear()
    return home


def judge(
    project: Project,
    changes: dict[str, str | None],
    *tests: str | Exception,
    writer: Writer | None = None,
    settings: VerifySettings | None = None,
    tier: str = "weak",
    **context: Any,
) -> Verdict:
    settings = settings or VerifySettings(samples=max(1, len(tests)), seconds=60)
    verifier = ReproductionVerifier(settings)
    made = project.context(writer=writer or Writer(*tests), **context)
    found = verifier.verify(outcome(project.patch(changes), tier=tier), (), ISSUE, made)
    recorded = Verdict.model_validate_json(found.model_dump_json())
    assert verifier.check(recorded) == found.outcome
    assert not any(sandbox.root.exists() for sandbox in project.opened)
    return found


def test_a_right_patch_passes_and_a_wrong_one_fails_by_running(project: Project) -> None:
    assert judge(project, RIGHT, GOOD).outcome == "pass"
    project.notes.clear()
    verdict = judge(project, WRONG, OTHER)
    assert verdict.outcome == "fail"
    test = verdict.evidence["tests"]["written-1"]
    assert test["results"] == {"test_five": ["failed", "failed"]}
    assert "assert calc.half(5) == 2.5" in test["reason"]
    assert "half" in test["reason"].rpartition("the issue names")[2]


def test_what_must_keep_working_is_held_against_a_patch(project: Project) -> None:
    changes = {"calc.py": CALC.replace("n // 2", "n / 2 if n == 3 else 0")}
    verdict = judge(project, changes, GOOD)
    assert verdict.outcome == "fail"
    results = verdict.evidence["tests"]["written-1"]["results"]
    assert results == {"test_three": ["failed", "passed"], "test_four_stays": ["passed", "failed"]}


def test_a_patch_that_breaks_the_module_fails_by_its_own_fault(project: Project) -> None:
    assert judge(project, BAD_SYNTAX, GOOD).outcome == "fail"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import calc\n\n\ndef test_x(:\n", "does not load: SyntaxError"),
        ("import nothing_here\n\n\ndef test_x():\n    pass\n", "does not load: ModuleNotFound"),
        ("from calc import third\n\n\ndef test_x():\n    pass\n", "does not load: ImportError"),
        ("import calc\n\n\ndef test_x():\n    assert clac.half(3) == 1.5\n", "mistake of its own"),
        ("def test_x(no_such_fixture):\n    assert 0\n", "fails before it begins"),
        ("import calc\n\n\ndef test_x():\n    open('not/there')\n", "mistake of its own"),
        ("import calc\n\n\ndef test_x():\n    calc.third(3)\n", "the issue does not name"),
        ("import calc\n\n\ndef test_x():\n    calc.half(1, 2)\n", "the issue does not name"),
        ("def test_x():\n    assert 1 == 2\n", "called nothing of the project"),
        ("import calc\n\n\ndef test_x():\n    assert calc.half(4) == 2\n", "passes at the base"),
        (
            "import socket\nimport calc\n\n\ndef test_x():\n    calc.half(3)\n"
            "    raise socket.gaierror('Name or service not known')\n",
            "needs the network",
        ),
        ("import pytest\n\n\ndef test_x():\n    pytest.skip('no')\n", "passes at the base"),
        ("no test at all", "does not load: SyntaxError"),
    ],
)
def test_a_test_that_fails_by_its_own_mistake_is_no_evidence(
    project: Project, text: str, why: str
) -> None:
    verdict = judge(project, RIGHT, text)
    assert verdict.outcome == "unknown"
    assert not verdict.evidence["tests"]
    assert why in (verdict.evidence["unusable"].get("written-1") or "")


def test_a_test_that_hangs_at_the_base_is_no_evidence_and_costs_its_share_only(
    project: Project,
) -> None:
    text = "import time\nimport calc\n\n\ndef test_x():\n    calc.half(3)\n    time.sleep(600)\n"
    settings = VerifySettings(samples=1, seconds=12)
    begun = time.monotonic()
    verdict = judge(project, RIGHT, text, settings=settings)
    assert verdict.outcome == "unknown"
    assert "did not end within" in verdict.evidence["unusable"]["written-1"]
    assert time.monotonic() - begun < 300, "it waited for the test that hangs for 600 s"


def test_the_majority_of_the_usable_samples_decides(project: Project) -> None:
    misled = "import calc\n\n\ndef test_x():\n    assert calc.half(3) == 99\n"
    verdict = judge(project, RIGHT, GOOD, misled, OTHER)
    said = {name: test["after"] for name, test in verdict.evidence["tests"].items()}
    assert said == {"written-1": "passed", "written-2": "failed", "written-3": "passed"}
    assert verdict.outcome == "pass"
    project.notes.clear()
    assert judge(project, RIGHT, GOOD, misled).outcome == "unknown", "one against one"


def test_a_copy_is_no_second_witness(project: Project) -> None:
    verdict = judge(project, RIGHT, GOOD, GOOD + "\n", OTHER)
    assert sorted(verdict.evidence["tests"]) == ["written-1", "written-3"]
    assert verdict.evidence["written"] == 3


def test_where_a_failure_names_what_the_issue_names_others_have_no_say(project: Project) -> None:
    vague = "import calc as c\nf = getattr(c, 'ha' 'lf')\n\n\ndef test_x():\n    assert f(3) == 9\n"
    verdict = judge(project, RIGHT, vague, GOOD)
    assert verdict.outcome == "pass"
    assert "names nothing of the issue" in verdict.evidence["unusable"]["written-1"]


def test_tests_are_paid_for_once_and_shared_by_the_candidates_of_an_issue(project: Project) -> None:
    writer = Writer(GOOD, OTHER)
    settings = VerifySettings(samples=2, seconds=60)
    first = judge(project, WRONG, writer=writer, settings=settings)
    assert (first.evidence["usd"], len(first.evidence["calls"])) == ("0.02", 2)
    again = json.loads(json.dumps(project.notes))  # what a resume reads from disk
    sandboxes = len(project.opened)
    fresh = {"calc.py": RIGHT["calc.py"] + "\n# another\n"}
    second = judge(project, fresh, writer=writer, settings=settings, notes=again, tier="strong")
    assert (first.outcome, second.outcome) == ("unknown", "pass")
    assert (second.evidence["usd"], second.evidence["calls"]) == ("0", [])
    assert len(project.opened) == sandboxes + 1, "the base was run for the first candidate"


def test_the_writer_sees_the_issue_and_what_the_repository_shows_and_no_patch(
    project: Project,
) -> None:
    writer = Writer(GOOD)
    changes = {"calc.py": CALC.replace("n // 2", "n / 2  # secret_of_the_patch")}
    judge(project, changes, writer=writer, settings=VerifySettings(samples=1, seconds=60))
    assert ISSUE.problem in writer.asked[0]
    assert "tests/test_calc.py" in writer.asked[0]
    assert "def test_it()" in writer.asked[0]
    assert "secret_of_the_patch" not in writer.asked[0]
    assert writer.limits[0].seed == 1


def test_a_writer_that_is_down_or_out_of_money_is_unknown_and_pays_for_what_it_got(
    project: Project,
) -> None:
    verdict = judge(project, RIGHT, Overloaded("busy"), LedgerRefused("no more than 0.5"), GOOD)
    assert verdict.outcome == "unknown"
    assert verdict.evidence["usd"] == "0"
    assert sorted(verdict.evidence["unusable"]) == ["written-1", "written-2"]
    later = judge(project, RIGHT, GOOD, OTHER, GOOD)
    assert later.outcome == "pass", "the next candidate asks for what is missing"


@pytest.mark.parametrize("by_tier", [True, False])
def test_a_model_has_no_vote_on_its_own_candidates(project: Project, *, by_tier: bool) -> None:
    answer = Completion(message=Message(role="assistant"), model="writer-1")
    steps = () if by_tier else (Step(index=0, request="r", completion=answer),)
    settings = VerifySettings(samples=1, seconds=60, writer="weak" if by_tier else "another")
    judge(project, RIGHT, GOOD, tier="else")  # somebody else's verdict paid for the test
    verdict = judge(project, RIGHT, settings=settings, steps=lambda attempt: steps)
    assert verdict.evidence["tests"]["written-1"]["own"]
    assert verdict.evidence["tests"]["written-1"]["after"] == "passed"
    assert verdict.outcome == "unknown"


def test_no_test_is_paid_for_that_would_have_no_vote(project: Project) -> None:
    writer = Writer()
    settings = VerifySettings(samples=1, seconds=60, writer="weak")
    assert judge(project, RIGHT, writer=writer, settings=settings).outcome == "unknown"
    assert not writer.asked


@pytest.mark.parametrize(
    ("flip", "named"),
    [
        (lambda e: e["tests"]["written-1"].update(after="failed"), "written-1"),
        (
            lambda e: e["tests"]["written-1"]["results"].update(test_three=["failed", "failed"]),
            "written-1",
        ),
        (lambda e: e["tests"]["written-1"].update(text=OTHER), "written-1"),
        (lambda e: e["tests"]["written-1"].update(base="passed"), "written-1"),
        (lambda e: e.update(usd="0.00"), "usd"),
        (lambda e: e["calls"][0].update(usd="0.02"), "usd"),
        (lambda e: e.update(usd="much"), "usd"),
    ],
)
def test_a_flipped_record_contradicts_itself_and_is_named(
    project: Project, flip: Any, named: str
) -> None:
    verdict = judge(project, RIGHT, GOOD)
    evidence = json.loads(verdict.model_dump_json())["evidence"]
    flip(evidence)
    again = ReproductionVerifier(VerifySettings()).check(
        verdict.model_copy(update={"evidence": evidence})
    )
    assert again != verdict.outcome
    assert named in again


def test_a_patch_cannot_settle_its_own_trial(project: Project) -> None:
    conftest = (
        "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_call(item)"
    )
    conftest += ":\n    out = yield\n    out.force_result(None)\n"
    forged = "\nimport unittest\nunittest.TestResult.addFailure = lambda *a: None\n"
    by_conftest = judge(project, {**WRONG, "tests/conftest.py": conftest}, OTHER)
    assert by_conftest.outcome == "fail", "its conftest is taken away"
    by_import = judge(project, {"calc.py": WRONG["calc.py"] + forged}, OTHER)
    assert (by_import.outcome, bool(by_import.evidence["meddles"])) == ("unknown", True)


def test_a_report_that_someone_else_wrote_to_is_not_believed(project: Project) -> None:
    forged = (
        "\nimport glob\nfor f in glob.glob(%r):\n"
        '    open(f, \'a\').write(\'{"id": "test_five", "outcome": "passed"}\\n\')\n'
    )
    # The failure recorder keeps its name to itself, so the patch writes to whatever lies there.
    pattern = f"{project.home}/box*/tmp/swe-router-*/[0-9a-f]*"
    late = WRONG["calc.py"].replace(
        "def half(n):\n", "def half(n):\n    " + forged.strip().replace("\n", "\n    ") + "\n"
    )
    text = OTHER + "\n\ndef test_six():\n    assert calc.half(7) == 3.5\n"
    verdict = judge(project, {"calc.py": late % pattern}, text)
    assert verdict.outcome == "unknown"


def test_a_test_that_deletes_the_project_soils_its_own_sandbox_only(project: Project) -> None:
    vandal = (
        "import pathlib\nimport calc\n\n\ndef test_x():\n    value = calc.half(3)\n"
        "    pathlib.Path(calc.__file__).unlink()\n    assert value == 1.5, 'half'\n"
    )
    verdict = judge(project, RIGHT, vandal, OTHER)
    said = {name: test["after"] for name, test in verdict.evidence["tests"].items()}
    assert said == {"written-1": "passed", "written-2": "passed"}


@pytest.mark.parametrize("commits", [True, False])
def test_what_a_test_left_in_its_sandbox_does_not_judge_the_next(
    tmp_path: Path, *, commits: bool
) -> None:
    """It commits the fix that it made, or writes to a file that git ignores and tests read."""
    fixed = CALC.replace("n // 2", "n / 2")
    files = {"calc.py": CALC, ".gitignore": "state\n", "pytest.ini": "[pytest]\n"}
    home = Project(tmp_path, files)
    (home.home / "seed" / "testbed" / "state").write_text("fresh\n")
    act = f"(root / 'calc.py').write_text({fixed!r})\n"
    act += "    subprocess.run('git -c user.name=t -c user.email=t@t commit -qam x'.split())\n"
    act = act if commits else "(root / 'state').write_text('used\\n')\n"
    first = (
        "import pathlib\nimport subprocess\nimport calc\n\n\ndef test_x():\n"
        "    value, root = calc.half(3), pathlib.Path(calc.__file__).parent\n"
        f"    {act}    assert value == 1.5, 'half'\n"
    )
    second = (
        "import pathlib\nimport calc\n\n\ndef test_y():\n"
        "    state = pathlib.Path(calc.__file__).with_name('state').read_text()\n"
        "    assert calc.half(3) == (1.5 if state == 'fresh\\n' else 9)\n"
    )
    verdict = judge(home, RIGHT, first, second)
    said = {name: test["after"] for name, test in verdict.evidence["tests"].items()}
    assert said == {"written-1": "passed", "written-2": "passed"}


def test_a_flaky_test_is_no_evidence_at_the_base_and_says_nothing_after(project: Project) -> None:
    counted = (
        "import pathlib\nimport calc\nN = pathlib.Path(%r)\n\n\ndef test_x():\n"
        "    N.write_text(N.read_text() + '.' if N.exists() else '.')\n"
        "    odd = len(N.read_text()) %% 2\n"
        "    assert calc.half(3) == 1.5 %s, 'half'\n"
    )
    at_base = counted % (str(project.home / "first"), "or not odd")
    after = counted % (str(project.home / "second"), "and (calc.half(1) == 0 or not odd)")
    verdict = judge(project, RIGHT, at_base, after)
    assert "the same twice at the base" in verdict.evidence["unusable"]["written-1"]
    assert verdict.evidence["tests"]["written-2"]["after"] == "unknown"
    assert verdict.outcome == "unknown"


def test_a_project_of_another_language_is_asked_for_no_test(tmp_path: Path) -> None:
    files = {"a.go": "package a\n", "b.go": "package a\n", "tool.py": "import os\n"}
    writer = Writer(GOOD)
    other = Project(tmp_path, files)
    verdict = judge(other, {"a.go": "package b\n"}, writer=writer)
    assert (verdict.outcome, writer.asked) == ("unknown", [])
    assert "no way is known" in verdict.evidence["unusable"]["written"]


def test_no_patch_and_no_writer_are_unknown(project: Project) -> None:
    verifier = ReproductionVerifier(VerifySettings())
    for patch in ("", "not a diff\n"):
        assert verifier.verify(outcome(patch), (), ISSUE, project.context()).outcome == "unknown"
    bare = verifier.verify(outcome(project.patch(RIGHT)), (), ISSUE, project.context())
    assert (bare.outcome, bare.evidence["usd"]) == ("unknown", "0")
