"""Every verifier: no pass without evidence, and evidence from which the outcome follows again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swe_router import plugins
from swe_router.records import Verdict
from swe_router.settings import VerifySettings
from tests.doubles.project import INSTANCE, Project, Writer, outcome, verdict

VERIFIERS = sorted(plugins.BUILT_IN["verifiers"])
OPINIONS = ("agreement", "behaviour", "judge", "rubric", "summary-bracket", "tournament")
"""Nothing runs for them: they score and never pass."""
OTHERS_TESTS = ("reproduction",)
"""Passes on a test that a writer or another run left: its own unit tests show it."""
MAKE = "test:\n\tpython -m unittest\n"
TEST = """\
import unittest
import calc


class TestCalc(unittest.TestCase):
    def test_one(self):
        self.assertEqual(calc.ONE, 1)
"""
ISSUE = INSTANCE.model_copy(update={"problem": "`calc.TWO` is missing, it should be 2."})
WRITER = Writer(*["import calc\n\n\ndef test_two():\n    assert calc.TWO == 2\n"] * 3)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {"calc.py": "ONE = 1\n", "test_calc.py": TEST, "Makefile": MAKE}
    return Project(tmp_path_factory.mktemp("contract"), files)


def judge(name: str, project: Project, patch: str, *said: Verdict) -> Verdict:
    # A threshold by hand: that of the shipped calibration moves with each refit.
    verifier: Any = plugins.load_plugin("verifiers", name)(
        VerifySettings(seconds=60, threshold=0.5)
    )
    made: Verdict = verifier.verify(
        outcome(patch, *said), (), ISSUE, project.context(writer=WRITER)
    )
    assert made.verifier == name
    assert made.evidence["why"]
    recorded = Verdict.model_validate_json(made.model_dump_json())
    assert verifier.check(recorded) == made.outcome
    assert not any(sandbox.root.exists() for sandbox in project.opened)
    return made


@pytest.mark.parametrize(
    "name", [name for name in VERIFIERS if name not in (*OPINIONS, *OTHERS_TESTS)]
)
def test_a_good_patch_passes_on_evidence(name: str, project: Project) -> None:
    patch = project.patch({"calc.py": "ONE = 1\nTWO = 2\n"})
    said = () if name != "acceptance" else (judge("repo-tests", project, patch),)
    found = judge(name, project, patch, *said)
    assert found.outcome == "pass"
    assert plugins.load_plugin("verifiers", name)(VerifySettings()).check(
        found.model_copy(update={"evidence": {}})
    ) != ("pass")


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize(
    "patch", ["", "\n", "not a diff\n", "--- a/x\n+++ b/x\n@@ -9 +9 @@\n-q\n+r\n"]
)
def test_what_is_no_patch_never_passes(name: str, patch: str, project: Project) -> None:
    assert judge(name, project, patch).outcome != "pass"


@pytest.mark.parametrize("name", OPINIONS)
def test_an_opinion_passes_nothing(name: str, project: Project) -> None:
    patch = project.patch({"calc.py": "ONE = 1\nTWO = 2\n"})
    assert judge(name, project, patch, verdict("pass", "repo-tests")).outcome == "unknown"


@pytest.mark.parametrize("name", VERIFIERS)
def test_an_outcome_without_a_candidate_never_passes(name: str, project: Project) -> None:
    verifier: Any = plugins.load_plugin("verifiers", name)(VerifySettings())
    bare = outcome().model_copy(update={"candidate": None})
    assert verifier.verify(bare, (), INSTANCE, project.context()).outcome != "pass"


def test_no_verifier_names_the_answer_key() -> None:
    room = Path(plugins.__file__).parent / "verifiers"
    text = "".join(path.read_text() for path in room.rglob("*.py")).lower()
    for word in ("fail_to_pass", "pass_to_pass", "test_patch", "eval_script", "gold"):
        assert word not in text
