"""What leaves the answer key of a row's evaluation script: its runner, and nothing of its tests."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import assets
from swe_router.grading import gold, runner
from swe_router.grading.gold import Gold
from swe_router.verifiers.testing.runners import RUNNERS

SHARED = Path(os.environ.get("SWE_ROUTER_ROWS", ""))
"""A file of further rows to prove it over; optional."""
QUIET = "PYTHONWARNINGS=ignore::UserWarning,ignore::SyntaxWarning"
INSTALLS = {"pip", "install", "conda", "apt-get", "npm ci", "locale-gen", "sed", "git", "activate"}


def row(command: str) -> Gold:
    script = (
        "#!/bin/bash\npython -m pip install -e .[secret]\ngit apply -v - <<'EOF'\n"
        f"+++ b/secret/test_hidden.py\nEOF\n: '>>>>> Start Test Output'\n{command}\n"
        ": '>>>>> End Test Output'\ngit checkout abc secret/test_hidden.py\n"
    )
    texts = dict.fromkeys(("repo", "version", "base_commit", "image", "patch", "test_patch"), "")
    rest = {"fail_to_pass": (), "pass_to_pass": (), "log_parser": "p", "eval_type": "t"}
    return Gold.model_validate({"instance_id": "i", "eval_script": script, **texts, **rest})


@pytest.mark.parametrize(
    ("command", "line", "name"),
    [
        ("pytest -rA lib/secret/test_a.py", "pytest -rA", "pytest"),
        ("python -m pytest -rA -k hidden x/y.py::test_b", "python -m pytest -rA", "pytest"),
        (
            "./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1 secret.tests",
            "django-runtests --verbosity 2 --settings=test_sqlite --parallel 1",
            "django",
        ),
        (f"{QUIET} bin/test -C --verbose s/t.py", f"sympy-test {QUIET} -C --verbose", "sympy"),
        ("tox --current-env -epy39 -v -- tests/t.py", "tox --current-env -epy39 -v", "pytest"),
        ("go test -json ./secret/... -run TestHidden", "go test -json", "go"),
        ("npx jest --ci secret/a.test.js", "npx jest", "jest"),
        ("npm ci", "npm", ""),
        ("secret/run_hidden.sh", "", ""),
        ("python secret.py", "", ""),
        ("echo 'unbalanced", "", ""),
    ],
)
def test_a_command_is_told_without_its_files(command: str, line: str, name: str) -> None:
    assert runner.runner_command_of(row(command)) == line
    assert runner.runner_name(row(command)) == name
    assert name in ("", *RUNNERS)


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=200))
def test_no_word_that_is_not_on_the_list_comes_out(text: str) -> None:
    told = runner.runner_command_of(row(f"pytest -rA {text}")).split()
    assert set(told) <= {"pytest", "-rA", *runner.WORDS, *runner.PROGRAMS.values()}


def names(of: Gold) -> set[str]:
    """Paths, folders, file names, test names and their parts, of the tests that a row hides."""
    found: set[str] = set()
    for path in re.findall(r"(?m)^(?:\+\+\+ b|--- a)/(\S+)", of.test_patch):
        parts = path.split("/")
        found |= {"/".join(parts[:end]) for end in range(1, len(parts) + 1)}
        found |= {*parts, posixpath.basename(path).split(".")[0]}
    for test in (*of.fail_to_pass, *of.pass_to_pass):
        found |= {test, *re.split(r"[\s:/().\[\],]+", test)}
    return {name for name in found if len(name) > 1}


def files() -> list[str]:
    found = [str(assets.assets_root() / "eval" / "suites" / "demo" / "instances.jsonl")]
    return found + [str(SHARED)] * SHARED.is_file()


@pytest.mark.parametrize("split", files(), ids=lambda path: Path(path).name)
def test_no_name_of_a_hidden_test_and_no_install_line_survives(split: str) -> None:
    rows = gold.read_gold(split)
    assert rows
    for one in rows.values():
        told = runner.runner_command_of(one)
        words = set(re.split(r"[\s=:,]+", told)) | set(told.split())
        assert told, one.instance_id
        assert runner.runner_name(one) in RUNNERS
        assert not words & names(one), one.instance_id
        assert not words & INSTALLS
        assert "/" not in told
