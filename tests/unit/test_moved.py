"""An import name of an earlier version says what it is called now."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

from swe_router import moved, plugins
from swe_router.errors import UsageError


def test_an_old_module_name_tells_the_new_one():
    with pytest.raises(ModuleNotFoundError, match=r"swe_router\.verifiers\.testing\.before_after"):
        importlib.import_module("swe_router.verifiers.bench")


OLD_MODULES = sorted(one for one in moved.moved_names() if ":" not in one)
STILL_THERE = ("swe_router.estimates.acceptance", "swe_router.estimates.complexity")
"""Modules once, folders now."""


@pytest.mark.parametrize("old", [one for one in OLD_MODULES if one not in STILL_THERE])
def test_an_old_module_tells_the_new_one_when_it_is_taken_from_its_package(old):
    package, _, module = old.rpartition(".")
    with pytest.raises(ModuleNotFoundError, match=r"swe_router\.[\w.]+ is now swe_router\.\w"):
        __import__(package, fromlist=[module])


OLD_NAMES = [
    *("swe_router.grading.local:Local", "swe_router.agents.dialogue:Setup"),
    *("swe_router.codegraph.graph:Graph", "swe_router.breaker:MOST_ASKED"),
]


@pytest.mark.parametrize("old", OLD_NAMES)
def test_an_old_name_of_a_module_that_stays_tells_the_new_one(old):
    module, _, name = old.partition(":")
    with pytest.raises(
        ImportError, match=f"it is now {moved.moved_names()[old].replace(':', '.')}"
    ):
        exec(f"from {module} import {name}", {})


def test_an_old_room_tells_where_its_modules_went():
    with pytest.raises(ModuleNotFoundError, match=r"swe_router\.commands"):
        importlib.import_module("swe_router.assemble")


def test_an_old_class_name_tells_the_new_one():
    with pytest.raises(ImportError, match=r"swe_router\.seams\.AttemptContext"):
        from swe_router.seams import Desk  # noqa: F401


def test_a_name_that_never_was_stays_an_ordinary_error():
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module("swe_router.nonsense")
    with pytest.raises(ImportError, match="cannot import name"):
        from swe_router.seams import Nonsense  # noqa: F401


def test_a_plugin_setting_with_an_old_path_tells_the_new_one():
    with pytest.raises(UsageError, match=r"swe_router\.verifiers\.signals\.authors"):
        plugins.load_plugin("verifiers", "swe_router.verifiers.authors:Nothing")


@pytest.mark.parametrize(("old", "new"), sorted(moved.moved_names().items()))
def test_every_new_name_of_the_table_is_there(old, new):
    module, _, name = new.split(",")[0].partition(":")
    assert importlib.util.find_spec(module) is not None
    if name and "in_sandbox" not in module:
        assert hasattr(importlib.import_module(module), name), old
