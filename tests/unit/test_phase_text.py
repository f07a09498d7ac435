"""Views of attempts in which two tiers worked: whose calls, why, and for how much."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmarks import switching
from swe_router.estimates.caching import cache_use
from swe_router.outcomes.importers.run_folders import _system_name
from swe_router.records import Phase, Usage
from swe_router.reports import phase_text, run_rows
from tests.doubles.agent import LOOK, SUBMIT, answer
from tests.doubles.phased import RATES_OF, PhasedAttempt
from tests.doubles.project import outcome

FINISHER = Phase(role="finisher", tier="strong", usd=1, stall=3)


@pytest.fixture
def finished(tmp_path):
    attempt = PhasedAttempt((FINISHER,), [answer(LOOK)] * 3, [answer(LOOK), answer(SUBMIT)])
    end, steps = attempt.run(tmp_path)
    made = outcome("diff", tier="weak").attempt
    plan = made.plan.model_copy(update={"phases": (FINISHER,)})
    whole = made.model_copy(update={"plan": plan, "trajectory": end})
    return outcome("diff", tier="weak").model_copy(update={"attempt": whole}), steps


def test_tokens_and_usd_are_those_of_the_tier_that_made_the_calls(finished):
    made, steps = finished
    for tier, calls in (("weak", steps[:3]), ("strong", steps[3:])):
        (used,) = phase_text.usages_of_tier([made], tier)
        assert used == sum((step.completion.usage for step in calls), Usage())
    share = made.attempt.trajectory.tiers["strong"]
    assert share.usd == sum(step.completion.usd for step in steps[3:])
    assert phase_text.usages_of_tier([made], "other") == []
    (row,) = run_rows._phase_rows(made)
    assert (row["tier"], row["role"], row["calls"]) == ("strong", "finisher", 2)
    assert row["usd"] == float(share.usd)


def test_an_attempt_and_its_steps_name_the_tiers_and_the_decision(finished):
    made, steps = finished
    assert phase_text.tiers_words(made.attempt) == "weak with strong as finisher"
    usd = made.attempt.trajectory.tiers["strong"].usd
    assert list(phase_text.share_lines(made.attempt)) == [
        f"strong: 2 calls, ${usd:.4f} of at most $1.0000"
    ]
    assert [phase_text.step_tier(step) for step in steps] == [
        "",
        "",
        "",
        " by strong",
        " by strong",
    ]
    line = phase_text.choice_line(steps[3])
    assert line.startswith("strong as finisher: the same call showed the same 3 times (expected $")
    assert [phase_text.choice_line(step) for step in steps[:3]] == ["", "", ""]


def test_a_tier_that_was_not_asked_is_said_to_be(finished):
    made, _ = finished
    bare = made.attempt.trajectory.model_copy(update={"tiers": {}})
    idle = made.attempt.model_copy(update={"trajectory": bare})
    assert list(phase_text.share_lines(idle)) == [
        "strong was not asked (up to $1.0000 were held for it)"
    ]


def test_caches_are_counted_by_the_tier_that_read(finished):
    _, steps = finished
    tally, breaks = cache_use.tally_of_steps(steps, "weak", RATES_OF)
    assert breaks[3] is None, "another tier's first visit is no break of the first one's"
    mine = sum(step.completion.usage.prompt_tokens for step in steps[:3])
    assert tally.by_tier["weak"].prompt_tokens == mine


def test_an_outcome_table_names_such_a_run_as_what_it_is(finished):
    assert _system_name(finished[0]) == "weak+strong:finisher"


def test_the_benchmark_says_what_it_needs(tmp_path, capsys):
    assert switching.main(tmp_path / "nowhere") == 1
    assert switching.main(tmp_path) == 1
    assert "holds no *.traj.json" in capsys.readouterr().out


def test_the_benchmark_sees_a_stall_where_the_dialogue_does(finished):
    _, steps = finished
    assert switching.stall_place(steps, FINISHER) == pytest.approx(3 / 5)
    never = FINISHER.model_copy(update={"stall": 5})
    assert switching.stall_place(steps, never) == 1
    assert Decimal(str(switching.PARTS[1])) == Decimal("0.5")
