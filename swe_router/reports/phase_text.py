"""Attempts in which other tiers planned, advised or finished, in words and in sums by tier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swe_router.records import Attempt, Outcome, Step, Usage

_SUMS = tuple(Usage.model_fields)


def tiers_words(attempt: Attempt) -> str:
    """The arm, and what other tiers could do in the attempt."""
    helpers = [f"{phase.tier} as {phase.role}" for phase in attempt.plan.phases]
    return f"{attempt.plan.arm} with {' and '.join(helpers)}" if helpers else str(attempt.plan.arm)


def share_lines(attempt: Attempt) -> Iterator[str]:
    """What each other tier really did, a line each."""
    for name in dict.fromkeys(phase.tier for phase in attempt.plan.phases):
        share = attempt.trajectory.tiers.get(name)
        most = sum(phase.usd for phase in attempt.plan.phases if phase.tier == name)
        if share is None:
            yield f"{name} was not asked (up to ${most:.4f} were held for it)"
        else:
            calls = "1 call" if share.calls == 1 else f"{share.calls} calls"
            yield f"{name}: {calls}, ${share.usd:.4f} of at most ${most:.4f}"


def step_tier(step: Step) -> str:
    """`` by TIER`` for a call of another tier than the arm's; else nothing."""
    return f" by {step.completion.tier}" if step.completion.tier else ""


def choice_line(step: Step) -> str:
    """Who makes a call and why, where that was decided anew; else nothing."""
    choice = step.phase
    if choice is None:
        return ""
    prices = ""
    if choice.usd is not None and choice.other_usd is not None:
        prices = f" (expected ${choice.usd:.4f}, by the other tier ${choice.other_usd:.4f})"
    chance = "" if choice.propensity == 1 else f", probability {choice.propensity:.2f}"
    refused = "".join(f"; refused: {text}" for text in choice.refused)
    return f"{choice.tier} as {choice.role}{chance}: {choice.why}{prices}{refused}"


def usages_of_tier(outcomes: Iterable[Outcome], tier: str) -> list[Usage]:
    """Tokens of a tier's calls, an item per attempt that it made or helped in."""
    found = []
    for outcome in outcomes:
        path = outcome.attempt.trajectory
        if outcome.arm.model == tier:
            found.append(_less(path.usage, (share.usage for share in path.tiers.values())))
        elif tier in path.tiers:
            found.append(path.tiers[tier].usage)
    return found


def _less(usage: Usage, parts: Iterable[Usage]) -> Usage:
    """A sum without some of its parts."""
    gone = sum(parts, Usage())
    left = {name: max(0, getattr(usage, name) - getattr(gone, name)) for name in _SUMS}
    return usage.model_copy(update=left)
