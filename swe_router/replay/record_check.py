"""Recomputes one record: decisions, requests, costs, verdicts and the choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from swe_router import prices
from swe_router.prices import PriceRate
from swe_router.records import (
    Completion,
    CrossMatrix,
    Features,
    Outcome,
    Plan,
    RecordedDecision,
    ReturnedCost,
    RouteDecision,
    RunRecord,
    SkippedPlans,
    Step,
    Stop,
    Usage,
    patch_digest,
)
from swe_router.seams import Policy, Selector, Verifier
from swe_router.solve.engine import conclude
from swe_router.solve.handover import HandedOver, hand_over, why_not_continued
from swe_router.solve.imported_outcomes import accepted_import, decision_after_imports, own_outcomes
from swe_router.solve.moves import why_settled
from swe_router.solve.selection import selector_for
from swe_router.solve.unpaid import ended_for_lack_of_money


@dataclass(frozen=True)
class RecordDivergence:
    """One value that differs from the recorded one."""

    instance_id: str
    where: str
    """What it is: e.g. ``attempt 1-local step 3 price`` or ``decision 2``."""
    recorded: str
    recomputed: str


@dataclass
class ReplayCount:
    """How much was compared, and what differed."""

    compared: int = 0
    divergences: list[RecordDivergence] = field(default_factory=list)

    def same(self, instance_id: str, where: str, recorded: object, recomputed: object) -> None:
        """Compare two values and note a difference."""
        self.compared += 1
        if recorded != recomputed:
            first, second = _around_difference(str(recorded), str(recomputed))
            self.divergences.append(RecordDivergence(instance_id, where, first, second))


ZERO = Decimal(0)
Difference = tuple[str, str, str]
"""Where, recorded, recomputed."""
Conversation = Callable[[RunRecord, Outcome, Sequence[Step], HandedOver], Iterator[Difference]]


@dataclass(frozen=True)
class ReplayContext:
    """What a replay recomputes with: the same objects as in the run."""

    policy: Policy
    selector: Selector
    verifiers: Mapping[str, Verifier]
    rates: Mapping[str, PriceRate]
    """Tier -> the rate recorded in the run's settings."""
    conversation: Conversation
    """Rebuilds an attempt from its answers and observations, given what was handed over to it:
    yields (where, recorded, recomputed) for each request, seal, sum or exit that differs."""
    steps: Callable[[str, str], Sequence[Step]]
    """Instance id, attempt id -> recorded steps."""
    charged: Mapping[str, Decimal]
    """``INSTANCE/ATTEMPT`` -> USD that the ledger settled for it; ``INSTANCE/verify:ATTEMPT`` for
    what the verifiers' own calls on its candidate cost."""
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Verifier -> the tiers that it asks."""
    batch_rates: Mapping[str, PriceRate] = field(default_factory=dict)
    """Tier -> the rate of its calls in batches."""
    room: Callable[[Plan], int] = lambda plan: 0
    """``solve.context.SolveContext.room``."""
    early_stop: bool = True
    """The run left out what could not change the choice any more."""

    def rate_of_answer(self, tier: str, answer: Completion) -> PriceRate | None:
        """The rate that an answer was charged at; None where the run records none."""
        return (self.batch_rates if answer.service == "batch" else self.rates).get(tier)


def check_record(record: RunRecord, context: ReplayContext, count: ReplayCount) -> None:
    """Recompute one record and add differences to ``count``.

    Raises ``VerifierError`` for evidence that its verifier cannot read.
    """
    _check_decisions(record, context, count)
    before = _earlier_outcomes(record)
    for outcome in record.outcomes:
        if outcome.imported:
            _check_imported(record, outcome, context, count)
        else:
            _check_attempt(record, outcome, before.get(outcome.attempt.id, ()), context, count)
        _check_verdicts(record, outcome, context, count)
    selector = selector_for(context.policy, record.features, context.selector)
    again = conclude(record, selector, record.matrix.runs if record.matrix else ())
    _check_matrix(record, again.matrix, count)
    if record.unpaid is not None and record.decisions:
        short = ended_for_lack_of_money(
            context.policy, record.features, record.outcomes, record.decisions[-1]
        )
        count.same(record.instance.id, "unpaid", record.unpaid, short)
    for name in ("chosen", "status", "stop", "usd", "usage"):
        count.same(record.instance.id, name, getattr(record, name), getattr(again, name))


def _check_decisions(record: RunRecord, context: ReplayContext, count: ReplayCount) -> None:
    """Ask the policy again, with the purse, the state and the history that it saw."""
    outcomes = list(own_outcomes(record.outcomes))
    history: tuple[Outcome, ...] = ()
    came = [one for one in record.outcomes if one.imported]
    gone = {one.move: one for one in record.left_out}
    for number, decided in enumerate(record.decisions, 1):
        accepted = accepted_import(came) if number == 1 else None
        asked = decide_again(context.policy, record.features, history, decided)
        again = accepted or decision_after_imports(asked, context.policy, (*came, *history))
        count.same(record.instance.id, f"decision {number}", decided.decision, again)
        if not isinstance(decided.decision, Stop):
            left = gone.pop(number - 1, None)
            made = len(decided.decision.plans) - (len(left.attempts) if left else 0)
            move = _take_move(outcomes, made)
            _check_skipped(record, number, (*came, *history), move, (made, left), context, count)
            history += tuple(move)
    count.same(record.instance.id, "plans left out beyond the decisions", 0, len(gone))
    count.same(record.instance.id, "outcomes beyond the decisions", 0, len(outcomes))


def _earlier_outcomes(record: RunRecord) -> dict[str, tuple[Outcome, ...]]:
    """Attempt id -> the outcomes of the moves before its own, which it was handed."""
    rest = [one for one in record.outcomes if not one.imported]
    past = tuple(one for one in record.outcomes if one.imported)
    gone = {one.move: len(one.attempts) for one in record.left_out}
    found: dict[str, tuple[Outcome, ...]] = {}
    for number, decided in enumerate(record.decisions):
        if not isinstance(decided.decision, Stop):
            move = _take_move(rest, len(decided.decision.plans) - gone.get(number, 0))
            found |= {outcome.attempt.id: past for outcome in move}
            past += tuple(move)
    return found


def _check_imported(
    record: RunRecord, outcome: Outcome, context: ReplayContext, count: ReplayCount
) -> None:
    """What was made elsewhere cannot be made again: its steps must be those that were sealed."""
    attempt, name = outcome.attempt, record.instance.id
    place = f"attempt {attempt.id}"
    seal = ""
    for step in context.steps(name, attempt.id):
        again = step.sealed(seal).seal
        count.same(name, f"{place} step {step.index + 1} seal", step.seal, again)
        seal = step.seal
    count.same(name, f"{place} seal", attempt.trajectory.seal, seal)
    charged = context.charged.get(f"{name}/{attempt.id}", Decimal(0))
    count.same(name, f"{place} ledger", charged, Decimal(0))


def decide_again(
    policy: Policy, features: Features, history: Sequence[Outcome], decided: RecordedDecision
) -> RouteDecision:
    """The decision that the policy takes on what it saw; a guard's stop is taken as it stands."""
    if isinstance(decided.decision, Stop) and "never stopped by itself" in decided.decision.why:
        return decided.decision
    return policy.restored(decided.state).decide(features, history, decided.purse)


def _take_move(outcomes: list[Outcome], plans: int) -> list[Outcome]:
    """The outcomes of one move: one per plan, and those of repeated attempts (id ``N-tier.2``)."""
    taken: list[Outcome] = []
    for _ in range(plans):
        if not outcomes:
            break
        taken.append(outcomes.pop(0))
        base = taken[-1].attempt.id
        while outcomes and outcomes[0].attempt.id.startswith(f"{base}."):
            taken.append(outcomes.pop(0))
    return taken


def _check_skipped(
    record: RunRecord,
    number: int,
    history: Sequence[Outcome],
    move: Sequence[Outcome],
    made: tuple[int, SkippedPlans | None],
    context: ReplayContext,
    count: ReplayCount,
) -> None:
    """Ask the selector again between the plans of a move whether the choice was settled."""
    selector = selector_for(context.policy, record.features, context.selector)
    decision = record.decisions[number - 1].decision
    plans = 0 if isinstance(decision, Stop) else len(decision.plans)
    carried, left = made
    shown, again = left.why if left else "", ""
    for done in range(1, min(carried + (left is not None), plans)):
        seen = _take_move(list(move), done)
        if context.early_stop and not again:
            again = why_settled(selector, (*history, *seen), plans - done)
            again = f"after {done}: {again}" if again else ""
    count.same(
        record.instance.id,
        f"decision {number} left out",
        f"after {carried}: {shown}" if shown else "",
        again,
    )


def _check_matrix(record: RunRecord, again: CrossMatrix | None, count: ReplayCount) -> None:
    """Every cell of the matrix, as the evidence of the verdicts and of the later runs has it."""
    name, was = record.instance.id, record.matrix
    if was is None or again is None:
        count.same(name, "matrix", was is not None, again is not None)
        return
    count.same(name, "matrix: same patches", dict(was.same), dict(again.same))
    count.same(name, "matrix: tests", dict(was.tests), dict(again.tests))
    for patch in sorted({*was.results, *again.results}):
        first, second = was.results.get(patch, {}), again.results.get(patch, {})
        for test in sorted({*first, *second}):
            place = f"matrix: {test} on patch {patch[:12]}"
            count.same(name, place, first.get(test, "not run"), second.get(test, "not run"))


def _check_attempt(
    record: RunRecord,
    outcome: Outcome,
    before: Sequence[Outcome],
    context: ReplayContext,
    count: ReplayCount,
) -> None:
    attempt = outcome.attempt
    name, place = record.instance.id, f"attempt {attempt.id}"
    steps = context.steps(name, attempt.id)
    for step in steps:
        paid = step.completion
        rate = context.rate_of_answer(paid.tier or attempt.plan.arm.model, paid)
        priced = prices.charged_usd(rate, paid.usage, paid.returned) if rate else paid.usd
        count.same(name, f"{place} step {step.index + 1} price", paid.usd, priced)
    usd = sum((step.completion.usd for step in steps), start=Decimal(0))
    charged = context.charged.get(f"{name}/{attempt.id}", Decimal(0))
    count.same(name, f"{place} ledger", charged, usd)
    count.compared += len(steps)
    recorded_steps, plan = partial(context.steps, name), attempt.plan
    handed = hand_over(
        plan,
        before,
        recorded_steps,
        context.room(plan),
        why_not_continued(steps),
        workdir=record.instance.workdir,
    )
    for where, recorded, recomputed in context.conversation(record, outcome, steps, handed):
        first, second = _around_difference(recorded, recomputed)
        count.divergences.append(RecordDivergence(name, f"{place} {where}", first, second))


def _check_verdicts(
    record: RunRecord, outcome: Outcome, context: ReplayContext, count: ReplayCount
) -> None:
    candidate, name = outcome.candidate, record.instance.id
    place = f"attempt {outcome.attempt.id}"
    if candidate is None:
        count.same(name, f"{place} verdicts", 0, len(outcome.verdicts))
        return
    digest = patch_digest(candidate.patch)
    count.same(name, f"{place} patch", candidate.digest, digest)
    _check_verifier_cost(name, place, outcome, context, count)
    for verdict in outcome.verdicts:
        where = f"{place} verdict {verdict.verifier}"
        count.same(name, f"{where} candidate", verdict.candidate, candidate.digest)
        verifier = context.verifiers.get(verdict.verifier)
        if verifier is not None and not verdict.broke:
            count.same(name, where, verdict.outcome, verifier.check(verdict))


def _check_verifier_cost(
    name: str, place: str, outcome: Outcome, context: ReplayContext, count: ReplayCount
) -> None:
    """What verdicts say that their own calls cost, against the ledger and the prices."""
    total = Decimal(0)
    for verdict in outcome.verdicts:
        where = f"{place} verdict {verdict.verifier}"
        usd = _usd_of(verdict.evidence.get("usd", "0"))
        calls = _paid_calls(verdict.evidence)
        count.same(name, f"{where} usd", usd, sum((_usd_of(c.get("usd")) for c in calls), ZERO))
        tiers = context.asked.get(verdict.verifier, ())
        asked = [
            rates.get(tier) for tier in tiers for rates in (context.rates, context.batch_rates)
        ]
        rates = [rate for rate in asked if rate is not None]
        for number, call in enumerate(calls, 1):
            if rates and "usage" in call:
                usage, paid = Usage.model_validate(call["usage"]), _usd_of(call.get("usd"))
                given = (
                    ReturnedCost.model_validate(call["returned"]) if "returned" in call else None
                )
                priced = [prices.charged_usd(rate, usage, given) for rate in rates]
                match = paid if paid in priced else priced[0]
                count.same(name, f"{where} call {number} price", paid, match)
        total += usd
    key = f"{name}/verify:{outcome.attempt.id}"
    count.same(name, f"{place} verdicts' usd in the ledger", context.charged.get(key, ZERO), total)


def _paid_calls(evidence: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The calls that a verdict paid for; a judge of an older version was one call itself."""
    if "calls" in evidence or "usage" not in evidence or "paid_before" in evidence:
        found: Sequence[Mapping[str, Any]] = evidence.get("calls", ())
        return found
    return [evidence]


def _usd_of(text: object) -> Decimal:
    """USD as evidence writes it; what is no number equals nothing."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return Decimal("NaN")


def _around_difference(first: str, second: str, width: int = 120) -> tuple[str, str]:
    """Two long texts, cut to where they differ."""
    start = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    start = max(0, start - 40) if max(len(first), len(second)) > width else 0
    return first[start : start + width], second[start : start + width]
