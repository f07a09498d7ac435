"""How an attempt begins after others: fresh, with notes of them, or going on from one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swe_router import toolcalls
from swe_router.records import Outcome, Plan, Step
from swe_router.solve.handover_notes import notes, shortened

FELL_BACK = "handed over as notes"
"""Begins the note of the first step of an attempt that could not continue."""
SHORT = 300
"""Bytes up to which an observation stays when older ones are elided."""
Steps = Callable[[str], Sequence[Step]]
"""Steps of an attempt of the instance, by its id."""


@dataclass(frozen=True)
class Handed:
    """What a new attempt gets from earlier ones."""

    text: str = ""
    """For its first message; empty for a fresh start."""
    continued: bool = False
    """The earlier change is in the sandbox, and ``text`` holds the earlier conversation."""
    patch: str = ""
    """To be applied after the start snapshot, so that the diff is against the start state."""
    attempt: str = ""
    """Id of the attempt that is continued."""
    note: str = ""
    """For the first step: what of the plan could not be kept."""


def hand_over(
    plan: Plan,
    before: Sequence[Outcome],
    steps: Steps,
    room: int,
    fallen: str = "",
    *,
    workdir: str,
) -> Handed:
    """What ``plan`` hands over; pure, so that a replay makes it again.

    ``before``: outcomes of the moves before this one; parallel attempts of the same move are
    excluded. ``room``: UTF-8 bytes that the first message may hold of it. ``fallen``: why it cannot
    continue, which makes it notes. ``workdir``: of the instance.
    """
    past = [one for one in before if _patch(one) or steps(one.attempt.id)]
    if plan.handover == "fresh" or not past:
        return Handed()
    past_steps = [(outcome, steps(outcome.attempt.id)) for outcome in past]
    if plan.handover == "notes" or fallen:
        return Handed(
            text=notes(past_steps, workdir), note=f"{FELL_BACK}: {fallen}" if fallen else ""
        )
    going_on = _best(past)
    patch = _patch(going_on)
    name = going_on.attempt.id
    head = notes([pair for pair in past_steps if pair[0] is going_on], workdir)
    left = room - len(head.encode("utf-8", "replace"))
    text = f"{head}\n\n{transcript(steps(name), left)}"
    return Handed(text.strip(), True, patch, name)


def fell_back(steps: Sequence[Step]) -> str:
    """Why a recorded attempt could not continue; empty when it did."""
    note = steps[0].note if steps else ""
    return note.partition(f"{FELL_BACK}: ")[2].partition("; elided")[0]


def _patch(outcome: Outcome) -> str:
    return outcome.candidate.patch if outcome.candidate is not None else ""


def _best(past: Sequence[Outcome]) -> Outcome:
    """The attempt to go on from: the likeliest patch where all have a probability, else the last.

    Without a patch at all, the last attempt.
    """
    full = [outcome for outcome in past if _patch(outcome)]
    chances = [outcome.probability for outcome in full]
    if full and None not in chances:
        ranked = [-math.inf if chance is None else chance for chance in chances]
        return full[max(range(len(full)), key=lambda n: (ranked[n], n))]
    return (full or list(past))[-1]


def transcript(steps: Sequence[Step], limit: int) -> str:
    """A conversation as text of at most ``limit`` UTF-8 bytes.

    Where it is longer, the oldest observations go first, then the oldest steps.
    """
    whole = [_turn(step, elided=False) for step in steps]
    short = [_turn(step, elided=True) for step in steps]
    for cut in range(len(steps) + 1):
        text = "\n\n".join([*short[:cut], *whole[cut:]])
        if len(text.encode("utf-8", "replace")) <= limit:
            return text
    for gone in range(1, len(steps)):
        head = f"[the first {gone} steps are left out]"
        text = "\n\n".join([head, *short[gone:]])
        if len(text.encode("utf-8", "replace")) <= limit:
            return text
    return shortened(short[-1], limit) if short else ""


def _turn(step: Step, *, elided: bool) -> str:
    calls = [action.call for action in step.actions]
    answer = step.completion.message.content.strip()
    parts = [f"Step {step.index + 1}:"]
    parts += [answer] if answer else []
    for number, (call, action) in enumerate(zip(calls, step.actions, strict=True)):
        if step.completion.message.tool_calls and not call.error:
            parts.append(toolcalls.render_calls(calls[number : number + 1]))
        size = len(action.observation.encode("utf-8", "replace"))
        shown = f"Shown:\n{action.observation}"
        parts.append(f"[{size} bytes were shown here]" if elided and size > SHORT else shown)
    return "\n".join(parts)
