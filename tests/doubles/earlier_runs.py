"""Runs that commit 976ade4 made, before a run folder kept what it was made with; see the README
beside them."""

from __future__ import annotations

from pathlib import Path

from tests.doubles.copies import copied

DATA = Path(__file__).resolve().parents[1] / "data" / "runs-976ade4"
NAMES = ("imported", "killed", "ray")


def unpacked(name: str, place: Path) -> Path:
    """The run folder, under ``place``."""
    copied(DATA / f"{name}.tar.xz", place)
    (found,) = place.iterdir()
    return found
