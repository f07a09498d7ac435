"""Stop-loss: fitted where it is shown to pay, refused where not, enforced and replayed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.agents import recorded_attempt
from swe_router.agents.tool_loop import ToolLoop
from swe_router.commands.calibrate import stop_loss_calibration
from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import StopPoint, TierStopLoss
from swe_router.estimates.stop_loss.rule_fit import (
    PastAttempt,
    falling_rates,
    find_stop_points,
    fit_stop_loss,
    stop_effect,
)
from swe_router.journal.header import Header, header_of_run, is_unchanged
from swe_router.journal.run_folder import RunFolder
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable, write_table
from swe_router.records import Budget
from swe_router.settings import load
from swe_router.wiring import stop_loss
from tests.doubles.agent import INSTANCE, LOOK, SUBMIT, PlayedModel, TempSandbox, Told, answer
from tests.unit.test_agent_resume import SHEET, journaled, setup


def past(
    n: int = 240, repositories: int = 8, doomed: float = 0.02, seed: int = 3
) -> list[PastAttempt]:
    """Short runs resolve by two thirds; long ones, a third of all, hardly ever and cost a lot."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(n):
        long = k % 3 == 0
        steps = int(rng.integers(60, 120) if long else rng.integers(5, 40))
        right = bool(rng.random() < (doomed if long else 0.66))
        made.append(PastAttempt(steps, 0.01 * steps, right, f"o/r{k % repositories}"))
    return made


def test_a_tail_that_loses_money_is_cut_and_the_effect_is_checked_on_other_repositories():
    profile = fit_stop_loss("weak", past(), 2.0)
    point = next(p for p in profile.points if p.measure == "steps")
    assert 35 <= point.at <= 60
    assert point.resolved <= 5
    seen = profile.checked
    assert seen.net_low > 0
    assert seen.saved_low < seen.saved_usd < seen.saved_high
    assert seen.lost_low <= seen.lost <= seen.lost_high
    assert seen.net_usd == pytest.approx(seen.saved_usd - 2.0 * seen.lost)
    assert "earns money" in profile.why


def test_where_going_on_is_worth_its_price_nothing_is_stopped():
    even = fit_stop_loss("even", past(doomed=0.66), 2.0)
    assert even.points == ()
    assert "no point" in even.why
    rich = fit_stop_loss("weak", past(doomed=0.1), 100.0)
    assert rich.points == ()


def test_a_tier_that_is_not_worth_running_gets_no_stop_loss():
    none = fit_stop_loss("weak", past(), 0.01)
    assert none.points == ()
    assert "leave the tier out" in none.why


@pytest.mark.parametrize(("n", "repositories"), [(59, 8), (240, 3), (0, 1)])
def test_too_few_runs_are_refused(n, repositories):
    with pytest.raises(UsageError, match="too little to calibrate a stop-loss for weak"):
        fit_stop_loss("weak", past(n, repositories), 2.0)


@given(
    st.lists(
        st.tuples(st.integers(1, 90), st.floats(0.01, 3), st.booleans()), min_size=30, max_size=80
    ),
    st.floats(0.05, 10),
)
def test_the_effect_is_the_sum_of_what_is_cut_off(rows, value):
    runs = [PastAttempt(steps, usd, right, "o/r") for steps, usd, right in rows]
    points = find_stop_points(runs, value)
    saved, lost = stop_effect(runs, points)
    for run, less, gone in zip(runs, saved, lost, strict=True):
        assert 0 <= less <= run.usd
        assert gone == (run.resolved and less > 0)
    for point in points:
        length = [run.steps if point.measure == "steps" else run.usd for run in runs]
        assert point.n == sum(one > float(point.at) for one in length) >= 20
        assert point.resolved / point.n * value < point.further_usd


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=40))
def test_the_chance_never_rises_with_the_length_and_keeps_the_total(rows):
    length = np.array([float(steps) for steps, _ in rows])
    right = np.array([float(one) for _, one in rows])
    chance = falling_rates(length, right)
    order = np.argsort(length, kind="stable")
    assert (np.diff(chance[order]) <= 1e-9).all()
    assert chance.sum() == pytest.approx(right.sum())


def rule(steps: int = 2) -> TierStopLoss:
    point = StopPoint(measure="steps", at=Decimal(steps), n=40, resolved=1, further_usd=0.7)
    return TierStopLoss(
        system="s", value=Decimal(2), runs=240, repositories=8, points=(point,), why=""
    )


def attempt(tmp_path: Path, profile: TierStopLoss | None, budget: Budget | None = None, past=()):
    told = Told()
    loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
    context = told.context(past=past, stop_loss=profile.gives_up if profile else None)
    plays = [*[answer(LOOK)] * 3, answer(SUBMIT)][len(past) :]
    end = loop.solve(
        INSTANCE,
        PlayedModel(*plays),
        TempSandbox(tmp_path),
        budget or Budget(dollars=Decimal(9)),
        context,
    )
    return end, journaled([*past, *told.steps])


def differs(steps, end, profile: TierStopLoss | None):
    calm = setup(window=0, max_output_tokens=8192)
    rule_ = profile.gives_up if profile else None
    return recorded_attempt.recheck_attempt(
        SHEET, INSTANCE, steps, calm, recorded=end, stop_loss=rule_
    )


def test_an_attempt_is_given_up_at_the_point_and_says_what_is_known_of_such_runs(tmp_path):
    end, steps = attempt(tmp_path, rule())
    assert (end.exit, end.steps) == ("stop_loss", 2)
    assert end.why == (
        "stop-loss at 2 steps: 1 of 40 such runs that went on were resolved, for $0.70 more each"
    )
    assert differs(steps, end, rule()) == []


def test_without_a_file_nothing_is_given_up(tmp_path):
    end, steps = attempt(tmp_path, None)
    assert (end.exit, end.steps) == ("submitted", 4)
    assert differs(steps, end, None) == []


def test_a_point_by_money_is_held_against_what_was_spent(tmp_path):
    point = StopPoint(measure="usd", at=Decimal("0.02"), n=40, resolved=1, further_usd=0.7)
    end, _ = attempt(tmp_path, rule().model_copy(update={"points": (point,)}))
    assert (end.exit, end.usd) == ("stop_loss", Decimal("0.02"))
    assert end.why.startswith("stop-loss at $0.02")


def test_a_limit_of_the_attempt_is_named_before_the_stop_loss(tmp_path):
    end, _ = attempt(tmp_path, rule(), Budget(dollars=Decimal(9), steps=2))
    assert end.exit == "steps"


def test_a_resumed_attempt_is_given_up_at_the_same_step(tmp_path):
    _, steps = attempt(tmp_path / "one", rule())
    end, all_steps = attempt(tmp_path / "two", rule(), past=tuple(steps[:1]))
    assert (end.exit, end.steps, len(all_steps)) == ("stop_loss", 2, 2)


def test_a_replay_names_an_exit_that_the_rule_does_not_bear_out(tmp_path):
    end, steps = attempt(tmp_path / "one", rule())
    assert [d.where for d in differs(steps, end, None)] == ["exit"]
    assert [d.where for d in differs(steps, end, rule(3))] == ["exit"]
    bent = end.model_copy(update={"why": "felt like it"})
    assert [d.where for d in differs(steps, bent, rule())] == ["exit"]
    whole, four = attempt(tmp_path / "two", None)
    found_ = differs(four, whole, rule())
    assert [(d.where, d.recorded) for d in found_] == [("step 3 exit", "went on")]


def table(tmp_path: Path) -> Path:
    rows = tuple(
        OutcomeRow(f"{run.group.replace('/', '__')}-{k}", "weak-system", run.resolved, usd=run.usd,
            steps=run.steps)
        for k, run in enumerate(past())
    )  # fmt: skip
    write_table(OutcomeTable(rows, "t"), tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_the_command_writes_what_a_run_reads(tmp_path):
    shown = stop_loss_calibration.calibrate_stop_loss(
        table(tmp_path), 2.0, ["local=weak"], tmp_path / "out" / "stop.json"
    )
    known = stop_loss.read_profiles(str(tmp_path / "out" / "stop.json"), ["local", "cloud"])
    assert known["local"].points
    assert shown.facts["tiers"]["local"]["checked"]["net_usd"] > 0
    assert json.dumps(shown.facts)
    assert stop_loss.read_profiles("", ["local"]) == {}


@pytest.mark.parametrize(
    ("systems", "value", "said"),
    [
        (["local"], 2.0, "TIER=SYSTEM"),
        ([], 2.0, "TIER=SYSTEM"),
        (["local=nobody"], 2.0, "no system of the outcomes"),
        (["local=weak"], 0.0, "over 0"),
    ],
)
def test_a_bad_wish_is_one_line(tmp_path, systems, value, said):
    with pytest.raises(UsageError, match=said):
        stop_loss_calibration.calibrate_stop_loss(
            table(tmp_path), value, systems, tmp_path / "stop.json"
        )
    assert not (tmp_path / "stop.json").exists()


def test_a_file_that_is_none_is_refused_before_a_run_begins(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(UsageError, match="is no file of"):
        stop_loss.read_profiles(str(tmp_path / "x.json"), ["local"])
    with pytest.raises(UsageError, match="No such file"):
        stop_loss.read_profiles(str(tmp_path / "y.json"), ["local"])
    stop_loss_calibration.calibrate_stop_loss(
        table(tmp_path), 2.0, ["locl=weak"], tmp_path / "z.json"
    )
    with pytest.raises(UsageError, match="for tier 'locl'"):
        stop_loss.read_profiles(str(tmp_path / "z.json"), ["local"])


def test_a_run_keeps_the_rule_that_it_began_with_whatever_becomes_of_the_file(tmp_path):
    file = tmp_path / "stop.json"
    stop_loss_calibration.calibrate_stop_loss(table(tmp_path), 2.0, ["local=weak"], file)
    rules = stop_loss.read_profiles(str(file), ["local", "cloud"])
    known = load("demo")
    header = Header(known, known.digest(), {}, {}, "local", {}, 0.0, stop_loss=rules)
    run = RunFolder.create(tmp_path / "runs", "one", header.as_json(), ())
    file.unlink()
    again = header_of_run(run)
    local, cloud = again.ladder()
    assert again.stop_loss == rules
    assert is_unchanged(run)
    given_up = stop_loss.stop_loss_of_plan(again, local)
    assert given_up(1, Decimal(0)) == ""
    assert given_up(999, Decimal(0)).startswith("stop-loss at ")
    assert stop_loss.stop_loss_of_plan(again, cloud) is None
    text = run.settings_file.read_text()
    run.settings_file.write_text(text.replace(str(rules["local"].points[0].at), "7", 1))
    assert not is_unchanged(run), "a point that was moved is seen"
