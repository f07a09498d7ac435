"""How an attempt begins after others: fresh, with notes of them, or going on from one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swe_router import toolcalls
from swe_router.records import Outcome, Plan, Step
from swe_router.solve.handover_notes import notes, shortened

CANNOT_CONTINUE = "handed over as notes"
"""Begins the note of the first step of an attempt that could not continue."""
MAX_KEPT_OBSERVATION_BYTES = 300
"""Bytes up to which an observation stays when older ones are elided."""
StepsOfAttempt = Callable[[str], Sequence[Step]]
"""Steps of an attempt of the instance, by its id."""


@dataclass(frozen=True)
class HandedOver:
    """What a new attempt gets from earlier ones."""

    message: str = ""
    """For its first message; empty for a fresh start."""
    continued: bool = False
    """The earlier change is in the sandbox, and ``message`` holds the earlier conversation."""
    patch_to_apply: str = ""
    """To be applied after the start snapshot, so that the diff is against the start state."""
    continued_attempt_id: str = ""
    """Id of the attempt that is continued."""
    note: str = ""
    """For the first step: what of the plan could not be kept."""


def hand_over(
    plan: Plan,
    earlier_outcomes: Sequence[Outcome],
    steps: StepsOfAttempt,
    max_bytes: int,
    why_not_continued: str = "",
    *,
    workdir: str,
) -> HandedOver:
    """What ``plan`` hands over; pure, so that a replay makes it again.

    ``earlier_outcomes``: outcomes of the moves before this one; parallel attempts of the same move
    are excluded. ``max_bytes``: UTF-8 bytes that the first message may hold of it.
    ``why_not_continued``: why it cannot continue, which makes it notes. ``workdir``: of the
    instance.
    """
    past = [one for one in earlier_outcomes if _patch_of(one) or steps(one.attempt.id)]
    if plan.handover == "fresh" or not past:
        return HandedOver()
    past_steps = [(outcome, steps(outcome.attempt.id)) for outcome in past]
    if plan.handover == "notes" or why_not_continued:
        return HandedOver(
            message=notes(past_steps, workdir),
            note=f"{CANNOT_CONTINUE}: {why_not_continued}" if why_not_continued else "",
        )
    continued = _best_attempt(past)
    patch = _patch_of(continued)
    name = continued.attempt.id
    head = notes([pair for pair in past_steps if pair[0] is continued], workdir)
    left = max_bytes - len(head.encode("utf-8", "replace"))
    text = f"{head}\n\n{transcript(steps(name), left)}"
    return HandedOver(text.strip(), True, patch, name)


def why_not_continued(steps: Sequence[Step]) -> str:
    """Why a recorded attempt could not continue; empty when it did."""
    note = steps[0].note if steps else ""
    return note.partition(f"{CANNOT_CONTINUE}: ")[2].partition("; elided")[0]


def _patch_of(outcome: Outcome) -> str:
    return outcome.candidate.patch if outcome.candidate is not None else ""


def _best_attempt(past: Sequence[Outcome]) -> Outcome:
    """The attempt to go on from: the likeliest patch where all have a probability, else the last.

    Without a patch at all, the last attempt.
    """
    full = [outcome for outcome in past if _patch_of(outcome)]
    chances = [outcome.probability for outcome in full]
    if full and None not in chances:
        ranked = [-math.inf if chance is None else chance for chance in chances]
        return full[max(range(len(full)), key=lambda n: (ranked[n], n))]
    return (full or list(past))[-1]


def transcript(steps: Sequence[Step], limit: int) -> str:
    """A conversation as text of at most ``limit`` UTF-8 bytes.

    Where it is longer, the oldest observations go first, then the oldest steps.
    """
    whole = [_step_text(step, elided=False) for step in steps]
    short = [_step_text(step, elided=True) for step in steps]
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


def _step_text(step: Step, *, elided: bool) -> str:
    calls = [action.call for action in step.actions]
    answer = step.completion.message.content.strip()
    parts = [f"Step {step.index + 1}:"]
    parts += [answer] if answer else []
    for number, (call, action) in enumerate(zip(calls, step.actions, strict=True)):
        if step.completion.message.tool_calls and not call.error:
            parts.append(toolcalls.render_calls(calls[number : number + 1]))
        size = len(action.observation.encode("utf-8", "replace"))
        shown = f"Shown:\n{action.observation}"
        parts.append(
            f"[{size} bytes were shown here]"
            if elided and size > MAX_KEPT_OBSERVATION_BYTES
            else shown
        )
    return "\n".join(parts)
