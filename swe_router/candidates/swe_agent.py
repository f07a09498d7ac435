"""Trajectories of SWE-agent (``.traj``): actions, observations and the state after each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.candidates.trajectory import (
    ForeignTrajectory,
    arguments_of,
    bash,
    dollars,
    exit_of,
    items,
    natural,
    number,
    seconds,
    step_of,
    table,
    text_of,
)
from swe_router.records import Step, Trajectory, Usage

_STATS = ("instance_cost", "tokens_sent", "tokens_received", "api_calls")
_TURN = frozenset(("action", "response", "thought", "observation"))


def read_swe_agent(tree: Mapping[str, Any], instance_id: str, name: str) -> ForeignTrajectory:
    """One run, from the JSON of its ``.traj``; of a retrying agent the attempt that it chose.

    Actions of SWE-agent's own tools (``str_replace_editor create …``) stand as it wrote them.
    """
    chosen = _chosen(tree)
    info = {**table(chosen.get("info")), **table(tree.get("info"))}
    stats = stats_of(tree)
    submission = text_of(info.get("submission"))
    turns = [table(one) for one in items(chosen.get("trajectory"))]
    steps = tuple(_step(number, one) for number, one in enumerate(turns))
    remark = _unread(turns, natural(stats.get("api_calls")))
    status = info.get("exit_status")
    trajectory = Trajectory(
        exit=exit_of(status, submission),
        steps=natural(stats.get("api_calls")) or len(steps),
        usage=Usage(
            input_tokens=natural(stats.get("tokens_sent")),
            output_tokens=natural(stats.get("tokens_received")),
        ),
        usd=dollars(stats.get("instance_cost")),
        why=str(status or "")[:200],
    )
    config = arguments_of(tree.get("replay_config"))
    model = table(table(config.get("agent")).get("model")).get("name")
    return ForeignTrajectory(
        instance_id=instance_id,
        name=name,
        trajectory=trajectory,
        steps=steps,
        submission=submission,
        model=model if isinstance(model, str) else "",
        remark=remark,
    )


def stats_of(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the run asked of its models, as SWE-agent counts it; of a retrying agent in all.

    ``info.model_stats`` of such a run is the sum of its attempts and of the reviewer, whose own
    part is ``rloop_model_stats`` (zeros with a chooser). A file that was left by an interrupted
    run has the attempts alone.
    """
    info = table(tree.get("info"))
    whole = table(info.get("model_stats"))
    parts = [table(table(table(one).get("info")).get("model_stats"))
             for one in items(tree.get("attempts"))]  # fmt: skip
    if not any(parts):
        return whole
    parts.append(table(info.get("rloop_model_stats")))
    summed = {name: sum(_number(part.get(name)) for part in parts) for name in _STATS}
    return {name: max(_number(whole.get(name)), summed[name]) for name in _STATS}


def _number(value: object) -> float:
    return number(value) or 0


def _unread(turns: Sequence[Mapping[str, Any]], calls: int) -> str:
    """A remark on calls that were not read."""
    strange = sum(not _TURN & turn.keys() for turn in turns)
    if not strange and (turns or calls < 2):
        return ""
    remark = f"it reports {calls or 'some'} model calls and {len(turns) - strange} steps were"
    remark += f" read; {strange} of its {len(turns)} turns are of a form that is not known"
    return remark


def _chosen(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    attempts = items(tree.get("attempts"))
    best = natural(table(tree.get("info")).get("best_attempt_idx"))
    if items(tree.get("trajectory")) or not attempts:
        return tree
    return table(attempts[min(best, len(attempts) - 1)])


def _step(number: int, turn: Mapping[str, Any]) -> Step:
    action = text_of(turn.get("action"))
    content = text_of(turn.get("response")) or text_of(turn.get("thought"))
    took = seconds(turn.get("execution_time"))
    seen = text_of(turn.get("observation"))
    made = [bash(str(number), action, seen, None, took)] if action.strip() else []
    return step_of(number, content, made)
