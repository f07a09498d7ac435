"""The tiers: the default run is closed-world; live tests are collected only when asked for."""

from __future__ import annotations

from pathlib import Path

LIVE = Path(__file__).parent / "live"


def pytest_ignore_collect(collection_path, config):
    """Leave tests/live out unless a marker was asked for; nothing is deselected."""
    if LIVE in (collection_path, *collection_path.parents) and not config.getoption("-m"):
        return True
    return None
