"""Weighs what all other verifiers said into one verdict and, where calibrated, a probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.records import ACCEPTANCE, Instance, Outcome, Verdict
from swe_router.seams import Kit
from swe_router.settings import VerifySettings


class Acceptance:
    """Verifier ``acceptance``; asked last, runs nothing itself."""

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self, outcome: Outcome, peers: Sequence[Outcome], instance: Instance, kit: Kit
    ) -> Verdict:
        """The verdict that counts, from ``outcome.verdicts``."""
        facts = {"said": {one.verifier: one.outcome for one in outcome.verdicts}}
        digest = outcome.candidate.digest if outcome.candidate else ""
        return Verdict.model_validate(
            {"candidate": digest, "verifier": ACCEPTANCE, "outcome": _of(facts), "evidence": facts}
        )

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded evidence."""
        return _of(verdict.evidence)


def _of(facts: Mapping[str, Any]) -> str:
    said = set(facts["said"].values())
    return "fail" if "fail" in said else "pass" if "pass" in said else "unknown"
