"""swe-router: solve SWE-bench issues with a fleet of model tiers, never over the budget."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_FRONT_DOOR = {
    "Arm": "records",
    "Attempt": "records",
    "Candidate": "records",
    "Features": "records",
    "Instance": "records",
    "Outcome": "records",
    "RunRecord": "records",
    "Settings": "settings",
    "SweRouterError": "errors",
    "UsageError": "errors",
    "Verdict": "records",
    "load_settings": "settings:load",
    "solve": "solve.engine:solve",
}

__all__ = ["__version__", *sorted(_FRONT_DOOR)]  # noqa: PLE0604 (a table, checked by a test)


def __dir__() -> list[str]:
    """Public names too, which are not there before they are used."""
    return sorted({*globals(), *_FRONT_DOOR})


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that ``import swe_router`` costs nothing."""
    if name not in _FRONT_DOOR:
        raise AttributeError(f"module 'swe_router' has no attribute {name!r}")
    module, _, attribute = _FRONT_DOOR[name].partition(":")
    return getattr(importlib.import_module(f"swe_router.{module}"), attribute or name)
