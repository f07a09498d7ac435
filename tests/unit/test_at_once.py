"""How many instances one process works on at a time, and what never runs beside another."""

from __future__ import annotations

import os

import pytest

from swe_router.commands.run.worker import MAX_INSTANCES_AT_ONCE, instances_at_once
from swe_router.journal.header import Header
from swe_router.settings import load

FILLED = min(MAX_INSTANCES_AT_ONCE, (os.cpu_count() or 1) + 1)


def number(policy: str = "cascade", preset: str = "demo", **changes: object) -> int:
    settings = load(preset, split="demo", policy__name=policy)
    if changes:
        tiers = {name: tier.model_copy(update=changes) for name, tier in settings.tiers.items()}
        settings = settings.model_copy(update={"tiers": tiers})
    return instances_at_once(Header(settings, "", {}, {}, "local", {}, 0.0))


def test_recordings_are_played_on_all_cores_with_one_more_for_the_gaps():
    assert number() == number("fixed") == FILLED > 1


def test_candidates_that_a_run_begins_with_are_all_looked_at_first():
    settings = load("demo", split="demo", source="preds.jsonl")
    assert instances_at_once(Header(settings, "", {}, {}, "local", {}, 0.0)) == 1


def test_a_real_model_is_asked_for_one_instance_after_another():
    """Its server's limits and the order in which money goes are what they were."""
    assert number(dialect="openai") == 1


@pytest.mark.parametrize("policy", ["ration", "pickllm-q"])
def test_a_policy_that_learns_from_each_instance_has_them_in_their_order(policy):
    assert number(policy) == 1
