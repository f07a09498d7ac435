"""What is checked before the first cent, over all instances of a run."""

from __future__ import annotations

import pytest

from swe_router import settings
from swe_router.errors import UsageError
from swe_router.records import Instance
from swe_router.wiring import preflight

SETS = ["sandbox.kind=local", "sandbox.unsafe=true", "tiers.local.window=20000"]


def issue(name: str, size: int) -> Instance:
    return Instance(id=name, repo="a/b", base_commit="c" * 40, problem="x" * size)


def test_one_long_issue_does_not_deny_the_others_a_small_window():
    said: list[str] = []
    both = [issue("short", 100), issue("long", 50_000)]
    ready = preflight.run_preflight(settings.load("demo", sets=SETS), both, said.append)
    assert not ready.skipped_tiers
    assert any("20000 tokens" in line and "of long" in line for line in said)


def test_a_tier_that_no_issue_fits_is_skipped_with_the_reason():
    said: list[str] = []
    ready = preflight.run_preflight(
        settings.load("demo", sets=SETS), [issue("long", 50_000)], said.append
    )
    assert list(ready.skipped_tiers) == ["local"]
    assert said == [f"skipped: {ready.skipped_tiers['local']}"]
    only = settings.load("demo", sets=[*SETS, 'policy.ladder=["local"]'])
    with pytest.raises(UsageError, match="no tier can be used"):
        preflight.run_preflight(only, [issue("long", 50_000)], said.append)
