"""How verifiers put a verdict together from what they found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.records import Candidate, Outcome, Verdict


def verdict_of_facts(
    verifier: str, candidate: Candidate | None, outcome: str, facts: Mapping[str, Any]
) -> Verdict:
    """The verdict of a verifier that decides by facts; ``facts`` are its evidence."""
    fields = {
        "candidate": candidate.digest if candidate else "",
        "verifier": verifier,
        "outcome": outcome,
        "evidence": facts,
    }
    return Verdict.model_validate(fields)


def verdict_of_opinion(
    verifier: str, outcome: Outcome, facts: Mapping[str, Any], score: float | None = None
) -> Verdict:
    """The verdict of a verifier that shows nothing: a score at most, and ``unknown``."""
    return Verdict(
        candidate=outcome.candidate.digest if outcome.candidate else "",
        verifier=verifier,
        outcome="unknown",
        score=score,
        evidence=facts,
    )
