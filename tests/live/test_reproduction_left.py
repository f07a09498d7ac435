"""What agents left, run again: judged by result or print, or left out with the reason."""

from __future__ import annotations

import pytest

from swe_router.records import Outcome, Step, Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.reproduction.reproduction import ReproductionVerifier
from tests.doubles.project import INSTANCE, Project, outcome
from tests.doubles.steps import bash

pytestmark = pytest.mark.box

ISSUE = INSTANCE.model_copy(update={"problem": "`calc.half(3)` gives 1, I expected 1.5."})
CALC = "def half(n):\n    return n // 2\n"
RIGHT = {"calc.py": CALC.replace("//", "/")}
ALSO_RIGHT = {"calc.py": CALC.replace("n // 2", "0.5 * n")}
WRONG = {"calc.py": CALC.replace("n // 2", "n // 2 + 0.25")}
OTHER_WRONG = {"calc.py": CALC + "\n# looked at\n"}
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
    verifier = ReproductionVerifier(VerifySettings(seconds=seconds))
    context = project.context(steps=lambda attempt: steps[attempt])
    found = verifier.verify(this, others, ISSUE, context)
    assert verifier.check(Verdict.model_validate_json(found.model_dump_json())) == found.outcome
    assert not any(sandbox.root.exists() for sandbox in project.opened)
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


def test_many_who_left_nothing_crowd_nobody_out(project: Project) -> None:
    maker, idle = (wrote(ASSERTS), RIGHT), ([], {"calc.py": CALC + "\n# looked at\n"})
    for peers in ([maker, *[idle] * 9], [*[idle] * 9, maker]):
        assert judged(project, ALSO_RIGHT, *peers).outcome == "pass"
        assert judged(project, WRONG, *peers).outcome == "fail"


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
        ("import calc, time\ncalc.half(3)\ntime.sleep(600)\n", RIGHT, "did not end within"),
        ("import calc, os\ncalc.half(3)\nos._exit(3)\n", RIGHT, "no result at the base"),
    ],
)
def test_what_cannot_be_used_is_listed_with_its_reason(
    project: Project, text: str, patch: dict[str, str | None] | None, why: str
) -> None:
    # Words of the issue in a comment only: the rules look at what failed.
    verdict = judged(
        project, ALSO_RIGHT, (wrote(text), patch), seconds=12 if "sleep" in text else 60
    )
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


def test_a_name_that_the_issue_lacks_counts_when_most_others_came_to_it_too(
    project: Project,
) -> None:
    text = "import calc\nassert calc.exact_half(3) == 1.5\n"
    named = {"calc.py": CALC + "\n\ndef exact_half(n):\n    return n / 2\n"}
    alike = {"calc.py": CALC + "\n\ndef exact_half(n):\n    return 0.5 * n\n"}
    wrong = {"calc.py": CALC + "\n\ndef exact_half(n):\n    return float(n // 2)\n"}
    other = {"calc.py": CALC + "\n\ndef half_of(n):\n    return n / 2\n"}
    maker = (wrote(text), named)
    assert judged(project, wrong, maker, ([], alike)).outcome == "fail"
    alone = judged(project, wrong, maker, ([], other))
    assert alone.outcome == "unknown"
    assert "the issue does not name" in alone.evidence["unusable"]["1-weak:repro.py"]
