"""Grading without Docker: swebench's functions over a real local sandbox and repository."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from swe_router.errors import Lost
from swe_router.grading.grade import grade_predictions
from swe_router.grading.local import LocalBackend
from swe_router.grading.predictions import Prediction
from swe_router.sandboxes.local import LocalSandboxes
from swe_router.settings import SandboxSettings
from tests.doubles.grading import grading

RUN = """\
. ./code.sh
if [ "$(answer)" = 42 ]; then echo PASSED t.sh::answer; else echo FAILED t.sh::answer; bad=1; fi
if [ "$(other)" = 1 ]; then echo PASSED t.sh::other; else echo FAILED t.sh::other; bad=1; fi
if [ -z "$bad" ]; then echo '== 2 passed in 0.01s =='; else echo '== 1 failed in 0.01s =='; fi
[ -z "$bad" ]
"""
OLD_RUN = "echo PASSED t.sh::other\n"
SCRIPT = """\
#!/bin/bash
set -uxo pipefail
cd /testbed
git checkout BASE t.sh
cat > t.sh <<'EOF_1'
TESTS
EOF_1
: '>>>>> Start Test Output'
bash t.sh
: '>>>>> End Test Output'
git checkout BASE t.sh
"""
CODE = "answer() { echo 41; }\nother() { echo 1; }\n"


def git(folder, *arguments: str) -> str:
    who = {
        f"GIT_{role}_{key}": "x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, env=env
    )
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository with a bug, a split of it, and a maker of patches."""
    root = tmp_path_factory.mktemp("grading")
    tree = root / "tree"
    tree.mkdir()
    git(tree, "init", "-q", "-b", "main")
    (tree / "code.sh").write_text(CODE)
    (tree / "t.sh").write_text(OLD_RUN)
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "base")
    base = git(tree, "rev-parse", "HEAD").strip()

    def patch(code: str, tests: str = OLD_RUN) -> str:
        (tree / "code.sh").write_text(code)
        (tree / "t.sh").write_text(tests)
        made = git(tree, "diff", "--binary")
        git(tree, "checkout", "-q", ".")
        return made

    row = {
        "instance_id": "o__r-1",
        "repo": "o/r",
        "version": "1",
        "base_commit": base,
        "problem_statement": "The answer is wrong.",
        "image": "none:1",
        "patch": patch(CODE.replace("41", "42")),
        "test_patch": "",
        "FAIL_TO_PASS": ["t.sh::answer"],
        "PASS_TO_PASS": ["t.sh::other"],
        "eval_script": SCRIPT.replace("BASE", base).replace("TESTS", RUN.rstrip()),
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
    }
    (root / "rows.json").write_text(json.dumps([row]))
    return root, tree, patch


@pytest.fixture
def grade(project, tmp_path):
    root, tree, _ = project
    sandboxes = LocalSandboxes(
        SandboxSettings(unsafe=True), start=lambda _: tree / ".git", run="t", lock=tmp_path / "lock"
    )

    def graded(patch: str, *, timeout: float = 60.0, open_sandbox=sandboxes.open):
        backend = LocalBackend(open_sandbox, tmp_path / "work", timeout=timeout)
        one = Prediction(instance_id="o__r-1", patch=patch)
        split = str(root / "rows.json")
        return grade_predictions([one], *grading(split, backend))["o__r-1"]

    return graded


FIXED = CODE.replace("41", "42")


def test_the_right_patch_is_resolved_and_the_official_layout_is_there(project, grade, tmp_path):
    made = grade(project[2](FIXED))
    assert made.outcome == "resolved", made.evidence
    assert made.evidence["fail_to_pass"] == {"passed": 1, "failed": []}
    (folder,) = (tmp_path / "work" / "logs" / "run_evaluation").glob("*/swe-router/o__r-1")
    assert {path.name for path in folder.iterdir()} == {
        *("eval.sh", "patch.diff", "report.json", "run_instance.log", "test_output.txt")
    }


def test_a_patch_that_does_nothing_is_unresolved_with_the_test_that_failed(project, grade):
    made = grade(project[2](CODE + "# a comment\n"))
    assert made.outcome == "unresolved"
    assert made.evidence["fail_to_pass"]["failed"] == ["t.sh::answer"]


def test_a_fix_that_breaks_another_test_is_unresolved(project, grade):
    made = grade(project[2](FIXED.replace("echo 1;", "echo 2;")))
    assert (made.outcome, made.evidence["pass_to_pass"]["failed"]) == (
        "unresolved",
        ["t.sh::other"],
    )


PRINTED = "echo PASSED t.sh::answer; echo PASSED t.sh::other\n"
CHEATS = {
    "prints what passing tests print and leaves": CODE + PRINTED + "exit 0\n",
    "the same with a failing exit": CODE + PRINTED + "exit 1\n",
    "prints at the end": CODE + f"trap '{PRINTED.strip()}' EXIT\n",
    "prints at the end and leaves well": CODE + f"trap '{PRINTED.strip()}; exit 0' EXIT\n",
    "closes the log early": CODE
    + PRINTED
    + "echo '== 2 passed in 0.1s =='; echo '>>>>> End Test Output'; "
    + "echo '>>>>> Test Exit Code: 0'\n",
    "kills the run": FIXED + "kill -9 $PPID\n",
    "ends the tests early": FIXED + "exit 0\n",
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_never_resolved(project, grade, name):
    assert grade(project[2](CHEATS[name])).outcome in ("unresolved", "ungraded")


def test_tests_that_a_patch_rewrites_are_put_back(project, grade):
    mine = "echo PASSED t.sh::answer; echo PASSED t.sh::other; echo '== 2 passed in 0.1s =='\n"
    assert grade(project[2](CODE, tests=mine)).outcome == "unresolved"


def test_a_patch_that_hangs_is_ungraded_and_says_so(project, grade):
    made = grade(project[2](FIXED + "sleep 60\n"), timeout=1.0)
    assert (made.outcome, made.evidence["reason"]) == ("ungraded", "timed out after 1 s")


def test_a_patch_that_does_not_apply_is_unresolved(project, grade):
    made = grade(project[2](FIXED).replace("echo 41", "echo 99"))
    assert (made.outcome, made.evidence["reason"]) == ("unresolved", "the patch does not apply")


def test_more_output_than_a_sandbox_keeps_is_still_read_whole(project, grade):
    noise = "i=0; while [ $i -lt 3000 ]; do echo 'a line of noise in the log'; i=$((i+1)); done\n"
    assert grade(project[2](FIXED + noise)).outcome == "resolved"


def test_output_that_is_no_utf8_is_still_read(project, grade):
    assert grade(project[2](FIXED + "printf 'caf\\351\\n'\n")).outcome == "resolved"


def test_a_sandbox_that_breaks_is_ungraded(project, grade):
    def broken(instance):
        raise Lost("the sandbox went away")

    made = grade(project[2](FIXED), open_sandbox=broken)
    assert (made.outcome, made.evidence["reason"]) == (
        "ungraded",
        "the sandbox failed: the sandbox went away",
    )


def test_a_verdict_is_found_again_without_a_sandbox(project, grade):
    patch = project[2](FIXED + "# twice\n")
    assert grade(patch).outcome == "resolved"
    assert grade(patch, open_sandbox=None).outcome == "resolved"
