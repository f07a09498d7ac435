"""swe-router: solve SWE-bench issues with a fleet of model tiers, never over the budget.

In a notebook::

    import swe_router
    run = swe_router.run("demo", budget=1)
    run.instances          # one row per instance; run.to_pandas("attempts") is a data frame
    swe_router.load_run("latest").spend
"""

from __future__ import annotations

import importlib
from typing import Any

from swe_router import moved

__version__ = "0.1.0"

moved.install_finder()

_LAZY = {
    "Arm": "records",
    "Attempt": "records",
    "Candidate": "records",
    "Features": "records",
    "Instance": "records",
    "Leaderboard": "api.ranking",
    "Outcome": "records",
    "Run": "api.run_view",
    "RunRecord": "records",
    "Settings": "settings",
    "SweRouterError": "errors",
    "UsageError": "errors",
    "Verdict": "records",
    "leaderboard": "api.ranking",
    "load_run": "api.run_view",
    "load_settings": "settings:load",
    "run": "api.runner",
}
"""Public name -> the module below that defines it; ``__init__.pyi`` says so to type checkers."""
_MOVED = {"solve": "swe_router.solve.engine.solve"}
"""Public name of before -> where the thing is today."""

__all__ = ["__version__", *sorted(_LAZY)]  # noqa: PLE0604 (a table, checked by a test)


def __dir__() -> list[str]:
    """The public names alone: what a notebook completes."""
    return list(__all__)


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that ``import swe_router`` costs nothing."""
    if name in _MOVED:
        raise AttributeError(f"swe_router.{name} is {_MOVED[name]} now")
    if name not in _LAZY:
        raise AttributeError(f"module 'swe_router' has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(importlib.import_module(f"swe_router.{module}"), attribute or name)
