"""A selector from another package: the first patch, whatever the verifiers reported of it."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.records import Candidate, CrossMatrix, Outcome


class FirstPatch:
    """Hands in the candidate of the earliest attempt that left a patch."""

    def __init__(self, skip: int = 0) -> None:
        self.skip = skip

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        found = [one.candidate for one in outcomes if one.candidate and one.candidate.patch]
        return found[min(self.skip, len(found) - 1)] if found else None
