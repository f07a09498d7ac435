"""What verifiers cannot judge is unknown with the reason: no evidence for or against a patch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swe_router.settings import VerifySettings
from swe_router.verifiers.evidence_records import IssueTestEvidence
from swe_router.verifiers.patches import equivalence, tampering
from swe_router.verifiers.repo_tests import RepoTestsVerifier
from swe_router.verifiers.reproduction import test_oracles, usability, verdict_rules
from swe_router.verifiers.reproduction.failure_reasons import IssueNames
from swe_router.verifiers.reproduction.invoked import Folder, invoked_runs
from swe_router.verifiers.reproduction.reproduction import ReproductionVerifier
from swe_router.verifiers.reproduction.single_run import TestTrial as Trial
from swe_router.verifiers.reproduction.single_run import TrialResult
from swe_router.verifiers.syntax import MAX_CHECKED_FILES, SyntaxVerifier
from tests.doubles.project import INSTANCE, Project, outcome

ISSUE = IssueNames.of("Calling `price` raises LookupError.")
FILES = {"pkg/a.py": "A = 1\n", "tests/test_a.py": "def test_a():\n    pass\n"}
FAILED = TrialResult(
    "test_price", "failed", "call", touched=True, kind="LookupError", message="no such thing",
    line="price('x')", where="project", project=True, functions=("price",),
)  # fmt: skip
PASSED = TrialResult("test_price", "passed", "call", touched=True)
LOAD = TrialResult("load", "error", "load", kind="ImportError", message="price", where="test")
BASE = Trial({"test_price": FAILED}, ended=True, seconds=1.0)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("limits"), FILES)


@pytest.mark.parametrize("kind", [SyntaxVerifier, RepoTestsVerifier, ReproductionVerifier])
def test_a_text_that_is_no_diff_is_unknown_and_opens_no_sandbox(kind, project):
    opened = len(project.opened)
    bare_hunk = "@@ -1 +1 @@\n-A = 1\n+A = 2\n"
    verdict = kind(VerifySettings()).verify(outcome(bare_hunk), (), INSTANCE, project.context())
    assert verdict.outcome == "unknown"
    assert verdict.evidence["why"] == "the patch cannot be read as a diff"
    assert len(project.opened) == opened


@pytest.mark.parametrize("kind", [SyntaxVerifier, RepoTestsVerifier])
def test_a_patch_that_does_not_apply_is_unknown_to_all_but_the_verifier_of_that(kind, project):
    patch = project.patch({"pkg/a.py": "A = 2\n"}).replace("-A = 1", "-A = 7")
    verdict = kind(VerifySettings()).verify(outcome(patch), (), INSTANCE, project.context())
    assert (verdict.outcome, verdict.evidence["why"]) == ("unknown", "the patch does not apply")


def test_a_patch_that_takes_tests_away_fails_before_any_test_is_run(project):
    verifier = RepoTestsVerifier(VerifySettings())
    patch = project.patch({"pkg/a.py": "A = 2\n", "tests/test_a.py": None})
    verdict = verifier.verify(outcome(patch), (), INSTANCE, project.context())
    assert (verdict.outcome, verifier.check(verdict)) == ("fail", "fail")
    assert verdict.evidence["why"] == "the patch takes tests away: tests/test_a.py"


def test_changed_files_beyond_the_limit_are_counted(tmp_path):
    files = {f"pkg/f{number}.py": "A = 1\n" for number in range(MAX_CHECKED_FILES + 2)}
    project = Project(tmp_path, files)
    patch = project.patch(dict.fromkeys(files, "A = 2\n"))
    verdict = SyntaxVerifier(VerifySettings()).verify(
        outcome(patch), (), INSTANCE, project.context()
    )
    assert verdict.evidence["not_looked_at"] == 2
    assert len(verdict.evidence["files"]) == MAX_CHECKED_FILES


def test_a_test_whose_report_was_meddled_with_is_no_evidence():
    found = usability.judge_base_run(replace(BASE, tampered=True), ISSUE)
    assert (found.usable, found.reason) == (
        False,
        "its report was written to by someone else",
    )


@pytest.mark.parametrize(
    ("trial", "result"),
    [
        (Trial({"test_price": PASSED}, ended=True), "passed"),
        (Trial({"test_price": FAILED}, ended=True), "failed"),
        (Trial({"test_price": replace(PASSED, outcome="skipped")}, ended=True), "unknown"),
        (Trial({"test_price": PASSED}, ended=True, tampered=True), "unknown"),
        (Trial({"load": replace(LOAD, outcome="error")}, ended=True), "failed"),
        (Trial({}, timed_out=True, timeout_seconds=600.0), "failed"),
        (Trial({}, timed_out=True, timeout_seconds=1.0), "unknown"),
        (Trial({}, ended=True), "unknown"),
        (Trial({}, ended=False), "failed"),
    ],
)
def test_what_a_run_after_a_patch_says_of_a_test_that_failed_before(trial, result):
    before = usability.judge_base_run(BASE, ISSUE)
    assert before.usable
    assert usability.results_after(before, BASE, trial) == {"test_price": ["failed", result]}


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        ({"a": PASSED, "b": PASSED}, "passed"),
        ({"a": PASSED, "b": FAILED}, "failed"),
        ({"a": PASSED, "b": replace(PASSED, outcome="skipped")}, "unknown"),
    ],
)
def test_a_file_that_loads_after_a_patch_is_judged_by_its_tests(seen, result):
    base = Trial({"load": LOAD}, ended=True)
    before = usability.BaseResult(True, "", {"load": LOAD})
    assert usability.results_after(before, base, Trial(seen, ended=True)) == {
        "load": ["failed", result]
    }


SCRIPT = TrialResult("script", "passed", "call", touched=True)
PRINTS = Trial({"script": SCRIPT}, ended=True, output="it is wrong: 4")
CALM = Trial({"script": SCRIPT}, ended=True, output="it is 3")


@pytest.mark.parametrize(
    ("base", "fixed", "why"),
    [
        (replace(BASE, meddles=True), None, "it changes files of the repository"),
        (replace(BASE, test_results={"t": PASSED}), None, "it passes at the base"),
        (BASE, BASE, "it does not pass after its own author's patch either"),
        (
            replace(PRINTS, test_results={"script": replace(SCRIPT, touched=False)}),
            CALM,
            "it called nothing of the project",
        ),
        (replace(PRINTS, output="4"), None, "prints no word of failure"),
        (PRINTS, replace(CALM, ended=False), "it does not end well after its own author's patch"),
        (replace(PRINTS, output="4"), replace(CALM, output="4"), "it prints the same at the base"),
        (replace(PRINTS, output="works: 4"), CALM, "it says at the base that all is as it should"),
        (replace(PRINTS, output="4", output_is_cut=True), CALM, "it prints more than is kept"),
    ],
)
def test_a_script_that_shows_no_difference_is_no_evidence(base, fixed, why):
    with pytest.raises(test_oracles.Unusable, match=why):
        test_oracles.read_harvested_test(base, fixed, ISSUE)


def test_a_script_is_read_by_its_words_of_failure_or_by_its_whole_output():
    words = test_oracles.read_harvested_test(PRINTS, None, ISSUE)
    assert (words.oracle, words.failure_marks) == ("marks", {"wrong": (1, 0)})
    assert test_oracles.read_harvested_test(PRINTS, CALM, ISSUE).oracle == "marks"
    whole = test_oracles.read_harvested_test(replace(PRINTS, output="4"), CALM, ISSUE)
    assert whole.oracle == "output"
    named = test_oracles.read_harvested_test(BASE, None, ISSUE)
    assert named.oracle == "result"


@pytest.mark.parametrize(
    ("trial", "ended", "result"),
    [
        (CALM, "well", "passed"),
        (PRINTS, "well", "failed"),
        (replace(CALM, test_results={"script": replace(FAILED, id="script")}), "badly", "failed"),
        (
            replace(CALM, test_results={"script": replace(FAILED, kind="gaierror")}),
            "",
            "unknown",
        ),
        (replace(CALM, timed_out=True), "", "unknown"),
        (replace(CALM, tampered=True), "", "unknown"),
        (None, "", "unknown"),
    ],
)
def test_how_a_script_ended_after_a_patch_decides_what_it_says(trial, ended, result):
    for reading in (
        test_oracles.read_harvested_test(PRINTS, CALM, ISSUE),
        test_oracles.read_harvested_test(replace(PRINTS, output="it is 4"), CALM, ISSUE),
    ):
        facts = test_oracles.run_facts(reading, trial)
        assert facts["ended"] == ended
        if reading.oracle == "marks":
            evidence = IssueTestEvidence.model_validate(facts)
            assert verdict_rules._by_print(evidence) == result


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("", []),
        ("ls -l", []),
        ("bin/test sympy/core/tests/test_a.py", [("sympy/core/tests/test_a.py", "module")]),
        ("python3.9 bin/test a_test.py", [("a_test.py", "module")]),
        ("./tests/runtests.py auth", [("tests/auth.py", "django")]),
        ("python tests/runtests.py --settings x auth", [("tests/auth.py", "django")]),
        ("pytest -x sub/test_a.py::test_b", [("sub/test_a.py", "pytest")]),
        ("python -W error -m unittest a.test_b", [("a/test_b.py", "module")]),
        ("python -m pkg.tool", [("pkg/tool.py", "script")]),
    ],
)
def test_a_command_line_names_the_file_that_it_runs(line, runs):
    found = invoked_runs(line.split(), "", Folder("/testbed", "/testbed"))
    assert [(one.path, one.run_by) for one in found] == runs


@pytest.mark.parametrize(
    ("path", "shadows"),
    [("types.py", True), ("unittest/__init__.py", True), ("src/types.py", False),
     ("unittest/case.py", False), ("mine.py", False)],
)  # fmt: skip
def test_a_module_at_the_top_with_the_name_of_pythons_own_shadows_it(path, shadows):
    assert tampering.shadows_known_module(path) is shadows


def test_a_hunk_that_is_cut_short_is_compared_as_it_stands():
    whole = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n-x\n+y  \n z"
    noisy = whole.replace("+y  ", "+y") + "\n\\ No newline at end of file"
    assert equivalence.change_key(whole) == equivalence.change_key(noisy)
    for broken in (whole.replace(",2 +1,2", ",9 +1,9"), whole.replace(" z", "?z")):
        assert equivalence._without_noise(broken) == broken
    assert equivalence.equivalent_peers(outcome(""), [outcome(whole, number=2)]) == []
