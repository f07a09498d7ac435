"""A verifier from another package: long patches are refused, short ones are a signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swe_router.records import Instance, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings

MAX_LINES = 400
SMALL = 20


class SmallChange:
    """Reads the patch alone; what it fails is a fact, after which nothing else is asked."""

    stage = "patch"
    decisive = True

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        candidate = outcome.candidate
        assert candidate is not None
        lines = candidate.patch.count("\n")
        made = Verdict(
            candidate=candidate.digest,
            verifier="outside-verifier",
            outcome="unknown",
            evidence={"lines": lines, "why": f"outside-verifier: {lines} lines"},
        )
        return made.model_copy(update={"outcome": self.check(made)})

    def check(self, verdict: Verdict) -> str:
        return "fail" if int(verdict.evidence.get("lines", 0)) > MAX_LINES else "unknown"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        return {"outside_small": float(int(verdict.evidence.get("lines", 0)) <= SMALL)}
