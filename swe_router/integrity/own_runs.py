"""Which runs this user began here, by their seals: others are of unknown origin."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from swe_router.codegraph.repo_cache import cache_folder
from swe_router.journal.run_folder import RunFolder

_SEAL_DIGEST = re.compile(r"[0-9a-f]{64}")


def remember(run: RunFolder) -> None:
    """Keep that the user began this run, or looked at it and trusts it."""
    with contextlib.suppress(OSError):  # then trust is asked for again, and nothing is lost
        place = _mark_file(run)
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


def is_ours(run: RunFolder) -> bool:
    """Whether these settings, to the byte, were begun or trusted here; a moved run is."""
    place = _mark_file(run)
    return place is not None and place.is_file()


def _mark_file(run: RunFolder) -> Path | None:
    """The file that stands for the run, next to the cache of repositories."""
    seal = run.seal()
    return cache_folder()[0].parent / "begun" / seal if _SEAL_DIGEST.fullmatch(seal) else None
