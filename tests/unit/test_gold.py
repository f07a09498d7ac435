"""The answer key is read for grading alone, in every form that data sets have."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import swe_router
from swe_router.errors import UsageError
from swe_router.grading import gold
from tests.doubles.sources import nodes

ROW = {
    "instance_id": "o__r-1",
    "repo": "o/r",
    "version": "1.2",
    "base_commit": "c" * 40,
    "image": "img:1",
    "patch": "the patch",
    "test_patch": "the tests",
    "FAIL_TO_PASS": '["t::a"]',
    "PASS_TO_PASS": '["t::b", "t::c"]',
    "eval_script": "#!/bin/bash",
    "log_parser": "parse_log_pytest",
    "eval_type": "pass_and_fail",
    "hints_text": None,
    "difficulty": "<15 min fix",
}


def read(**changes):
    return gold.read_gold("full", hub=lambda _: [{**ROW, **changes}])["o__r-1"]


def test_test_lists_come_as_lists_and_as_json_text():
    assert read().fail_to_pass == read(FAIL_TO_PASS=["t::a"]).fail_to_pass == ("t::a",)
    assert read().pass_to_pass == ("t::b", "t::c")


def test_the_row_for_the_harness_holds_what_was_read():
    row = read().row()
    assert json.loads(row.pop("PASS_TO_PASS")) == ["t::b", "t::c"]
    assert json.loads(row.pop("FAIL_TO_PASS")) == ["t::a"]
    assert row == {name: ROW[name] for name in row}


@pytest.mark.parametrize("bad", ["not json", '{"a": 1}', "[1]", None, 7])
def test_test_lists_that_are_none_are_named(bad):
    with pytest.raises(UsageError, match="'o__r-1': FAIL_TO_PASS is not a list of test names"):
        read(FAIL_TO_PASS=bad)


@pytest.mark.parametrize("column", ["eval_script", "log_parser"])
def test_a_row_that_could_not_be_graded_is_named_if_it_is_asked_for(column):
    def hub(_):
        return [ROW, {**ROW, "instance_id": "o__r-2", column: None}]

    assert list(gold.read_gold("full", {"o__r-1"}, hub=hub)) == ["o__r-1"]
    with pytest.raises(UsageError, match=f"'o__r-2' has no {column}: it cannot be graded"):
        gold.read_gold("full", hub=hub)


def test_nothing_outside_grading_imports_the_answer_key():
    package = Path(swe_router.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("grading", "_assets"):
            continue
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                assert not [name for name in names if name.startswith("swe_router.grading.gold")]
            if isinstance(node, ast.Import):
                assert not [alias for alias in node.names if "grading.gold" in alias.name], path
