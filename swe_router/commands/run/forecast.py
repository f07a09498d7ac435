"""``--from … --dry-run``: how many candidates are expected to be rejected, at what cost."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from swe_router import plugins, recorded_verdicts
from swe_router.candidates.joining import InstanceCase
from swe_router.estimates.acceptance import calibration, verdict_signals
from swe_router.estimates.prediction.escalation_cost import (
    EscalationStep,
    ExpectedRange,
    UnverifiedInstances,
    any_accepted,
    cost_per_escalation,
    expected_escalations,
    total_escalation_cost,
)
from swe_router.estimates.prediction.training import Training
from swe_router.journal.header import Header
from swe_router.lazy_imports import deferred_module
from swe_router.outcomes.simulation import verifier_model
from swe_router.policies.base import knobs_for
from swe_router.records import IMPORTED, Instance, Outcome, Plan
from swe_router.stats.rates import measure_rate
from swe_router.verifiers.signals import authors
from swe_router.wiring import training_data
from swe_router.wiring.preflight import SINGLE_TIER_POLICIES, verifier_tiers

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred_module("numpy")

ASSUMED_LIMIT_SHARE = 0.25
"""Of an attempt's limit, as ``policies.ration`` takes it."""
CHEAP_RUN_QUANTILE = 0.05
"""Share of a tier's past runs that cost less than what an attempt is taken to cost at least."""
MIN_HELD_OUT_PATCHES = 20
"""Graded patches of a calibration under which its rate of acceptance is no better than a guess."""


def forecast_escalation(
    header: Header, instances: Sequence[Instance], cases: Mapping[str, InstanceCase]
) -> dict[str, Any]:
    """What ``run --from`` is expected to escalate, from the texts alone; opens no sandbox.

    Certain are candidates that their text refuses (empty, no source file, tests deleted). The
    others are accepted at the rate of the calibration's held-out patches by the same class of
    authors, else at an operating point that is named. Upper bound:
    candidates of an instance are fully correlated. Lower bound: they are independent.
    """
    verify = header.settings.verify
    left = {name: [one for one in case.outcomes if not _fails_by_text(one, verify.names)]
            for name, case in cases.items()}  # fmt: skip
    certain = sum(not found for found in left.values())
    rates = _AcceptanceRates(header)
    still_open = _unverified_groups(left, cases, rates)
    escalated = expected_escalations(certain, still_open)
    ladder, costs_from = _escalation_steps(header, instances, rates.channel)
    one = cost_per_escalation(ladder)
    budget = float(header.settings.budget)
    more = len(instances) - len(cases)
    shown = sum(len(found) for found in left.values())
    asked = shown * float(_max_verifier_usd(header))
    tried = ExpectedRange(escalated.expected + more, escalated.low + more, escalated.high + more)
    return {
        "candidates": sum(len(case.outcomes) for case in cases.values()),
        "instances": len(cases),
        "without_a_candidate": more,
        "rejected_by_their_text": certain,
        "to_be_verified": len(cases) - certain,
        "escalated": _rounded_figures(dataclasses.asdict(escalated)),
        "usd_of_one": _rounded_figures(dataclasses.asdict(one)),
        "usd": _rounded_figures(
            dataclasses.asdict(total_escalation_cost(tried, one, budget, asked))
        ),
        "verifying_usd_at_most": round(asked, 4),
        "paid_for_at_least": _affordable_escalations(budget - asked, one.high, len(cases)),
        "accepted_from": rates.words,
        "costs_from": costs_from,
    }


def forecast_lines(forecast: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    many, usd = forecast["escalated"], forecast["usd"]
    more, asked = forecast["without_a_candidate"], forecast["verifying_usd_at_most"]
    calls = f" with up to ${asked:.2f} for the verifiers' own calls on the candidates,"
    on_top = calls if asked else ""
    least = f"${usd['low']:.2f} to" if usd["low"] >= 0.005 else "at most"
    return [
        f"candidates: {forecast['candidates']} of {forecast['instances']} instances;"
        f" {forecast['rejected_by_their_text']} instances have none that could be accepted"
        + (f"; {more} more instances, tried in any case, have none at all" if more else ""),
        f"to be escalated: about {many['expected']:.1f} (90%: {many['low']:.0f} to"
        f" {many['high']:.0f}); {'; '.join(forecast['accepted_from'])}",
        f"for about ${usd['expected']:.2f} ({least} ${usd['high']:.2f}),{on_top}"
        f" capped by the budget, which pays for at least {forecast['paid_for_at_least']} of them at"
        f" their limits; {forecast['costs_from']}",
    ]


def _affordable_escalations(
    remaining_usd: float, usd_per_instance: float, escalated_instances: int
) -> int:
    """Escalated instances that ``remaining_usd`` USD pay for at ``usd_per_instance`` USD each."""
    return (
        math.floor(max(0.0, remaining_usd) / usd_per_instance + 1e-9)
        if usd_per_instance
        else escalated_instances
    )


def _fails_by_text(outcome: Outcome, verifier_names: Sequence[str]) -> bool:
    """Whether its text alone fails it; that it applies is taken for granted."""
    patch = outcome.candidate.patch if outcome.candidate else ""
    if not patch:
        return True
    return recorded_verdicts.fails_by_text(patch, verifier_names)


class _AcceptanceRates:
    """How often a candidate is accepted, by the class of its author."""

    def __init__(self, header: Header) -> None:
        settings = header.settings
        _, asked = training_data.split_knobs(settings.policy.knobs)
        self.channel = verifier_model.parse_verifier_model(asked.verifier)
        self._verify = settings.verify
        weighed = recorded_verdicts.any_trait(settings.verify.names, lambda one: one.combines)
        self._fitted = (
            calibration.load_calibration(settings.verify.calibration) if weighed else None
        )
        self.words: list[str] = []
        self._found: dict[str, tuple[float, float, float]] = {}

    def author_class(self, outcome: Outcome, case: InstanceCase) -> str:
        """Class of its author: weak | strong | unknown."""
        if self._fitted is None:
            return verdict_signals.UNKNOWN
        steps = case.steps.get(outcome.attempt.id, ())
        return self._fitted.class_of(authors.author_names(outcome, steps))

    def acceptance_rate(self, author_class: str) -> tuple[float, float, float]:
        """Rate of acceptance for a class of authors, with its 95% interval; computed once."""
        if author_class not in self._found:
            self._found[author_class] = self._measured_rate(author_class) or self._assumed_rate(
                author_class
            )
        return self._found[author_class]

    def _assumed_rate(self, author_class: str) -> tuple[float, float, float]:
        """By the operating point alone: a threshold set by hand may be anywhere on the curve."""
        right = 1 / (1 + math.exp(-verdict_signals.BIAS[author_class]))
        middle = right * self.channel.tpr + (1 - right) * self.channel.fpr
        guess = f"{author_class} authors: no graded patches to go by, so {middle:.2f} accepted"
        if self._fitted is not None and self._verify.threshold is not None:
            own = f"the threshold of {self._verify.threshold:g} is your own"
            self.words.append(f"{guess} for want of better, between none and all: {own}")
            return middle, 0.0, 1.0
        self.words.append(
            f"{guess}, between the"
            f" {self.channel.fpr:g} of all wrong and the {self.channel.tpr:g} of all right ones"
        )
        return middle, min(self.channel.fpr, middle), max(self.channel.tpr, middle)

    def _measured_rate(self, author_class: str) -> tuple[float, float, float] | None:
        """Over all graded patches; one on which nothing ran is never accepted."""
        fitted, verify = self._fitted, self._verify
        if fitted is None:
            return None
        held = [h for h in fitted.held_out if h.author == author_class]
        bare = fitted.ungrounded.get(author_class, ())
        if len(held) + len(bare) < MIN_HELD_OUT_PATCHES:
            return None
        bar = verify.threshold if verify.threshold is not None else verify.bars.get(IMPORTED)
        if bar is None:
            bar = fitted.threshold(author_class, verify.false_accepts, verify.confidence).value
        hits = [one.score >= bar for one in held] + [False] * len(bare)
        found = measure_rate(hits, [*(one.instance_id for one in held), *bare])
        middle = found.successes / found.n
        ran = f", on {len(bare)} of which nothing ran"
        if author_class not in fitted.ungrounded:
            ran = " on which something ran; it does not count the others, which are never accepted"
        self.words.append(f"{author_class} authors: {middle:.2f} accepted, as {found.successes} of"
                          f" {found.n} graded patches of {fitted.name!r}{ran}")  # fmt: skip
        return middle, found.low, found.high


def _unverified_groups(
    candidates_by_instance: Mapping[str, Sequence[Outcome]],
    cases: Mapping[str, InstanceCase],
    rates: _AcceptanceRates,
) -> list[UnverifiedInstances]:
    """Instances with unverified candidates, grouped by the classes of their authors."""
    groups = Counter(tuple(sorted(rates.author_class(one, cases[name]) for one in found))
                     for name, found in candidates_by_instance.items() if found)  # fmt: skip
    made = [
        UnverifiedInstances(count, *any_accepted([rates.acceptance_rate(kind) for kind in kinds]))
        for kinds, count in sorted(groups.items())
    ]
    if any(len(kinds) > 1 for kinds in groups):
        rates.words.append(
            "candidates of one instance taken as fully correlated, at the low end as independent"
        )
    return made


def _escalation_steps(
    header: Header, instances: Sequence[Instance], verifier: verifier_model.VerifierModel
) -> tuple[list[EscalationStep], str]:
    """The rungs with what they are expected to cost, and where that comes from."""
    plans, many = possible_plans(header)
    arms = [str(plan.arm) for plan in plans]
    own, asked = training_data.split_knobs(header.settings.policy.knobs)
    given = own.get("costs", {})
    costs = np.array([ASSUMED_LIMIT_SHARE * float(plan.budget.dollars) for plan in plans])
    solved = np.full(len(plans), 0.5)
    cheap = np.zeros(len(plans))
    notice = (
        f"an attempt is taken to cost {ASSUMED_LIMIT_SHARE:g} of its limit where no outcomes are"
        " named, and nothing tells how little"
    )
    if asked.outcomes or asked.systems:  # ranks of the shipped table say nothing of these prices
        past, notice = training_data.training_of_ladder(asked, arms, instances)
        costs, solved = np.nanmean(past.usd, axis=0), np.nanmean(past.resolved, axis=0)
        cheap = np.array([_low_run_cost(past, arm) for arm in arms])
    checks = many * float(_max_verifier_usd(header))
    rungs = []
    for plan, arm, cost, least, right in zip(plans, arms, costs, cheap, solved, strict=True):
        most = float(plan.budget.dollars)
        usual = float(given[arm]) if arm in given else float(cost)
        taken = float(right) * verifier.tpr + (1 - float(right)) * verifier.fpr
        limits = float(_max_move_usd(header, plan, many))
        # A cost that the user names is a mean: how little it may be, past runs do not tell then.
        little = 0.0 if arm in given else float(least)
        rungs.append(EscalationStep(arm, many * min(usual, most), limits, taken, little, checks))
    return rungs, f"costs: {notice}"


def _low_run_cost(past_runs: Training, tier: str) -> float:
    """The ``CHEAP_RUN_QUANTILE`` of the USD of a tier's past runs; 0 where none is known."""
    known = [run.usd for one in past_runs.examples for run in one.runs.get(tier, ())
             if run.usd is not None]  # fmt: skip
    return float(np.quantile(known, CHEAP_RUN_QUANTILE)) if known else 0.0


def _max_verifier_usd(header: Header) -> Decimal:
    """The most that the verifiers' own model calls on one candidate may cost, USD."""
    return header.settings.verify.usd if verifier_tiers(header.settings) else Decimal(0)


def max_run_usd(header: Header, instances: int, candidates: int = 0) -> Decimal:
    """USD that a run cannot exceed: every attempt at its limit, what verifiers ask, the budget.

    ``candidates``: those that the instances came with, to be verified before any attempt.
    """
    plans, many = possible_plans(header)
    one = sum((_max_move_usd(header, plan, many) for plan in plans), start=Decimal(0))
    checks = candidates + instances * many * len(plans)
    own = header.settings.limits.instance_usd
    whole = instances * one + checks * _max_verifier_usd(header)
    return min(header.settings.budget, whole if own is None else min(whole, instances * own))


def possible_plans(header: Header) -> tuple[list[Plan], int]:
    """The plans that the policy may come to on an instance, and how many attempts of each."""
    settings, plans = header.settings, list(header.ladder())
    name = settings.policy.name
    own, _ = training_data.split_knobs(settings.policy.knobs)
    if settings.candidates > 1:
        own = {"candidates": settings.candidates, **own}
    knobs = knobs_for(name, plugins.load_plugin("policies", name), own)
    many = int(getattr(knobs, "k" if name == "best-of-k" else "candidates"))
    if name in SINGLE_TIER_POLICIES:
        tier = getattr(knobs, "tier", "")
        plans = [plan for plan in plans if tier in (str(plan.arm), plan.arm.model)] or plans[:1]
    return plans, many


def _max_move_usd(header: Header, plan: Plan, candidate_count: int) -> Decimal:
    """USD limit of a move with so many candidates; those of ``ensemble.tiers`` may be dearer."""
    others = [one for one in header.ladder() if one.arm.model in header.settings.ensemble.tiers]
    dearest = max(one.budget.dollars for one in (plan, *others))
    return plan.budget.dollars + (candidate_count - 1) * dearest


def _rounded_figures(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}
