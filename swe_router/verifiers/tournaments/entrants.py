"""Who takes part: one entrant per change, whatever its verdicts are asked for first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swe_router import recorded_verdicts
from swe_router.patch_identity import effect_digest
from swe_router.records import Outcome

KEY_DIGITS = 16


@dataclass(frozen=True)
class Entrant:
    """A change, by its effect: copies of one change are one entrant."""

    key: str
    patch: str
    attempt_id: str
    """The first attempt that made it, by id."""


def entrant_key(patch: str) -> str:
    """What a change is called in a tournament."""
    return effect_digest(patch)[:KEY_DIGITS]


def entrants_of(outcome: Outcome, peers: Sequence[Outcome]) -> list[Entrant]:
    """Every change that no fact refuses, in an order that does not say whose it is.

    The judged outcome is one of them; empty where it has no change.
    """
    found: dict[str, Entrant] = {}
    for one in sorted((outcome, *peers), key=lambda one: one.attempt.id):
        if one.candidate is None or not one.candidate.patch.strip():
            continue
        if any(recorded_verdicts.is_decisive_fail(verdict) for verdict in one.verdicts):
            continue
        key = entrant_key(one.candidate.patch)
        found.setdefault(key, Entrant(key, one.candidate.patch, one.attempt.id))
    return [found[key] for key in sorted(found)]
