"""What other, independent candidates for the same issue say of this one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Instance, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, Stage
from swe_router.verifiers.evidence_records import (
    AgreementEvidence,
    RepoTestsEvidence,
    ReproductionEvidence,
)
from swe_router.verifiers.patches import similarity
from swe_router.verifiers.signals import authors
from swe_router.verifiers.testing.comparison import BROKEN_RESULTS
from swe_router.verifiers.verdict_making import verdict_of_opinion

NAME = "agreement"
SAME_MODEL_WEIGHT = 0.25
"""Weight of a candidate by the same model: two of its runs share their mistakes. Five runs of one
model and one of another over 53 issues: AUC .66 with .25, .65 with 1; the difference is no more
than noise."""
PRIOR_WEIGHT = 1.0
"""Weight of the even odds that the score begins with."""

MIN_PEERS_CONTESTING = 2
"""Peers that must break a test before it is held against the test."""


class AgreementVerifier:
    """Verifier ``agreement``: a score from 0 to 1 with 0.5 for no say, outcome ``unknown``.

    Agents that share a wrong idea make the same wrong patch, so that agreement alone passes
    nothing. Each peer counts by how alike the two changes are (1 for
    the same normalised change), and by its reproduction tests, run on this candidate; a peer by
    the same model counts a quarter.
    """

    evidence_type: type[EvidenceRecord] = AgreementEvidence
    stage: Stage = "peers"
    score_is_probability = False  # 0.5 says nothing: it only puts patches in order

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Compare with the peers; a first candidate has none."""
        candidate = outcome.candidate
        mine = similarity.normalised_change(candidate.patch) if candidate else None
        if candidate is None or mine is None or mine.is_empty:
            return verdict_of_opinion(
                NAME, outcome, {"independent": 0, "why": "there is no change to compare"}
            )
        others = independent_peers(outcome, peers)
        if not others:
            why = "there is no other candidate to compare with"
            return verdict_of_opinion(
                NAME, outcome, {"independent": 0, "same_change": 0, "why": why}
            )
        author = authors.author_key(outcome, context.steps(outcome.attempt.id))
        compared = [_compared_with_peer(mine, author, peer, context) for peer in others]
        passed, failed = _peer_test_counts(outcome, others)
        facts = {
            "independent": len(compared),
            "same_change": sum(one["alike"] == 1.0 for one in compared),
            "same_model": sum(one["same_model"] for one in compared),
            "same_change_by_another_model": sum(
                one["alike"] == 1.0 and not one["same_model"] for one in compared
            ),
            "peers": compared,
            "their_tests_passed": passed,
            "their_tests_failed": failed,
            "contested": contested_tests(
                tests_broken_by(outcome.verdicts) or frozenset(),
                [
                    (found, SAME_MODEL_WEIGHT if one["same_model"] else 1.0)
                    for peer, one in zip(others, compared, strict=True)
                    if (found := tests_broken_by(peer.verdicts)) is not None
                ],
            ),
        }
        score = agreement_score(AgreementEvidence.model_validate(facts))
        facts["why"] = (
            f"{facts['same_change']} of {len(compared)} other candidate(s) make the same change,"
            f" {facts['same_model']} of them by the same model; it passes {passed} and fails"
            f" {failed} of their tests"
        )
        return verdict_of_opinion(NAME, outcome, facts, score)

    def check(self, verdict: Verdict) -> str:
        """An opinion has no outcome; a score that does not follow from its evidence is named."""
        facts = read_evidence(AgreementEvidence, verdict)
        if verdict.score is None or "peers" not in facts.model_fields_set:
            return "unknown"
        right = agreement_score(facts)
        return "unknown" if abs(right - verdict.score) < 1e-6 else "contradictory"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """See ``GivesSignals``."""
        return {} if verdict.score is None else {"agreement": round(2 * verdict.score - 1, 4)}


def independent_peers(outcome: Outcome, peers: Sequence[Outcome]) -> list[Outcome]:
    """Peers with a change of their own that were not handed this candidate's notes or diff."""
    found = [
        peer
        for peer in peers
        if peer.attempt.id != outcome.attempt.id
        and peer.attempt.plan.handover == "fresh"
        and peer.candidate is not None
        and not similarity.normalised_change(peer.candidate.patch).is_empty
    ]
    return found if outcome.attempt.plan.handover == "fresh" else []


def agreement_score(facts: AgreementEvidence) -> float:
    """0 to 1 from the peers and their tests: weighted share of agreement, from even odds on."""
    weight, agreed = PRIOR_WEIGHT, 0.5 * PRIOR_WEIGHT
    for peer in facts.peers:
        w = SAME_MODEL_WEIGHT if peer.same_model else 1.0
        weight, agreed = weight + w, agreed + w * peer.alike
    passed, failed = facts.their_tests_passed, facts.their_tests_failed
    return round(float((agreed + passed) / (weight + passed + failed)), 6)


def tests_broken_by(verdicts: Sequence[Verdict]) -> frozenset[str] | None:
    """Existing tests that a patch breaks, by ``repo-tests``; None when none could be run."""
    for one in verdicts:
        if one.verifier != "repo-tests":
            continue
        facts = read_evidence(RepoTestsEvidence, one)
        if "counts" in facts.model_fields_set:
            return frozenset(
                test for test, (_, after) in facts.tests.items() if after in BROKEN_RESULTS
            )
    return None


def contested_tests(
    broken: Iterable[str], broken_by_peers: Sequence[tuple[Collection[str], float]]
) -> list[str]:
    """Tests of ``broken`` that independent peers break as well, sorted.

    A test that most of several attempts break may assert the very thing that the issue wants
    changed, as the fix of a real issue often edits such a test. ``broken_by_peers``: what each
    breaks, and
    its weight. Two peers at least, and half of the weight.
    """
    whole = sum(weight for _, weight in broken_by_peers)
    found = []
    for test in sorted(broken):
        same = [weight for theirs, weight in broken_by_peers if test in theirs]
        if len(same) >= MIN_PEERS_CONTESTING and 2 * sum(same) >= whole:
            found.append(test)
    return found


def _compared_with_peer(
    own_change: similarity.NormalisedChange,
    author: str,
    peer: Outcome,
    context: VerificationContext,
) -> dict[str, Any]:
    assert peer.candidate is not None
    other = authors.author_key(peer, context.steps(peer.attempt.id))
    return {
        "attempt": peer.attempt.id,
        "alike": similarity.similarity(
            own_change, similarity.normalised_change(peer.candidate.patch)
        ),
        "same_model": other == author,
    }


def _peer_test_counts(outcome: Outcome, others: Sequence[Outcome]) -> tuple[int, int]:
    """Tests that these peers left behind and that this candidate passes and fails."""
    ids = {peer.attempt.id for peer in others}
    tally = {"passed": 0, "failed": 0}
    for verdict in outcome.verdicts:
        if verdict.verifier != "reproduction":
            continue
        for test in read_evidence(ReproductionEvidence, verdict).tests.values():
            if test.by in ids and not test.own and test.after in tally:
                tally[test.after] += 1
    return tally["passed"], tally["failed"]
