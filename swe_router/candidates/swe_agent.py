"""Trajectories of SWE-agent (``.traj``): actions, observations and the state after each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.candidates.told import (
    Told,
    arguments_of,
    bash,
    dollars,
    exit_of,
    items,
    natural,
    seconds,
    step_of,
    table,
    text_of,
)
from swe_router.records import Step, Trajectory, Usage


def read(tree: Mapping[str, Any], instance_id: str, name: str) -> Told:
    """One run, from the JSON of its ``.traj``; of a retrying agent the attempt that it chose.

    Actions of SWE-agent's own tools (``str_replace_editor create …``) stand as it wrote them.
    """
    chosen = _chosen(tree)
    info = {**table(chosen.get("info")), **table(tree.get("info"))}
    stats = table(info.get("rloop_model_stats")) or table(info.get("model_stats"))
    submission = text_of(info.get("submission"))
    steps = tuple(
        _step(number, table(one)) for number, one in enumerate(items(chosen.get("trajectory")))
    )
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
    return Told(
        instance_id=instance_id,
        name=name,
        trajectory=trajectory,
        steps=steps,
        submission=submission,
        model=model if isinstance(model, str) else "",
    )


def _chosen(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    attempts = items(tree.get("attempts"))
    best = natural(table(tree.get("info")).get("best_attempt_idx"))
    if items(tree.get("trajectory")) or not attempts:
        return tree
    return table(attempts[min(best, len(attempts) - 1)])


def _step(number: int, turn: Mapping[str, Any]) -> Step:
    action = text_of(turn.get("action"))
    said = text_of(turn.get("response")) or text_of(turn.get("thought"))
    took = seconds(turn.get("execution_time"))
    seen = text_of(turn.get("observation"))
    made = [bash(str(number), action, seen, None, took)] if action.strip() else []
    return step_of(number, said, made)
