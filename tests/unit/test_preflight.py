"""What is checked before the first cent, over all instances of a run."""

from __future__ import annotations

import pytest

from swe_router import settings
from swe_router.errors import UsageError
from swe_router.journal import run_inputs
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


class OwnRequests:
    """A strategy that makes its own requests."""

    def __init__(self, manifest, *, command_timeout, command_timeout_max):
        pass

    def solve(self, instance, model, sandbox, budget, context):
        raise NotImplementedError


def test_phases_need_a_scaffold_whose_loop_can_ask_two_tiers(tmp_path):
    """They were left out without a word: the strong tier was held money for and never asked."""
    (tmp_path / "mine").mkdir()
    text = f'strategy = "{__name__}:OwnRequests"\n'
    (tmp_path / "mine" / "scaffold.toml").write_text(text)
    sets = [*SETS, f"scaffold={tmp_path / 'mine'}"]
    one = [issue("short", 100)]
    preflight.run_preflight(settings.load("demo", sets=sets), one, print)
    with pytest.raises(UsageError, match=r"'advisor' lets two tiers work .* 'tool-loop'"):
        preflight.run_preflight(
            settings.load("demo", sets=[*sets, "policy.name=advisor"]), one, print
        )


def test_a_run_keeps_the_prompts_of_its_phases():
    """A later prompt would make a resume ask another question than the one that was paid for."""
    plain = settings.load("demo", sets=SETS)
    asked = settings.load("demo", sets=[*SETS, "policy.name=plan-execute"])
    new = preflight.scaffold_digests(asked).keys() - preflight.scaffold_digests(plain).keys()
    names = {f"prompt/{name}" for name in ("planner", "planner-last", "planner-task", "work-plan")}
    assert new == names
    assert (
        run_inputs.current_inputs(asked).keys() - run_inputs.current_inputs(plain).keys() == names
    )
