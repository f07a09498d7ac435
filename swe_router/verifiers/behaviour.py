"""What a run's conduct and its patch's shape say of the patch: an opinion, never a proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.estimates.acceptance import calibration
from swe_router.estimates.acceptance.verdict_signals import clipped
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Instance, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, Stage
from swe_router.verifiers.evidence_records import BehaviourEvidence
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.signals import authors, patch_signals, trajectory_signals
from swe_router.verifiers.verdict_making import verdict_of_opinion

NAME = "behaviour"


class BehaviourVerifier:
    """Verifier ``behaviour``: a calibrated probability, and ``unknown`` for an outcome.

    Nothing runs, so nothing is shown: the score counts where ``acceptance`` weighs it. What
    cannot be known of a run (an imported patch without its trajectory) is left out, never 0.
    """

    evidence_type: type[EvidenceRecord] = BehaviourEvidence
    stage: Stage = "patch"
    calibrated = True

    def __init__(self, settings: VerifySettings) -> None:
        """Raises ``UsageError`` for a damaged calibration."""
        self.calibration = calibration.load_calibration(settings.calibration)

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Score the run and its patch; needs neither a sandbox nor a model."""
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return verdict_of_opinion(NAME, outcome, {"why": "there is no patch to look at"})
        form = patch_signals.signals_of_patch(
            candidate.patch, instance.problem, path_kinds.is_test_predicate(context.graph)
        )
        if not form:
            return verdict_of_opinion(NAME, outcome, {"why": "the patch cannot be read as a diff"})
        steps = context.steps(outcome.attempt.id)
        found = form | trajectory_signals.signals_of_trajectory(
            outcome.attempt, steps, instance.workdir
        )
        facts: dict[str, Any] = {"signals": {name: round(v, 4) for name, v in found.items()}}
        fitted = self.calibration
        if fitted is None or not fitted.behaviour:
            why = "no calibration is named: the signals are reported, not weighed"
            return verdict_of_opinion(NAME, outcome, {**facts, "model": "", "why": why})
        author = authors.author_names(outcome, steps)
        score, lift = fitted.behaves(facts["signals"], author, instance.repo)
        seen = "the run and its patch" if steps else "the patch alone"
        word = "more" if lift > 0 else "less"
        why = f"{seen}: {word} often right than the mean one (probability {score:.2f})"
        facts |= {"lift": lift, "model": f"{fitted.name}:{fitted.digest}", "why": why}
        facts |= {"author": author, "repo": instance.repo}
        return verdict_of_opinion(NAME, outcome, facts, score)

    def check(self, verdict: Verdict) -> str:
        """An opinion has no outcome; a score that the same fit does not give is named."""
        facts, fitted = read_evidence(BehaviourEvidence, verdict), self.calibration
        if fitted is None or facts.model != f"{fitted.name}:{fitted.digest}":
            return "unknown"
        if not {"signals", "author", "repo"} <= facts.model_fields_set:
            return "unknown"
        try:
            again, _ = fitted.behaves(facts.signals, facts.author, facts.repo)
        except (AttributeError, TypeError, ValueError) as error:
            return f"contradictory: {error}"
        same = verdict.score is not None and abs(verdict.score - again) <= calibration.EQUAL_WITHIN
        return "unknown" if same else f"contradictory: its signals give {again}"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """See ``GivesSignals``."""
        lift = read_evidence(BehaviourEvidence, verdict).lift
        return {} if lift is None else {"behaviour": clipped(lift)}

    def rescored(self, verdict: Verdict, author: str, repo: str, fitted: Any) -> Verdict:
        """See ``RescoresVerdicts``."""
        signals = read_evidence(BehaviourEvidence, verdict).signals
        if not signals or not fitted.behaviour:
            return verdict
        score, lift = fitted.behaves(signals, author, repo)
        evidence = {**verdict.evidence, "lift": lift}
        return verdict.model_copy(update={"score": score, "evidence": evidence})
