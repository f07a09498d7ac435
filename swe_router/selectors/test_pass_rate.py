"""Hand in the candidate whose tests speak best for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from swe_router.records import Candidate, Outcome

_NOISE = re.compile(r"^(index |diff --git |similarity |@@)")


class TestPassRate:
    """Selector ``test-pass-rate``; the order is total, so the order of the outcomes is no matter.

    Better is, in this order: accepted by the verifiers; not failed by any; submitted rather than
    cut off by a limit; a larger share of the tests that passed before still passing (no test
    evidence counts as none); proven to re-apply; more candidates with the same normalised diff;
    a smaller diff; the later, that is the stronger, attempt; then digest and id.
    A candidate that a verifier failed is handed in only when there is nothing better: on
    SWE-bench a wrong patch costs no more than none. Empty patches are never chosen.
    """

    __test__ = False  # pytest: a class of the product, not a test case

    def select(self, outcomes: Sequence[Outcome], matrix: Any = None) -> Candidate | None:
        """The best non-empty candidate, or None when there is none."""
        filled = [o for o in outcomes if o.candidate is not None and o.candidate.patch.strip()]
        if not filled:
            return None
        same = Counter(normalised(o.candidate.patch) for o in filled if o.candidate)
        return max(filled, key=lambda outcome: _rank(outcome, same)).candidate


def normalised(patch: str) -> tuple[str, ...]:
    """The changed lines of a diff without hashes, line numbers, context and white space."""
    kept = (line for line in patch.split("\n") if line[:1] in ("+", "-") and not _NOISE.match(line))
    bare = ("".join(line.split()) for line in kept)
    return tuple(line for line in bare if len(line) > 1) or (patch,)


def pass_rate(outcome: Outcome) -> float:
    """Tests still passing over tests that passed before, from ``repo-tests``; 0 without any."""
    for verdict in outcome.verdicts:
        if verdict.verifier == "repo-tests":
            counts = verdict.evidence.get("counts", {})
            before = int(counts.get("passed_before", 0))
            return int(counts.get("still_pass", 0)) / before if before else 0.0
    return 0.0


def _rank(outcome: Outcome, same: Counter[tuple[str, ...]]) -> tuple[Any, ...]:
    candidate = outcome.candidate
    assert candidate is not None
    form = normalised(candidate.patch)
    return (
        outcome.accepted,
        all(verdict.outcome != "fail" for verdict in outcome.verdicts),
        outcome.attempt.trajectory.exit == "submitted",
        pass_rate(outcome),
        candidate.proven,
        same[form],
        -sum(len(line) for line in form),
        _number(candidate.attempt_id),
        candidate.digest,
        candidate.attempt_id,
    )


def _number(attempt_id: str) -> tuple[int, ...]:
    """``12-weak.2`` as (12, 2): attempt ids count up as the ladder is climbed."""
    return tuple(int(number) for number in re.findall(r"\A\d+|(?<=\.)\d+\Z", attempt_id))
