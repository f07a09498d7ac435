"""The tiers: the default run is closed-world; live tests are collected only when asked for."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path

import pytest

# Before numpy is loaded: the matrices of the tests are small, and on two cores the threads of
# OpenBLAS cost a sixth of the CPU of the whole suite in waiting for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What a helper asserts is told in full, as in the test files.
pytest.register_assert_rewrite("tests.doubles")

LIVE = Path(__file__).parent / "live"


def pytest_configure():
    """Import hypothesis as it is, before a test does.

    pytest rewrites the asserts of every package that brings a plugin. For the 225 files of this
    one it costs 2 s of CPU in each run that keeps no bytecode.
    """
    hooks = [finder for finder in sys.meta_path if "_pytest" in type(finder).__module__]
    for hook in hooks:
        sys.meta_path.remove(hook)
    try:
        hypothesis = import_module("hypothesis")
        import_module("hypothesis.stateful")
    finally:
        sys.meta_path[:0] = hooks
    # No deadline: a test says what is too slow itself, and a busy machine is no defect.
    hypothesis.settings.register_profile("frugal", max_examples=25, deadline=None)
    hypothesis.settings.load_profile("frugal")


def pytest_collection_finish():
    """Take what was imported out of the garbage collector's rounds: it lives to the end.

    What tests leave is looked through a hundredth as often: rounds cost a fiftieth of the CPU.
    """
    gc.freeze()
    gc.set_threshold(70_000, 20, 20)


def pytest_ignore_collect(collection_path, config):
    """Leave tests/live out unless a marker was asked for; nothing is deselected."""
    if LIVE in (collection_path, *collection_path.parents) and not config.getoption("-m"):
        return True
    return None
