"""What the verifiers of one instance share; a key is a class that names its value's type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class CacheKey(Generic[T]):
    """Base of the keys: a frozen dataclass ``class Mine(CacheKey[ItsValue])``."""


@dataclass(frozen=True)
class RunKey(CacheKey[T]):
    """The key of a run on one patch; the run counts for every patch that leaves the same files."""

    candidate: str
    """Digest of the candidate."""


class VerifierCache:
    """Values by typed keys; one operation at a time is safe in threads."""

    def __init__(self) -> None:
        self._values: dict[CacheKey[Any], Any] = {}

    def __contains__(self, key: CacheKey[Any]) -> bool:
        return key in self._values

    def __getitem__(self, key: CacheKey[T]) -> T:
        """Raises ``KeyError`` for a key that is not there."""
        found: T = self._values[key]
        return found

    def __setitem__(self, key: CacheKey[T], value: T) -> None:
        self._values[key] = value

    def get(self, key: CacheKey[T], default: T) -> T:
        """The value, or the default."""
        found: T = self._values.get(key, default)
        return found

    def setdefault(self, key: CacheKey[T], value: T) -> T:
        """The value that is there, else this one, kept."""
        found: T = self._values.setdefault(key, value)
        return found

    def share_runs(self, known: str, candidate: str) -> None:
        """Let the runs on one candidate count for another, by their digests."""
        for key in list(self._values):  # a copy: other candidates may be verified meanwhile
            if isinstance(key, RunKey) and key.candidate == known:
                mine = replace(key, candidate=candidate)
                self._values.setdefault(mine, self._values[key])
