"""What the leak guard and the audit of a trajectory found."""

from __future__ import annotations

from swe_router.records.frozen import FrozenRecord


class Finding(FrozenRecord):
    """One thing that the leak guard or the trajectory audit saw."""

    kind: str
    detail: str


class LeakReport(FrozenRecord):
    """Proof that the sandbox held no future before the first step."""

    head: str = ""
    """Commit that the sandbox stands on."""
    base: str = ""
    setup_commits: tuple[str, ...] = ()
    """The image's own commits on top of the base."""
    removed: tuple[Finding, ...] = ()
    """What was there and was taken out."""
    verified: bool = False
