"""Combines all other verdicts into one and, where calibrated, a probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router import recorded_verdicts
from swe_router.estimates.acceptance import calibration, selective_threshold, verdict_signals
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import ACCEPTANCE, Instance, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.stats.rounding import distinct_decimals
from swe_router.verifier_abilities import EvidenceRecord, Stage
from swe_router.verifiers.evidence_records import AcceptanceEvidence
from swe_router.verifiers.patches import equivalence
from swe_router.verifiers.signals import authors


class AcceptanceVerifier:
    """Verifier ``acceptance``; asked last, runs nothing itself.

    A patch that a fact speaks against fails. One on which nothing ran is ``unknown``, whatever
    opinions say. Else it passes from the threshold on: ``verify.threshold``, else the money bar of
    its tier (``verify.bars``), else the threshold that keeps false accepts under
    ``verify.false_accepts``; the evidence says whether that bound is shown or not. Without a
    calibration verdicts are counted: a pass and no fail is a pass, and no probability is given.

    One change has one verdict: of the candidates that make the same change, the one on which most
    is known speaks for all of them.
    """

    evidence_type: type[EvidenceRecord] = AcceptanceEvidence
    stage: Stage = "combination"
    calibrated = True

    def __init__(self, settings: VerifySettings) -> None:
        """Raises ``UsageError`` for a damaged calibration."""
        self.settings = settings
        self.calibration = calibration.load_calibration(settings.calibration)
        self._bar_by_author_class: dict[tuple[str, str], dict[str, Any]] = {}

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """The verdict that counts, from ``outcome.verdicts``."""
        facts = self._known_facts(outcome, context)
        score = self._probability_and_bar(facts, outcome, instance)
        if not facts["empty"] and not _is_refused_by_fact(facts):
            for twin in equivalence.equivalent_peers(outcome, peers):
                theirs = self._known_facts(twin, context)
                other = self._probability_and_bar(theirs, twin, instance)
                if not _is_refused_by_fact(theirs) and _twin_is_better_known(
                    theirs, other, facts, score
                ):
                    facts, score = {**theirs, "same_change_as": twin.attempt.id}, other
            if score is not None:  # the probability decides; what is listed is one's own
                facts["said"] = {one.verifier: one.outcome for one in outcome.verdicts}
        candidate = outcome.candidate
        facts["why"] = _reason_line(AcceptanceEvidence.model_validate(facts), score)
        return Verdict.model_validate(
            {
                "candidate": candidate.digest if candidate else "",
                "verifier": ACCEPTANCE,
                "outcome": acceptance_outcome(AcceptanceEvidence.model_validate(facts), score),
                "score": score,
                "evidence": facts,
            }
        )

    def _known_facts(self, outcome: Outcome, context: VerificationContext) -> dict[str, Any]:
        """What is known of a candidate, its author's part apart."""
        author = authors.author_names(outcome, context.steps(outcome.attempt.id))
        candidate = outcome.candidate
        return {
            "said": {one.verifier: one.outcome for one in outcome.verdicts},
            "signals": verdict_signals.signals(outcome.verdicts, author),
            "ran": verdict_signals.grounded(outcome.verdicts, author),
            "model": "",
            "empty": candidate is None or not candidate.patch.strip(),
            "by": author,
        }

    def _probability_and_bar(
        self, facts: dict[str, Any], outcome: Outcome, instance: Instance
    ) -> float | None:
        """P(right) by the calibration, with the bar that it is held against put into ``facts``."""
        author = facts.pop("by")
        if self.calibration is None:
            return None
        facts |= self._author_and_bar(self.calibration, author, outcome.arm.model)
        facts["repo"] = instance.repo
        unweighed = self.calibration.unweighed(facts["signals"], facts["author"], instance.repo)
        if unweighed:
            facts["unweighed"] = unweighed
        return _probability_of(self.calibration, AcceptanceEvidence.model_validate(facts))

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome, and the probability where the same fit is at hand."""
        facts, calibrated_fit = read_evidence(AcceptanceEvidence, verdict), self.calibration
        own_facts = (
            calibrated_fit is not None
            and facts.model == f"{calibrated_fit.name}:{calibrated_fit.digest}"
        )
        if calibrated_fit is not None and own_facts and "repo" in facts.model_fields_set:
            try:
                again = _probability_of(calibrated_fit, facts)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                return f"contradictory: {type(error).__name__}: {error}"
            if verdict.score is None or abs(verdict.score - again) > calibration.EQUAL_WITHIN:
                return f"contradictory: its signals give {again}"
        return acceptance_outcome(facts, verdict.score)

    def _author_and_bar(
        self, calibrated_fit: calibration.Calibration, author: str, tier: str
    ) -> dict[str, Any]:
        """Class of the author, threshold and claim; found once per class and tier."""
        author_class = calibrated_fit.class_of(author)
        key = (author_class, tier)
        if key not in self._bar_by_author_class:
            value, claim = self._threshold_and_claim(calibrated_fit, author_class, tier)
            self._bar_by_author_class[key] = {
                "model": f"{calibrated_fit.name}:{calibrated_fit.digest}",
                "author": author_class,
                "threshold": value,
                "claim": claim,
            }
        return self._bar_by_author_class[key]

    def _threshold_and_claim(
        self, calibrated_fit: calibration.Calibration, author_class: str, tier: str
    ) -> tuple[float, str]:
        verify = self.settings
        if verify.threshold is not None:
            return verify.threshold, "none: the threshold was set by hand"
        if verify.bars:
            bar = verify.bars.get(tier, max(verify.bars.values()))
            held = [one for one in calibrated_fit.held_out if one.author == author_class]
            known = selective_threshold.claim_at_threshold(
                held, bar, verify.false_accepts, verify.confidence
            )
            return bar, f"the bar costs least for this ladder; {known.claim}"
        found = calibrated_fit.threshold(author_class, verify.false_accepts, verify.confidence)
        return found.value, found.claim


def _is_refused_by_fact(facts: Mapping[str, Any]) -> bool:
    return _has_decisive_fail(facts["said"])


def _has_decisive_fail(outcomes: Mapping[str, str]) -> bool:
    """``outcomes``: verifier -> its outcome."""
    return any(
        outcome == "fail" and recorded_verdicts.traits_named(name).decisive
        for name, outcome in outcomes.items()
    )


def _twin_is_better_known(
    twin_facts: Mapping[str, Any],
    twin_score: float | None,
    own_facts: Mapping[str, Any],
    own_score: float | None,
) -> bool:
    """Whether a twin's evidence goes before: more that ran, more signals, else the surer word."""

    def weight(facts: Mapping[str, Any], chance: float | None) -> tuple[bool, float, int, float]:
        voted = sum(
            value for name, value in facts["signals"].items() if name.startswith(("harv", "writ"))
        )
        return bool(facts["ran"]), voted, len(facts["signals"]), chance or 0.0

    return weight(twin_facts, twin_score) > weight(own_facts, own_score)


def _probability_of(calibrated_fit: calibration.Calibration, facts: AcceptanceEvidence) -> float:
    """P(right) for the evidence; an empty patch has none."""
    named = calibrated_fit.probability(facts.signals, facts.author, facts.repo)
    return 0.0 if facts.empty else named


def acceptance_outcome(facts: AcceptanceEvidence, score: float | None) -> str:
    """The outcome that the facts and the probability stand for."""
    if facts.empty or _has_decisive_fail(facts.outcomes):
        return "fail"
    if score is None or facts.threshold is None:
        return _outcome_by_count(set(facts.outcomes.values()))
    if not facts.ran:
        return "unknown"
    return "pass" if score >= facts.threshold else "fail"


def _outcome_by_count(outcomes: set[str]) -> str:
    return "fail" if "fail" in outcomes else "pass" if "pass" in outcomes else "unknown"


def _reason_line(facts: AcceptanceEvidence, score: float | None) -> str:
    listed = ", ".join(f"{name} {outcome}" for name, outcome in facts.outcomes.items())
    listed = listed or "no verifier ran"
    if facts.empty:
        return "there is no patch"
    if score is None or facts.threshold is None:
        return f"verdicts counted: {listed}"
    if acceptance_outcome(facts, score) == "unknown":
        return f"nothing ran that could tell right from wrong ({listed})"
    chance, bar = distinct_decimals(score, facts.threshold)
    twin = facts.same_change_as
    shared = f"; the same change as {twin}, on which more is known" if twin else ""
    unweighed = ", ".join(facts.unweighed)
    shared += f"; not weighed until `swe-router calibrate`: {unweighed}" if unweighed else ""
    return f"probability {chance}, accepted from {bar} on ({listed}){shared}; {facts.claim}"
