"""A model that looked into the repository writes a rubric of the issue; each change is held to it.

After arXiv 2601.04171 (Agentic Rubrics): written once per issue and before any change is seen, in
criteria that are true or false of a diff and weigh 1 to 3; the score is the share of the weight
that is met. Nothing is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from swe_router.errors import LedgerRefused, ModelError, VerifierError
from swe_router.estimates.acceptance.verdict_signals import clipped, log_odds
from swe_router.lazy_imports import deferred_module
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Instance, Message, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import Table, VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, ModelRole, Stage, VerdictSummary
from swe_router.verifiers.asking.fenced_material import absent_code, fenced
from swe_router.verifiers.asking.json_answers import (
    CODE_FIELD,
    object_schema,
    object_with_code,
    one_of,
)
from swe_router.verifiers.asking.knobs import knobs_of
from swe_router.verifiers.asking.paid_answers import PaidAnswers
from swe_router.verifiers.opinion_records import Criterion, RubricEvidence
from swe_router.verifiers.rubrics import rubric_writer
from swe_router.verifiers.rubrics.rubric_writer import Rubric, RubricLimits
from swe_router.verifiers.verdict_making import verdict_of_opinion

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

NAME = "rubric"
PROMPT = "rubric-check"


class RubricKnobs(Table):
    """``verify.knobs.rubric``."""

    looks: int = Field(default=8, ge=0, le=40)
    """Searches and files that the writer may ask for."""
    lines: int = Field(default=120, ge=10, le=1000)
    """Lines of a file per look."""
    look_chars: int = Field(default=8000, ge=200)
    criteria: int = Field(default=12, ge=1, le=30)
    issue_chars: int = Field(default=40_000, ge=100)
    patch_chars: int = Field(default=60_000, ge=100)
    answer_tokens: int = Field(default=4096, gt=0)
    """Output cap of one answer, reasoning included."""
    forced_form: bool = False
    """Have the server force the form of the answers: for models that do not keep to it. They cannot
    think aloud then."""


class RubricVerifier:
    """Verifier ``rubric``: the share of a rubric's weight that a change meets, and ``unknown``.

    The writer (``verify.writer``, else the judge) writes the rubric; the judge checks each change.
    """

    evidence_type: type[EvidenceRecord] = RubricEvidence
    stage: Stage = "peers"
    score_is_probability = False
    asks: Mapping[ModelRole, str | Sequence[str]] = {
        "writer": rubric_writer.PROMPT,
        "judge": (PROMPT, rubric_writer.PROMPT),
    }

    def __init__(self, settings: VerifySettings) -> None:
        """Raises ``UsageError`` for a knob that there is not."""
        self.knobs = knobs_of(RubricKnobs, NAME, settings)

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Check the change against the rubric, which is written when the first change comes."""
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return verdict_of_opinion(NAME, outcome, {"why": "there is no patch to check"})
        if context.judge is None:
            return verdict_of_opinion(NAME, outcome, {"why": "no judge is named"})
        answers = PaidAnswers(NAME, context, outcome.attempt.id)
        try:
            rubric = self._rubric(instance, context, answers)
            if rubric is None:
                why = f"no rubric came of {self.knobs.looks} looks"
                return verdict_of_opinion(NAME, outcome, {"why": why})
            facts = self._checked(candidate.patch, rubric, instance, context, answers)
        except (ModelError, LedgerRefused, VerifierError) as error:
            why = f"there is no answer: {type(error).__name__}: {error}"
            return verdict_of_opinion(NAME, outcome, {"why": why})
        return verdict_of_opinion(
            NAME, outcome, facts, met_share(RubricEvidence.model_validate(facts))
        )

    def check(self, verdict: Verdict) -> str:
        """An opinion has no outcome; marks or a score that the answer does not give are named."""
        facts = read_evidence(RubricEvidence, verdict)
        if facts.met is None:
            return "unknown"
        again = read_marks(facts.answer, facts.code, facts.criteria)
        same = again == facts.met and met_share(facts) == verdict.score
        return "unknown" if same else "contradictory"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """See ``GivesSignals``: 0 where half of the weight is met."""
        return {} if verdict.score is None else {"rubric": clipped(log_odds(verdict.score))}

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        return VerdictSummary(preference=verdict.score)

    def _rubric(
        self, instance: Instance, context: VerificationContext, answers: PaidAnswers
    ) -> Rubric | None:
        knobs, writer = self.knobs, context.writer or context.judge
        assert writer is not None
        limits = RubricLimits(
            looks=knobs.looks,
            lines=knobs.lines,
            look_chars=knobs.look_chars,
            criteria=knobs.criteria,
            issue_chars=knobs.issue_chars,
            answer_tokens=knobs.answer_tokens,
            forced_form=knobs.forced_form,
        )
        with answers.lock():
            key = f"{NAME}:of-the-issue"
            if key not in context.notes:
                made = rubric_writer.write_rubric(instance, context, writer, answers, limits)
                if made is None:
                    return None
                rows = {name: one.model_dump() for name, one in made.criteria.items()}
                context.notes[key] = {"criteria": rows, "by": made.by, "looks": made.looks}
            note = context.notes[key]
        criteria = {name: Criterion.model_validate(row) for name, row in note["criteria"].items()}
        return Rubric(criteria, note["by"], note["looks"])

    def _checked(
        self,
        patch: str,
        rubric: Rubric,
        instance: Instance,
        context: VerificationContext,
        answers: PaidAnswers,
    ) -> dict[str, Any]:
        """Evidence of one change; ``met`` is absent where the answer marks not every criterion."""
        assert context.judge is not None
        code = absent_code(NAME, [patch, instance.problem])
        asked = self._messages(patch, rubric, instance, context.prompts.get(PROMPT), code)
        answer = answers.ask(
            context.judge,
            asked,
            max_tokens=self.knobs.answer_tokens,
            schema=_schema(code, rubric.criteria) if self.knobs.forced_form else None,
        )
        facts: dict[str, Any] = {
            "criteria": {name: one.model_dump() for name, one in rubric.criteria.items()},
            "written_by": rubric.by,
            "looks": rubric.looks,
            "by": answer.by,
            "answer": answer.text,
            "code": code,
        }
        met = read_marks(answer.text, code, rubric.criteria)
        if met is None:
            return {**facts, "why": "the answer does not mark every criterion once"}
        unmet = [name for name in rubric.criteria if name not in met]
        listed = "; ".join(rubric.criteria[name].text for name in unmet)
        why = f"{answer.by}: {len(met)} of {len(rubric.criteria)} criteria are met"
        return {**facts, "met": met, "why": f"{why}; not: {listed}"[:1000] if unmet else why}

    def _messages(
        self, patch: str, rubric: Rubric, instance: Instance, template: str | None, code: str
    ) -> tuple[Message, ...]:
        """Issue and rubric first, which all changes share; the change and its code last."""
        text = templates.render_source(
            templates.prompt_source(PROMPT) if template is None else template,
            f"prompt {PROMPT}",
            repo=instance.repo,
            issue=fenced("issue", instance.problem.strip(), self.knobs.issue_chars),
            criteria={name: one.text for name, one in rubric.criteria.items()},
            diff=fenced("diff", patch, self.knobs.patch_chars),
            code=code,
        )
        return (Message(role="user", content=text),)


def _schema(code: str, criteria: Mapping[str, Criterion]) -> dict[str, Any]:
    """The form of the answer: one mark per criterion, which ``read_marks`` takes too."""
    mark = one_of(["met", "unmet"])
    return object_schema({CODE_FIELD: one_of([code]), **dict.fromkeys(criteria, mark)})


def read_marks(answer: str, code: str, criteria: Mapping[str, Criterion]) -> tuple[str, ...] | None:
    """Criteria that an answer marks as met; None unless it marks each of them once."""
    found = object_with_code(answer, code)
    if found is None:
        return None
    if found.keys() - {CODE_FIELD} == criteria.keys():
        if not all(found[name] in ("met", "unmet") for name in criteria):
            return None
        return tuple(name for name in criteria if found[name] == "met")
    met, unmet = found.get("met"), found.get("unmet")
    if not isinstance(met, list) or not isinstance(unmet, list):
        return None
    marked = [name for name in (*met, *unmet) if isinstance(name, str)]
    if sorted(marked) != sorted(criteria) or len(marked) != len(met) + len(unmet):
        return None
    return tuple(name for name in criteria if name in met)


def met_share(facts: RubricEvidence) -> float | None:
    """Share of the weight that is met, 0 to 1; None where it is not known."""
    whole = sum(one.weight for one in facts.criteria.values())
    if facts.met is None or not whole:
        return None
    return round(sum(facts.criteria[name].weight for name in facts.met) / whole, 6)
