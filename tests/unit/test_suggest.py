"""One sentence for every unknown name, and one place that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

import swe_router
from swe_router import suggest

SOURCES = Path(swe_router.__file__).parent


@pytest.mark.parametrize(
    ("name", "expected"),
    [("locl", "; did you mean 'tiers.local'?"), ("", ""), ("nothing-like-it", "")],
)
def test_the_nearest_name_stands_with_its_prefix_inside_the_quotes(name, expected):
    assert suggest.did_you_mean_hint(name, ["local", "cloud"], prefix="tiers.") == expected


def test_several_near_names_are_joined_and_no_more_are_given_than_asked_for():
    known = ["cascade", "cascades", "cascaded", "cascader"]
    hint = suggest.did_you_mean_hint("cascad", known, count=3)
    assert hint.count("'cascade") == 3
    assert hint.count(" or ") == 2


def test_a_mapping_is_read_by_its_keys():
    assert suggest.did_you_mean_hint("weka", {"weak": 1, "strong": 2}) == "; did you mean 'weak'?"


def test_a_model_is_asked_without_quotes_as_recorded_runs_hold_it():
    assert suggest.did_you_mean_question("bsh", ["bash", "edit"]) == " Did you mean bash?"
    assert suggest.did_you_mean_question("zzz", ["bash", "edit"]) == ""


def test_no_other_module_looks_for_near_names_itself():
    own = [p.name for p in SOURCES.rglob("*.py") if "get_close_matches" in p.read_text("utf-8")]
    assert own == ["suggest.py"]
