"""A model reads issue, diff and evidence and rates the change by a rubric; never decisive alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swe_router import recorded_verdicts
from swe_router.errors import LedgerRefused, ModelError
from swe_router.estimates.acceptance import calibration
from swe_router.estimates.acceptance.verdict_signals import clipped, log_odds
from swe_router.lazy_imports import deferred_module
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import (
    CallLimits,
    Completion,
    Instance,
    Message,
    Outcome,
    Verdict,
    digest_of,
)
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, ModelRole, Stage, VerdictSummary
from swe_router.verifiers.evidence_records import JudgeEvidence
from swe_router.verifiers.verdict_making import verdict_of_opinion

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

NAME = "judge"
PROMPT = "judge"
RUBRIC_ITEMS = ("cause", "complete", "focused", "general", "consistent")
MAX_RATING = 4
MAX_ANSWER_TOKENS = 4096
"""Output cap of the answer, reasoning included; the tier's own cap may be lower."""
MAX_ANSWER_SECONDS = 3600.0
"""Seconds for one answer, whatever time there is."""
MAX_PATCH_CHARS, MAX_ISSUE_CHARS = 60_000, 40_000
"""Characters that are shown of the diff and of the issue."""
MAX_KEPT_ANSWER_CHARS = 20_000
"""Characters of the answer that are kept: its end, where the ratings stand."""
_JSON_OBJECT = re.compile(r"\{[^{}]*\}")


class JudgeVerifier:
    """Verifier ``judge``: a rubric and a probability, and ``unknown`` for an outcome.

    The probability is Platt-scaled where the calibration was fitted on judged patches. The
    evidence holds the answer, from which ``check`` reads the ratings again.
    """

    evidence_type: type[EvidenceRecord] = JudgeEvidence
    stage: Stage = "peers"
    calibrated = True
    asks: Mapping[ModelRole, str] = {"judge": PROMPT}

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
        """Ask the judge once; the same question is not paid for twice."""
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return verdict_of_opinion(NAME, outcome, {"why": "there is no patch to judge"})
        if context.judge is None:
            return verdict_of_opinion(NAME, outcome, {"why": "no judge is named"})
        asked = judge_messages(outcome, instance, context.prompts.get(PROMPT))
        request = digest_of([one.model_dump(mode="json") for one in asked])
        try:
            note = _answer_kept_or_bought(asked, request, context, outcome.attempt.id)
        except (ModelError, LedgerRefused) as error:
            why = f"the judge gave no answer: {type(error).__name__}: {error}"
            return verdict_of_opinion(NAME, outcome, {"request": request, "usd": "0", "why": why})
        facts: dict[str, Any] = {"request": request, **note}
        read = parse_ratings(note["answer"])
        if read is None:
            return verdict_of_opinion(
                NAME, outcome, {**facts, "why": "the judge's answer holds no ratings"}
            )
        facts |= read
        score = read["probability"]
        if self.calibration is not None and self.calibration.judge is not None:
            score = self.calibration.judged(score)
            facts["model"] = f"{self.calibration.name}:{self.calibration.digest}"
        facts["why"] = f"{note['by']}: {score:.2f}; {read['said']}".rstrip("; ")
        return verdict_of_opinion(NAME, outcome, facts, score)

    def check(self, verdict: Verdict) -> str:
        """An opinion has no outcome; ratings that do not stand in the answer are named."""
        facts = read_evidence(JudgeEvidence, verdict)
        if facts.probability is None:
            return "unknown"
        recorded = {
            "rubric": facts.rubric,
            "probability": facts.probability,
            "said": facts.reason,
        }
        return "unknown" if parse_ratings(facts.answer) == recorded else "contradictory"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """See ``GivesSignals``.

        As the judge answered, not as it was scaled: refits must not depend on each other.
        """
        probability = read_evidence(JudgeEvidence, verdict).probability
        return {} if probability is None else {"judge": clipped(log_odds(probability))}

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        return VerdictSummary(preference=verdict.score)


def judge_messages(
    outcome: Outcome, instance: Instance, template: str | None = None
) -> tuple[Message, ...]:
    """What the judge is asked; ``template`` is the prompt, where it is not the one of today."""
    assert outcome.candidate is not None
    source = templates.prompt_source(PROMPT) if template is None else template

    def question(patch: str, evidence: Sequence[str]) -> str:
        return templates.render_source(
            source,
            f"prompt {PROMPT}",
            repo=instance.repo,
            problem=instance.problem.strip()[:MAX_ISSUE_CHARS],
            patch=patch[:MAX_PATCH_CHARS].rstrip("\n"),
            cut=max(0, len(patch) - MAX_PATCH_CHARS),
            evidence=evidence,
        )

    evidence = [
        f"- {one.verifier}: {one.outcome}; {read_evidence(EvidenceRecord, one).why}"
        for one in outcome.verdicts
        if _is_about_facts(one)
    ]
    text = question(outcome.candidate.patch, evidence)
    shared = templates.shared_length(text, question("", ()))
    return (Message(role="user", content=text, repeats=shared),)


def _is_about_facts(verdict: Verdict) -> bool:
    """Whether the judge is shown the verdict: it rests on facts or on runs of tests."""
    traits = recorded_verdicts.traits_named(verdict.verifier)
    return traits.decisive or traits.runs_tests


def parse_ratings(answer: str) -> dict[str, Any] | None:
    """Rubric, probability and reason from the last JSON object that has them; None for none.

    Numbers may come as text or as a percentage; what is not finite or off its scale is no rating.
    """
    for text in reversed(_JSON_OBJECT.findall(answer)):
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            continue
        probability = _number_up_to(tree.get("probability"), 1.0)
        rubric = {name: _number_up_to(tree.get(name), float(MAX_RATING)) for name in RUBRIC_ITEMS}
        if probability is not None and None not in rubric.values():
            reason = " ".join(str(tree.get("why", "")).split())[:500]
            return {"rubric": rubric, "probability": round(probability, 4), "said": reason}
    return None


def _number_up_to(value: Any, highest: float) -> float | None:
    if isinstance(value, str):
        text = value.strip()
        percent = text.endswith("%") and highest == 1.0
        value = text.rstrip("%").partition("/")[0]
    else:
        percent = False
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value) / (100 if percent else 1)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number <= highest else None


def _answer_kept_or_bought(
    question: Sequence[Message], request_digest: str, context: VerificationContext, attempt_id: str
) -> dict[str, Any]:
    """The answer as it is kept; from the notes where it was paid for before."""
    assert context.judge is not None
    key = f"{PROMPT}:{request_digest}"
    known = context.notes.get(key)
    if known is not None:
        return {**known, "usd": "0", "paid_before": known["usd"]}
    left = context.deadline - context.clock() if context.deadline else 600.0
    limits = CallLimits(
        max_output_tokens=MAX_ANSWER_TOKENS, timeout=MAX_ANSWER_SECONDS, within=max(10.0, left)
    )
    note = _answer_record(context.judge.complete(question, (), limits=limits), attempt_id)
    context.notes[key] = note
    return note


def _answer_record(answer: Completion, attempt_id: str) -> dict[str, Any]:
    return {
        "charged_to": attempt_id,
        "by": answer.model,
        "answer": answer.message.content[-MAX_KEPT_ANSWER_CHARS:],
        "usd": str(answer.usd),
        "usage": answer.usage.model_dump(mode="json"),
        **answer.returned_facts,
    }
