"""An attempt made again from its recorded answers and observations: no model, no sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.agents.manifest import Manifest
from swe_router.agents.phased_dialogue import PhasedDialogue, dialogue_of
from swe_router.agents.tool_loop import PAST_LEFT
from swe_router.records import Budget, Instance, PhaseChoice, Step, ToolCall, Trajectory
from swe_router.records.conversation import UNUSED_ANSWER

AnyDialogue = Dialogue | PhasedDialogue
StopLoss = Callable[[int, Decimal], str]


@dataclass(frozen=True)
class AttemptDivergence:
    """One thing that does not come out as it was recorded."""

    where: str
    """``step 3 request``, ``step 3 answer``, ``step 3 observation``, ``step 3 seal``, ``usd`` …;
    steps count from 1."""
    recorded: str
    recomputed: str


def recheck_attempt(
    manifest: Manifest,
    instance: Instance,
    steps: Sequence[Step],
    setup: DialogueSetup,
    *,
    recorded: Trajectory | None = None,
    budget: Budget | None = None,
    stop_loss: StopLoss | None = None,
) -> list[AttemptDivergence]:
    """The first thing of each step that differs, then what differs of the trajectory.

    ``recorded`` is the trajectory to check the sums and the exit of; ``budget`` the limits that
    an exit by steps or money is checked against, ``stop_loss`` the rule of an exit by it
    (``AttemptContext.stop_loss``). Raises nothing for damaged steps.
    """
    found: list[AttemptDivergence] = []
    dialogue = dialogue_of(manifest, instance, setup)
    used: list[Step] = []
    before = ""
    followers = [*steps[1:], None][: len(steps)]
    for step, after in zip(steps, followers, strict=True):
        if f"{PAST_LEFT} " in step.note:
            dialogue, used = _without_left(manifest, instance, setup, used, step)
        dialogue.recall(step.phase)
        note = dialogue.make_room()
        divergence = _step(dialogue, step, note, before, after)
        if divergence is not None:
            found.append(divergence)
        dialogue.add(step.completion, step.actions)
        used.append(step)
        before = step.seal
    if recorded is not None:
        found += _end(dialogue, steps, recorded, budget)
        acted_on = [step for step in steps if step.note != UNUSED_ANSWER]
        if setup.context.phases is None:  # else the dialogue itself gives up, or hands over
            found += _given_up(acted_on, recorded, stop_loss)
    return found


def recheck_sums(steps: Sequence[Step], recorded: Trajectory) -> list[AttemptDivergence]:
    """What differs where only the strategy knows its requests: seals of the steps, and sums."""
    found: list[AttemptDivergence] = []
    before = ""
    for step in steps:
        seal = step.sealed(before).seal
        if seal != step.seal:
            found.append(AttemptDivergence(f"step {step.index + 1} seal", step.seal, seal))
        before = step.seal
    return [*found, *_sums(steps, recorded)]


def _given_up(
    steps: Sequence[Step], recorded: Trajectory, stop_loss: StopLoss | None
) -> Iterator[AttemptDivergence]:
    """Where the stop-loss would have ended the attempt, against where it did."""
    rule: StopLoss = stop_loss or (lambda steps, usd: "")
    spent = Decimal(0)
    for number, step in enumerate(steps):
        if why := rule(number, spent):
            yield AttemptDivergence(f"step {number + 1} exit", "went on", f"stop_loss: {why}")
            return
        spent += step.completion.usd
    if recorded.exit == "stop_loss" and (why := rule(len(steps), spent)) != recorded.why:
        yield AttemptDivergence(
            "exit", f"stop_loss: {recorded.why}", why or "no stop-loss is reached"
        )


def _without_left(
    manifest: Manifest, instance: Instance, setup: DialogueSetup, used: list[Step], step: Step
) -> tuple[AnyDialogue, list[Step]]:
    """The conversation as it was after a resume that did not use its whole past."""
    number = step.note.partition(f"{PAST_LEFT} ")[2].partition(":")[0]
    first = int(number) if number.isdigit() else 0
    dialogue, kept = dialogue_of(manifest, instance, setup), [s for s in used if s.index < first]
    for one in kept:
        dialogue.recall(one.phase)
        dialogue.make_room()
        dialogue.add(one.completion, one.actions)
    dialogue.make_room()
    return dialogue, kept


def _step(
    dialogue: AnyDialogue, step: Step, note: str, before: str, after: Step | None
) -> AttemptDivergence | None:
    name = f"step {step.index + 1}"
    request = dialogue.request().digest()
    if request != step.request:
        return AttemptDivergence(f"{name} request", step.request, request)
    if divergence := _other_circumstances(dialogue, step, note):
        return divergence
    asked, did = dialogue.calls(step.completion), [action.call for action in step.actions]
    if list(asked[: len(did)]) != did or len(did) > len(asked):
        return AttemptDivergence(f"{name} answer", _names(did), _names(asked))
    for action in step.actions:
        corrected = dialogue.own_action(action.call) or action
        if action.call.error:
            corrected = dialogue.corrective(action.call)
        if corrected.observation != action.observation:
            return AttemptDivergence(
                f"{name} observation", action.observation, corrected.observation
            )
    seal = step.sealed(before).seal
    if seal != step.seal:
        return AttemptDivergence(f"{name} {_unsealed(dialogue, step, after)}", step.seal, seal)
    return None


def _other_circumstances(dialogue: AnyDialogue, step: Step, note: str) -> AttemptDivergence | None:
    """What differs of a call beyond its request: the note, who made it, and why."""
    name = f"step {step.index + 1}"
    unused = step.note == UNUSED_ANSWER
    if note and note not in step.note and not unused:
        return AttemptDivergence(f"{name} note", step.note, note)
    if step.completion.tier != dialogue.tier:
        return AttemptDivergence(f"{name} tier", step.completion.tier, dialogue.tier)
    if step.phase != dialogue.phase and not unused:
        was, now = _phase_text(step.phase), _phase_text(dialogue.phase)
        return AttemptDivergence(f"{name} phase", was, now)
    return None


def _phase_text(phase: PhaseChoice | None) -> str:
    return phase.model_dump_json(exclude_none=True) if phase else "none"


def _unsealed(dialogue: AnyDialogue, step: Step, after: Step | None) -> str:
    """What of a step was changed after it was sealed, as far as the next request tells."""
    if after is None:
        return "seal (answer, observation, usage or usd)"
    ahead = dialogue.copy()
    ahead.add(step.completion, step.actions)
    ahead.make_room()
    follows = ahead.request().digest() == after.request
    return "seal (usage, usd or seconds)" if follows else "seal (answer or observation)"


def _names(calls: Sequence[ToolCall]) -> str:
    return ", ".join(f"{call.name}({dict(call.arguments)})" for call in calls) or "no call"


def _sums(steps: Sequence[Step], recorded: Trajectory) -> Iterator[AttemptDivergence]:
    again = Trajectory.of(steps, recorded.exit, recorded.why)
    for key in ("steps", "usd", "usage", "seal", "tiers"):
        was, now = getattr(recorded, key), getattr(again, key)
        if was != now:
            yield AttemptDivergence(key, str(was), str(now))


def _end(
    dialogue: AnyDialogue, steps: Sequence[Step], recorded: Trajectory, budget: Budget | None
) -> Iterator[AttemptDivergence]:
    yield from _sums(steps, recorded)
    if recorded.exit in ("broke", "interrupted"):
        return  # These come from outside, at any moment.
    dialogue.make_room()
    if dialogue.ended:
        exit_, why = dialogue.ended
        if exit_ != recorded.exit:
            yield AttemptDivergence("exit", recorded.exit, exit_)
        elif why != recorded.why:
            yield AttemptDivergence("why", recorded.why, why)
    elif recorded.exit in ("submitted", "gave_up"):
        yield AttemptDivergence("exit", recorded.exit, "not ended by the model")
    elif recorded.exit == "stop_loss" and isinstance(dialogue, PhasedDialogue):
        yield AttemptDivergence("exit", recorded.exit, "no stop-loss is reached")
    elif recorded.exit == "steps" and budget and len(steps) < budget.steps:
        yield AttemptDivergence("exit", recorded.exit, f"{len(steps)} of {budget.steps} steps")
