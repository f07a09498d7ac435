"""Weighs what all other verifiers said into one verdict and, where calibrated, a probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.estimates import calibration, weighing
from swe_router.records import ACCEPTANCE, Instance, Outcome, Verdict
from swe_router.seams import Kit
from swe_router.settings import VerifySettings
from swe_router.verifiers import authors


class Acceptance:
    """Verifier ``acceptance``; asked last, runs nothing itself.

    A patch that a fact speaks against fails. One on which nothing ran is ``unknown``, whatever
    opinions say. Else it passes from the threshold on that keeps false accepts under
    ``verify.false_accepts``; the evidence says whether that bound is shown or not. Without a
    calibration verdicts are counted: a pass and no fail is a pass, and no probability is given.
    """

    def __init__(self, settings: VerifySettings) -> None:
        """Raises ``UsageError`` for a damaged calibration."""
        self.settings = settings
        self.calibration = calibration.load(settings.calibration)
        self._bars: dict[str, dict[str, Any]] = {}

    def verify(
        self, outcome: Outcome, peers: Sequence[Outcome], instance: Instance, kit: Kit
    ) -> Verdict:
        """The verdict that counts, from ``outcome.verdicts``."""
        said = {one.verifier: one.outcome for one in outcome.verdicts}
        author = authors.names_of(outcome, kit.steps(outcome.attempt.id))
        facts: dict[str, Any] = {
            "said": said,
            "signals": weighing.signals(outcome.verdicts, author),
            "ran": weighing.grounded(outcome.verdicts, author),
            "model": "",
        }
        candidate = outcome.candidate
        facts["empty"] = candidate is None or not candidate.patch.strip()
        score = None
        if self.calibration is not None:
            facts |= self._bar(self.calibration, author)
            facts["repo"] = instance.repo
            score = _score(self.calibration, facts)
        facts["why"] = _why(facts, score)
        return Verdict.model_validate(
            {
                "candidate": candidate.digest if candidate else "",
                "verifier": ACCEPTANCE,
                "outcome": outcome_of(facts, score),
                "score": score,
                "evidence": facts,
            }
        )

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome, and the probability where the same fit is at hand."""
        facts, fitted = verdict.evidence, self.calibration
        mine = fitted is not None and facts.get("model") == f"{fitted.name}:{fitted.digest}"
        if fitted is not None and mine and "repo" in facts:
            try:
                again = _score(fitted, facts)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                return f"contradictory: {type(error).__name__}: {error}"
            if verdict.score is None or abs(verdict.score - again) > calibration.ALIKE:
                return f"contradictory: its signals give {again}"
        return outcome_of(facts, verdict.score)

    def _bar(self, fitted: calibration.Calibration, author: str) -> dict[str, Any]:
        """Class of the author, threshold and claim; found once a class."""
        kind = fitted.class_of(author)
        if kind not in self._bars:
            wanted = self.settings.threshold
            bar = fitted.threshold(kind, self.settings.false_accepts, self.settings.confidence)
            own = wanted is not None
            self._bars[kind] = {
                "model": f"{fitted.name}:{fitted.digest}",
                "author": kind,
                "threshold": wanted if own else bar.value,
                "claim": "none: the threshold was set by hand" if own else bar.claim,
            }
        return self._bars[kind]


def _score(fitted: calibration.Calibration, facts: Mapping[str, Any]) -> float:
    """P(right) for the evidence; an empty patch has none."""
    named = fitted.probability(facts["signals"], facts["author"], facts["repo"])
    return 0.0 if facts["empty"] else named


def outcome_of(facts: Mapping[str, Any], score: float | None) -> str:
    """The outcome that the facts and the probability stand for."""
    said = facts.get("said", {})
    if facts.get("empty") or any(said.get(name) == "fail" for name in weighing.FACTS):
        return "fail"
    if score is None or facts.get("threshold") is None:
        return _counted(set(said.values()))
    if not facts.get("ran"):
        return "unknown"
    return "pass" if score >= facts["threshold"] else "fail"


def _counted(said: set[str]) -> str:
    return "fail" if "fail" in said else "pass" if "pass" in said else "unknown"


def _why(facts: Mapping[str, Any], score: float | None) -> str:
    told = ", ".join(f"{name} {outcome}" for name, outcome in facts["said"].items())
    told = told or "no verifier said anything"
    if facts["empty"]:
        return "there is no patch"
    if score is None:
        return f"verdicts counted: {told}"
    if outcome_of(facts, score) == "unknown":
        return f"nothing ran that could tell right from wrong ({told})"
    bar = facts["threshold"]
    return f"probability {score:.2f}, accepted from {bar:.2f} on ({told}); {facts['claim']}"
