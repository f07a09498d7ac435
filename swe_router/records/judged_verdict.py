"""A verdict with the official result on the same patch: the input of error rates."""

from __future__ import annotations

from decimal import Decimal

from swe_router.records.frozen import FrozenRecord, Usd
from swe_router.records.values import VerdictOutcome


class JudgedVerdict(FrozenRecord):
    """One verifier's verdict on one attempt's patch, joined with the official result."""

    run: str
    instance_id: str
    repo: str = ""
    attempt: str
    """Attempt id within the run and instance."""
    tier: str
    """The arm that made the patch, as ``str(Arm)``."""
    author: str = ""
    """Model id of the tier; of an imported patch, where it came from."""
    verifier: str
    """``acceptance`` is what all others came to: what decided on accepting the patch."""
    outcome: VerdictOutcome
    score: float | None = None
    """Probability that the patch is right, where the verifier gave one; ``agreement``'s is none,
    and only higher for the likelier patch."""
    seconds: float = 0.0
    usd: Usd = Decimal(0)
    """What the verdict's own model calls cost."""
    patch: str
    """SHA-256 of the patch."""
    resolved: bool | None = None
    """The official result; None where there is none."""
