"""Ratings of issues asked in one batch, each paid once."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from swe_router.commands.features import extraction
from swe_router.commands.features.judge_ratings import IssueRater
from swe_router.errors import UsageError
from swe_router.features import feature_files, rubric
from swe_router.settings import build
from tests.doubles import batch_bodies
from tests.doubles.batch_server import BatchServer
from tests.doubles.batched import KEY, MODELS
from tests.doubles.fleet import billed_usd

IDS = ["demo__confet-3", "demo__confet-7", "demo__gridtext-4"]
GOOD = json.dumps(dict.fromkeys(rubric.CRITERIA, 4))


def rater(folder, url, *, dialect="anthropic", price=None):
    tier = {
        "dialect": dialect, "model": MODELS["anthropic"], "window": 100_000, "attempt_usd": 1,
        "base_url": url, "api_key_env": "KEY_OF_BATCHES",
        "price": price or {"input": 3, "output": 15},
    }  # fmt: skip
    known = build({"tiers": {"rater": tier}, "batch": {"poll_seconds": 0.2}})
    return IssueRater(
        known, "rater", budget=Decimal(1), folder=folder / "f.judge", model_routes={},
        say=lambda line: None, in_batches=True,
    )  # fmt: skip


def rate(folder, judge):
    extraction.make_features(
        "demo", folder / "f.jsonl", repos="", instance_ids=IDS, id_pattern="", id_slice="",
        say=lambda line: None, judge=judge,
    )  # fmt: skip


def answering(body, service):
    return batch_bodies.reply("anthropic", text=GOOD, service=service)


def test_all_issues_are_rated_by_one_batch_at_half_the_price(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_OF_BATCHES", KEY)
    with BatchServer("anthropic", answer=answering, delays=(0, 0.1)) as server:
        judge = rater(tmp_path, server.base_url)
        rate(tmp_path, judge)
        assert judge.spent_usd == billed_usd(server)
        again = rater(tmp_path, server.base_url)
        rate(tmp_path, again)
        assert again.counts == {"rated": 3}
    assert [len(batch.items) for batch in server.batches.values()] == [3]
    rows = feature_files.read_features(tmp_path / "f.jsonl")
    assert [row.provenance["judge.weak_rating"] for row in rows] == ["judge"] * 3


def test_a_tier_without_batches_is_refused_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_OF_BATCHES", KEY)
    judge = rater(tmp_path, "http://127.0.0.1:9/v1", dialect="vllm")
    with pytest.raises(UsageError, match="takes batches"):
        rate(tmp_path, judge)
