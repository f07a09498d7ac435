"""What an audit says: findings, each of which warns or refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["refuse", "warn"]


@dataclass(frozen=True)
class AuditFinding:
    """One fault. ``refuse``: figures made of the table would be wrong; ``warn``: they may be."""

    severity: Severity
    check: str
    """Short name of the check, e.g. ``permuted-ids``."""
    message: str
    system: str = ""
    """The system it is about; empty when it is about the table."""


def some_systems(names: list[str], max_names: int = 3) -> str:
    """A few names and how many more."""
    more = f" and {len(names) - max_names} more" if len(names) > max_names else ""
    return ", ".join(names[:max_names]) + more
