"""Runs summarised in a fixed form, and the summaries put to the vote in a bracket.

After arXiv 2604.16529 (Recursive Tournament Voting): a run is too long to be compared, its summary
is not. Each run is summarised once; then two summaries at a time meet, in both orders, and the
winner goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from swe_router.errors import LedgerRefused, ModelError, VerifierError
from swe_router.estimates.acceptance.verdict_signals import clipped, log_odds
from swe_router.lazy_imports import deferred_module
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Instance, Message, Outcome, Verdict, digest_of
from swe_router.seams import Model, VerificationContext
from swe_router.settings import Table, VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, ModelRole, Stage, VerdictSummary
from swe_router.verifiers.asking.fenced_material import absent_code, fenced
from swe_router.verifiers.asking.json_answers import (
    CODE_FIELD,
    object_schema,
    object_with_code,
    one_of,
    short_text,
)
from swe_router.verifiers.asking.knobs import knobs_of
from swe_router.verifiers.asking.paid_answers import KeptAnswer, PaidAnswers
from swe_router.verifiers.opinion_records import BracketEvidence, Vote
from swe_router.verifiers.tournaments import bracket, run_summaries
from swe_router.verifiers.tournaments.entrants import Entrant, entrant_key, entrants_of
from swe_router.verifiers.verdict_making import verdict_of_opinion

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

NAME = "summary-bracket"
SUMMARY_PROMPT, VOTE_PROMPT = "run-summary", "summary-bracket"
BETTER = "better"


class BracketKnobs(Table):
    """``verify.knobs.summary-bracket``."""

    votes: int = Field(default=1, ge=1, le=8)
    """Votes per match and order."""
    issue_chars: int = Field(default=40_000, ge=100)
    patch_chars: int = Field(default=30_000, ge=100)
    log_chars: int = Field(default=30_000, ge=200)
    """Characters that are shown of the steps of a run."""
    answer_tokens: int = Field(default=2048, gt=0)
    """Output cap of one answer, reasoning included."""
    forced_form: bool = False
    """Have the server force the form of the answers: for models that do not keep to it. They cannot
    think aloud then."""


class SummaryBracketVerifier:
    """Verifier ``summary-bracket``: the share of votes that a run's summary won, and ``unknown``.

    The writer (``verify.writer``, else the judge) summarises; the judge votes. With one vote added
    to either side, so that few votes say little.
    """

    evidence_type: type[EvidenceRecord] = BracketEvidence
    stage: Stage = "peers"
    compares = True
    score_is_probability = False
    asks: Mapping[ModelRole, str | Sequence[str]] = {
        "writer": SUMMARY_PROMPT,
        "judge": (VOTE_PROMPT, SUMMARY_PROMPT),
    }

    def __init__(self, settings: VerifySettings) -> None:
        """Raises ``UsageError`` for a knob that there is not."""
        self.knobs = knobs_of(BracketKnobs, NAME, settings)

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Play the bracket among all runs; what was asked before is known."""
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return verdict_of_opinion(NAME, outcome, {"why": "there is no patch to compare"})
        entrants = entrants_of(outcome, peers)
        if len(entrants) < 2:
            return verdict_of_opinion(NAME, outcome, {"why": "there is no other change"})
        if context.judge is None:
            return verdict_of_opinion(NAME, outcome, {"why": "no judge is named"})
        answers = PaidAnswers(NAME, context, outcome.attempt.id)
        with answers.lock():
            facts = _Matches(self.knobs, entrants, instance, context, answers).facts_of(
                entrant_key(candidate.patch)
            )
        return verdict_of_opinion(NAME, outcome, facts, vote_share(facts["votes"]))

    def check(self, verdict: Verdict) -> str:
        """An opinion has no outcome; votes or a score that the answers do not give are named."""
        facts = read_evidence(BracketEvidence, verdict)
        again = [read_vote(vote.answer, vote.code, vote.place) for vote in facts.votes]
        votes = [vote.model_dump() for vote in facts.votes]
        same = again == [vote.won for vote in facts.votes] and vote_share(votes) == verdict.score
        return "unknown" if same else "contradictory"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """See ``GivesSignals``."""
        score = verdict.score
        return {} if score is None else {"summary_bracket": clipped(log_odds(score))}

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        return VerdictSummary(preference=verdict.score)


class _Matches:
    """One bracket: what is asked, and what it came to."""

    def __init__(
        self,
        knobs: BracketKnobs,
        entrants: Sequence[Entrant],
        instance: Instance,
        context: VerificationContext,
        answers: PaidAnswers,
    ) -> None:
        assert context.judge is not None
        self._knobs, self._instance, self._context = knobs, instance, context
        self._answers, self._judge = answers, context.judge
        self._writer: Model = context.writer or context.judge
        self._entrants = {one.key: one for one in entrants}
        self._summaries: dict[str, Mapping[str, str]] = {}
        self._votes: list[tuple[str, str, str, str, str]] = []
        """First, second, who answered, the answer and its code."""

    def facts_of(self, key: str) -> dict[str, Any]:
        """Play, then the evidence of one entrant."""
        names, incomplete, won = list(self._entrants), "", 0
        seed = digest_of([self._instance.id, names])
        try:
            for _, _, winner in bracket.matches(names, seed, self._winner):
                won += winner == key
        except (ModelError, LedgerRefused, VerifierError) as error:
            incomplete = f"{type(error).__name__}: {error}"
        votes = [
            Vote(
                other=second if key == first else first,
                place=(place := "first" if key == first else "second"),
                answer=answer,
                code=code,
                won=read_vote(answer, code, place),
            ).model_dump()
            for first, second, _, answer, code in self._votes
            if key in (first, second)
        ]
        by = self._votes[0][2] if self._votes else ""
        facts = {
            "by": by,
            "entrant": key,
            "entrants": len(names),
            "rounds": won,
            "incomplete": incomplete,
            "summary": dict(self._summaries.get(key, {})),
            "votes": votes,
        }
        missing = f"; the rest is missing: {incomplete}" if incomplete else ""
        if vote_share(votes) is None:
            bare = [name for name, summary in self._summaries.items() if not summary]
            form = f"; {len(bare)} of {len(names)} summaries keep to no form" if bare else ""
            return {**facts, "why": f"there is no vote on this run{form}{missing}"}
        cast = [vote["won"] for vote in votes if vote["won"] is not None]
        why = f"{by}: {sum(cast)} of {len(cast)} votes, {won} match(es) won among {len(names)} runs"
        return {**facts, "why": f"{why}{missing}"}

    def _winner(self, one: str, other: str) -> str:
        """The winner of a match by the votes of both orders; of a draw the first by name.

        A run without a summary loses without a vote.
        """
        shown = {name: self._summary(name) for name in (one, other)}
        score = 0
        if not all(shown.values()):
            return min(one, other, key=lambda name: (not shown[name], name))
        for number in range(self._knobs.votes):
            for first, second in ((one, other), (other, one)):
                answer, code, by = self._voted(shown[first], shown[second], number)
                self._votes.append((first, second, by, answer, code))
                won = read_vote(answer, code, "first")
                if won is not None:
                    score += 1 if won == (first == one) else -1
        if score == 0:
            return min(one, other)
        return one if score > 0 else other

    def _summary(self, key: str) -> Mapping[str, str]:
        """The summary of a run, made once; empty where the answer keeps to no form."""
        if key in self._summaries:
            return self._summaries[key]
        entrant, knobs = self._entrants[key], self._knobs
        log = run_summaries.run_log(self._context.steps(entrant.attempt_id), knobs.log_chars)
        code = absent_code(SUMMARY_PROMPT, [entrant.patch, log, self._instance.problem])
        text = self._rendered(
            SUMMARY_PROMPT,
            log=fenced("log", log or "(no step is on record)", knobs.log_chars),
            diff=fenced("diff", entrant.patch, knobs.patch_chars),
            code=code,
        )
        texts = {name: short_text() for name in run_summaries.FIELDS}
        form = object_schema({CODE_FIELD: one_of([code]), **texts})
        answer = self._asked(self._writer, text, form)
        found = run_summaries.read_summary(answer.text, code)
        self._summaries[key] = found or {}
        return self._summaries[key]

    def _voted(
        self, first: Mapping[str, str], second: Mapping[str, str], number: int
    ) -> tuple[str, str, str]:
        """An answer with its code, and who gave it."""
        texts = ["\n".join(f"{name}: {text}" for name, text in one.items())
                 for one in (first, second)]  # fmt: skip
        code = absent_code(VOTE_PROMPT, [*texts, self._instance.problem])
        text = self._rendered(
            VOTE_PROMPT,
            first=fenced("first", texts[0], 4 * run_summaries.MAX_FIELD_CHARS + 100),
            second=fenced("second", texts[1], 4 * run_summaries.MAX_FIELD_CHARS + 100),
            code=code,
        )
        form = object_schema({CODE_FIELD: one_of([code]), BETTER: one_of(["first", "second"])})
        seed = number + 1 if self._knobs.votes > 1 else None
        answer = self._asked(self._judge, text, form, seed)
        return answer.text, code, answer.by

    def _asked(
        self, model: Model, text: str, form: Mapping[str, Any], seed: int | None = None
    ) -> KeptAnswer:
        return self._answers.ask(
            model,
            (Message(role="user", content=text),),
            max_tokens=self._knobs.answer_tokens,
            seed=seed,
            schema=form if self._knobs.forced_form else None,
        )

    def _rendered(self, prompt: str, **variables: str) -> str:
        stored = self._context.prompts.get(prompt)
        return templates.render_source(
            templates.prompt_source(prompt) if stored is None else stored,
            f"prompt {prompt}",
            repo=self._instance.repo,
            issue=fenced("issue", self._instance.problem.strip(), self._knobs.issue_chars),
            **variables,
        )


def read_vote(answer: str, code: str, place: str) -> bool | None:
    """Whether the run in this place won; None for an answer without a vote."""
    found = object_with_code(answer, code)
    chosen = None if found is None else found.get(BETTER)
    return None if chosen not in ("first", "second") else chosen == place


def vote_share(votes: Sequence[Mapping[str, Any]]) -> float | None:
    """Share of the votes that were won, with one more on either side; None without any."""
    cast = [vote["won"] for vote in votes if vote["won"] is not None]
    return round((sum(cast) + 1) / (len(cast) + 2), 6) if cast else None
