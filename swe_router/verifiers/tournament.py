"""Changes compared in pairs, by the probabilities of a model's rating letters.

After arXiv 2607.05391 (LLM-as-a-Verifier): each change of a pair is rated from A to T by one
criterion at a time, the criterion stands at the end of the prompt, so that a server's prefix cache
holds the rest, and a pivot tournament chooses the pairs. Each pair is asked in both orders. A
rating is one token, of which only the probabilities are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from swe_router import model_abilities
from swe_router.errors import LedgerRefused, ModelError, VerifierError
from swe_router.estimates.acceptance.verdict_signals import MAX_LIFT, clipped, log_odds
from swe_router.lazy_imports import deferred_module
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Instance, Message, Outcome, Verdict, digest_of
from swe_router.seams import Model, VerificationContext
from swe_router.settings import Table, VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, ModelRole, Stage, VerdictSummary
from swe_router.verifiers.asking.fenced_material import fenced
from swe_router.verifiers.asking.knobs import knobs_of
from swe_router.verifiers.asking.paid_answers import PaidAnswers
from swe_router.verifiers.opinion_records import Rating, TournamentEvidence
from swe_router.verifiers.tournaments import letters, pivot
from swe_router.verifiers.tournaments.entrants import Entrant, entrant_key, entrants_of
from swe_router.verifiers.verdict_making import verdict_of_opinion

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

NAME = "tournament"
PROMPT = "tournament"
CRITERIA = ("cause", "complete", "sound")
"""What the prompt knows to ask for, one at a time."""
PLACES: tuple[Literal["first", "second"], ...] = ("first", "second")


class TournamentKnobs(Table):
    """``verify.knobs.tournament``."""

    criteria: tuple[str, ...] = CRITERIA
    pivots: int = Field(default=2, ge=1)
    """Entrants that all others are compared with."""
    issue_chars: int = Field(default=40_000, ge=100)
    patch_chars: int = Field(default=30_000, ge=100)
    """Characters that are shown of each change."""

    @field_validator("criteria")
    @classmethod
    def _known(cls, criteria: tuple[str, ...]) -> tuple[str, ...]:
        if not criteria or len(set(criteria)) < len(criteria) or not set(criteria) <= set(CRITERIA):
            raise ValueError(f"some of {', '.join(CRITERIA)}, each once")
        return criteria


@dataclass(frozen=True)
class _RatedPair:
    """What the two orders of one pair were rated."""

    rows: list[tuple[str, str, str, dict[str, float], dict[str, float]]] = field(
        default_factory=list
    )
    """First, second, criterion, and the letters of each."""


class TournamentVerifier:
    """Verifier ``tournament``: a change's mean preference over others, and ``unknown``.

    0.5 is even odds. ``verify.judge`` must be a tier that gives the probabilities of tokens.
    """

    evidence_type: type[EvidenceRecord] = TournamentEvidence
    stage: Stage = "peers"
    compares = True
    score_is_probability = False
    asks: Mapping[ModelRole, str | Sequence[str]] = {"judge": PROMPT}
    needs_logprobs: ModelRole = "judge"

    def __init__(self, settings: VerifySettings) -> None:
        """Raises ``UsageError`` for a knob that there is not."""
        self.knobs = knobs_of(TournamentKnobs, NAME, settings)

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Play the tournament among all changes; what was asked before is known."""
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return verdict_of_opinion(NAME, outcome, {"why": "there is no patch to compare"})
        entrants = entrants_of(outcome, peers)
        if len(entrants) < 2:
            return verdict_of_opinion(NAME, outcome, {"why": "there is no other change"})
        if context.judge is None:
            return verdict_of_opinion(NAME, outcome, {"why": "no judge is named"})
        if not model_abilities.gives_logprobs(context.judge):
            why = "the judge's tier does not give the probabilities of tokens"
            return verdict_of_opinion(NAME, outcome, {"why": why})
        answers = PaidAnswers(NAME, context, outcome.attempt.id)
        with answers.lock():
            asked = _Asked(self.knobs, entrants, instance, context, answers)
            facts = asked.facts_of(entrant_key(candidate.patch))
        return verdict_of_opinion(
            NAME, outcome, facts, mean_preference(TournamentEvidence.model_validate(facts))
        )

    def check(self, verdict: Verdict) -> str:
        """An opinion has no outcome; a score that its ratings do not give is named."""
        facts = read_evidence(TournamentEvidence, verdict)
        same = mean_preference(facts) == verdict.score
        return "unknown" if same else "contradictory"

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """See ``GivesSignals``: the widest preference that there can be is the widest signal."""
        score = verdict.score
        return {} if score is None else {"tournament": clipped(MAX_LIFT * log_odds(score))}

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        return VerdictSummary(preference=verdict.score)


class _Asked:
    """One tournament: what is asked, and what it came to."""

    def __init__(
        self,
        knobs: TournamentKnobs,
        entrants: Sequence[Entrant],
        instance: Instance,
        context: VerificationContext,
        answers: PaidAnswers,
    ) -> None:
        assert context.judge is not None
        self._knobs, self._instance, self._answers = knobs, instance, answers
        self._judge: Model = context.judge
        self._template = context.prompts.get(PROMPT)
        self._entrants = {one.key: one for one in entrants}
        self._pairs: list[_RatedPair] = []
        self._by = ""
        self._played: pivot.Played | None = None
        self._incomplete = ""

    def facts_of(self, key: str) -> dict[str, Any]:
        """Play, then the evidence of one entrant."""
        names = list(self._entrants)
        seed = digest_of([self._instance.id, names])
        try:
            self._played = pivot.play(names, self._compare, pivots=self._knobs.pivots, seed=seed)
        except (ModelError, LedgerRefused, VerifierError) as error:
            self._incomplete = f"{type(error).__name__}: {error}"
        rows = [row for pair in self._pairs for row in _rows_of(pair, key)]
        played, compared = self._played, len(self._pairs)
        facts = {
            "by": self._by,
            "entrant": key,
            "entrants": len(names),
            "compared": compared,
            "planned": played.planned if played else 0,
            "settled_early": bool(played and played.settled_early),
            "incomplete": self._incomplete,
            "ratings": [row.model_dump() for row in rows],
        }
        return {**facts, "why": self._why(key, facts)}

    def _why(self, key: str, facts: Mapping[str, Any]) -> str:
        score = mean_preference(TournamentEvidence.model_validate(facts))
        missing = f"; the rest is missing: {self._incomplete}" if self._incomplete else ""
        if score is None:
            return f"no comparison of this change can be read{missing}"
        shown = f"mean preference {score:.3f} (0.5 is even) over {facts['entrants'] - 1} other(s)"
        best = self._played is not None and self._played.best == key
        early = ", settled early" if facts["settled_early"] else ""
        return (
            f"{self._by}: {shown}{', the best of them' if best else ''};"
            f" {facts['compared']} pair(s) compared{early}{missing}"
        )

    def _compare(self, one: str, other: str) -> float | None:
        """P(the first is better): the mean over both orders and all criteria."""
        pair = _RatedPair()
        self._pairs.append(pair)
        for first, second in ((one, other), (other, one)):
            for criterion in self._knobs.criteria:
                rated = [self._rated(first, second, criterion, place) for place in PLACES]
                pair.rows.append((first, second, criterion, rated[0], rated[1]))
        return _pair_preference(_rows_of(pair, one))

    def _rated(
        self, first: str, second: str, criterion: str, place: Literal["first", "second"]
    ) -> dict[str, float]:
        """Letters of one change. Raises ``VerifierError`` where the server left them out."""
        text = templates.render_source(
            templates.prompt_source(PROMPT) if self._template is None else self._template,
            f"prompt {PROMPT}",
            repo=self._instance.repo,
            issue=fenced("issue", self._instance.problem.strip(), self._knobs.issue_chars),
            first=fenced("first", self._entrants[first].patch, self._knobs.patch_chars),
            second=fenced("second", self._entrants[second].patch, self._knobs.patch_chars),
            criterion=criterion,
            place=place,
        )
        answer = self._answers.ask(
            self._judge,
            (Message(role="user", content=text),),
            max_tokens=1,
            top_logprobs=letters.MAX_TOP_LOGPROBS,
        )
        if not answer.top:
            raise VerifierError(f"{answer.by} gave no probabilities of tokens")
        self._by = answer.by
        return letters.letter_probabilities(answer.top[0])


def _rows_of(pair: _RatedPair, key: str) -> Iterator[Rating]:
    """The ratings of a pair as one of the two sees them; none for anybody else."""
    for first, second, criterion, one, other in pair.rows:
        if key == first:
            yield Rating(other=second, criterion=criterion, place="first", mine=one, theirs=other)
        elif key == second:
            yield Rating(other=first, criterion=criterion, place="second", mine=other, theirs=one)


def _pair_preference(rows: Iterable[Rating]) -> float | None:
    """Mean over orders and criteria; None unless both orders can be read by the same criteria."""
    chances = []
    asked: dict[str, list[str]] = {place: [] for place in PLACES}
    for row in rows:
        mine, theirs = letters.expected_rating(row.mine), letters.expected_rating(row.theirs)
        if mine is None or theirs is None:
            return None
        asked[row.place].append(row.criterion)
        chances.append(pivot.win_probability(mine, theirs))
    first, second = (sorted(asked[place]) for place in PLACES)
    return sum(chances) / len(chances) if chances and first == second else None


def mean_preference(facts: TournamentEvidence) -> float | None:
    """The score that the ratings give: the mean over the others that it was compared with."""
    by: dict[str, list[Rating]] = {}
    for row in facts.ratings:
        by.setdefault(row.other, []).append(row)
    found = [_pair_preference(rows) for rows in by.values()]
    known = [one for one in found if one is not None]
    return round(sum(known) / len(known), 6) if known else None
