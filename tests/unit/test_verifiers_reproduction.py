"""Real runs of written tests: which are evidence, who has a vote, and what a flip gives away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swe_router.verifiers.reproduction.failure_reasons import (
    IssueNames,
    issue_mentions,
    why_not_evidence,
)
from swe_router.verifiers.reproduction.repository_context import nearest_test_module
from swe_router.verifiers.reproduction.single_run import TrialResult
from swe_router.verifiers.reproduction.test_writer import extract_test as fenced

NAMED = IssueNames.of(
    "`Shelf.pop_all()` raises KeyError; add `limit` to `take`. Nothing else, please."
)


def seen(kind: str, message: str = "", **more: Any) -> TrialResult:
    facts = {"phase": "call", "touched": True, "where": "test", "bases": (kind,)} | more
    return TrialResult(id="t", outcome="failed", kind=kind, message=message, **facts)


@pytest.mark.parametrize(
    ("one", "guilty"),
    [
        (seen("KeyError", where="project", project=True), False),
        (seen("NameError", where="project", project=True), False),
        (seen("NameError"), True),
        (seen("AssertionError"), False),
        (seen("AssertionError", touched=False), True),
        (seen("Failed", "DID NOT RAISE"), False),
        (seen("SystemExit", "1"), False),
        (seen("ValueError", line="raise ValueError('shown')"), False),
        (seen("ValueError", line="int('x')"), True),
        (seen("AttributeError", "'Shelf' object has no attribute 'pop_all'"), False),
        (seen("AttributeError", "'Box' object has no attribute 'lid'"), True),
        (seen("TypeError", "take() got an unexpected keyword argument 'limit'"), False),
        (seen("TypeError", "take() missing 1 required positional argument: 'n'"), True),
        (seen("ImportError", "cannot import name 'pop_all' from 'shelf'", phase="load"), False),
        (seen("ImportError", "cannot import name 'lid' from 'shelf'", phase="load"), True),
        (seen("ModuleNotFoundError", "No module named 'shelf'", phase="load"), True),
        (seen("ModuleNotFoundError", "No module named 'a'", where="other", project=True), True),
        (seen("OperationalError", "no such table: a", where="project", project=True), True),
        (seen("ImproperlyConfigured", "settings", where="project", project=True), True),
        (seen("URLError", "[Errno -3] Temporary failure in name resolution"), True),
        (seen("ConnectionError", "HTTPSConnectionPool: Max retries exceeded with url"), True),
        (seen("AssertionError", where="other", touched=True), False),
        (seen("ZeroDivisionError", where="other", touched=True), True),
        # The issue's own kind of exception, had without the project; then of what it gave.
        (seen("KeyError", "'a'", line="expected = {}['a']"), True),
        (seen("KeyError", "'a'", line="assert shelf.pop_all()['a']"), False),
        # The project was led to what this sandbox or this test has not.
        (
            seen(
                "ModuleNotFoundError",
                "No module named 'yaml'",
                where="project",
                project=True,
                bases=("ModuleNotFoundError", "ImportError"),
            ),
            True,
        ),
        (
            seen(
                "FileNotFoundError",
                "[Errno 2] No such file or directory: '/x/in.csv'",
                where="project",
                project=True,
            ),
            True,
        ),
    ],
)
def test_whose_fault_a_failure_is(one: TrialResult, guilty: bool) -> None:
    assert bool(why_not_evidence(one, NAMED)) is guilty


@pytest.mark.parametrize(
    "told",
    ["ends in FileNotFoundError", "says: No such file or directory", "cannot find in.csv at all"],
)
def test_a_missing_file_that_the_issue_speaks_of_is_its_reason(told: str) -> None:
    message = "[Errno 2] No such file or directory: '/x/in.csv'"
    one = seen("FileNotFoundError", message, where="project", project=True)
    assert why_not_evidence(one, IssueNames.of(f"Reading {told}.")) == ""


def test_what_an_issue_names() -> None:
    assert {"Shelf", "pop_all", "KeyError", "limit", "take"} <= NAMED.names
    assert "please" not in NAMED.names
    assert issue_mentions(seen("KeyError", line="shelf.pop_all()"), NAMED) == [
        "KeyError",
        "pop_all",
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Say.\n```python\nA = 1\n```\nMore.\n", "A = 1\n"),
        ("```\nA\n```\n```python\nB\n```", "B\n"),
        ("````python\n```\n````\n", "```\n"),
        ("import x\n", "import x\n"),
        ("I cannot.", ""),
        ("", ""),
        ("```python\nnever closed", ""),
    ],
)
def test_the_test_in_an_answer(answer: str, text: str) -> None:
    assert fenced(answer) == text


def test_the_example_is_the_test_that_the_issue_speaks_of() -> None:
    tests = ["tests/queries/test_q.py", "tests/model_fields/test_filefield.py", "tests/a/tests.py"]
    assert (
        nearest_test_module("FileField with callable storage; the model field", tests) == tests[1]
    )
    assert nearest_test_module("", []) == ""


def test_a_hidden_test_has_no_way_in() -> None:
    room = Path(__file__).parents[2] / "swe_router" / "verifiers" / "reproduction"
    text = "".join(path.read_text() for path in room.glob("*.py")).lower()
    for word in ("fail_to_pass", "pass_to_pass", "test_patch", "eval_script", "gold"):
        assert word not in text
