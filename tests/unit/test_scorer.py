"""The verifiers' probability as an observation: it counts where it is known, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import plugins
from swe_router.estimates.prediction.run_scorer import observation_of, run_scorer, weighted_runs
from swe_router.estimates.prediction.training import Training
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.simulation.stage import build_simulation
from swe_router.outcomes.tables.table import OutcomeTable, read_tidy_table, write_table
from swe_router.policies.cascade import Cascade
from swe_router.records import ACCEPTANCE, Example
from tests.doubles.lessons import TIERS, issue, run
from tests.doubles.project import outcome, verdict
from tests.doubles.recorded import features, table
from tests.unit.test_policies import LADDER, purse

CHANCES = st.lists(st.none() | st.floats(0, 1), min_size=24, max_size=24)


def lessons(chances, arms=TIERS, passes=None) -> Training:
    """24 issues over four repositories, every other one solved, with a P(right) each."""
    made = []
    for n, chance in enumerate(chances):
        one = run(n % 2 == 0, 0.1 + 0.01 * (n % 7), passes, steps=10 + n % 5)
        told = one.model_copy(update={"probability": chance})
        where = issue(n).model_copy(update={"repo": f"o/r{n % 4}"})
        made.append(Example(features=where, runs=dict.fromkeys(arms, (told,))))
    return Training(tuple(made), tuple(arms))


def seen(known: Training, chance: float | None, said: str = "fail", arm: str = "weak") -> float:
    judged = verdict(said, ACCEPTANCE).model_copy(update={"score": chance})
    return run_scorer(known).score(outcome("d", judged, tier=arm))


@given(chances=CHANCES, one=st.floats(0, 1), other=st.floats(0, 1))
def test_a_likelier_patch_never_scores_lower(chances, one, other):
    known = lessons(chances)
    low, high = sorted((one, other))
    assert seen(known, low) <= seen(known, high) + 1e-12


@given(constant=st.floats(0, 1), chance=st.none() | st.floats(0, 1))
def test_a_probability_that_is_always_the_same_tells_nothing(constant, chance):
    bare, flat = lessons([None] * 24), lessons([constant] * 24)
    assert seen(flat, chance) == pytest.approx(seen(bare, None), abs=1e-9)


@given(chance=st.floats(0, 1))
def test_what_the_lessons_do_not_know_is_not_used_of_a_run(chance):
    bare = lessons([None] * 24)
    assert seen(bare, chance) == seen(bare, None)


@given(chances=CHANCES)
def test_names_mean_nothing(chances):
    other = ("c", "a", "b")
    known, renamed = lessons(chances), lessons(chances, other)
    for arm, name in zip(TIERS, other, strict=True):
        assert seen(known, 0.3, arm=arm) == pytest.approx(seen(renamed, 0.3, arm=name))


def test_what_is_unknown_stays_unknown():
    assert np.isnan(observation_of(outcome("d", verdict("fail")))[3])
    x = weighted_runs(lessons([None, 0.0] * 12), "weak").x
    assert np.isnan(x[:, 3]).any()
    assert not np.isnan(x[:, 3]).all()
    informed = lessons([0.9 if n % 2 == 0 else 0.1 for n in range(24)], passes=0.5)
    middle = seen(informed, None)
    assert seen(informed, 0.01) < middle < seen(informed, 0.99)


def test_an_informative_probability_is_listened_to_by_every_policy_that_scores_runs():
    informed = lessons([0.95 if n % 2 == 0 else 0.05 for n in range(24)], passes=0.5)
    for name in ("frugalgpt", "automix", "routerbench-cascade", "llm-blender", "conformal",
                 "cascade-routing"):  # fmt: skip
        made = plugins.load_plugin("policies", name)(LADDER).fitted(informed.examples)
        scores = [run_scorer(made.training).score(weighed(chance)) for chance in (0.02, 0.98)]
        assert scores[0] < 0.4 < 0.6 < scores[1], name
    made = plugins.load_plugin("policies", "routerbench-cascade")(LADDER).fitted(informed.examples)
    moves = [made.decide(issue(0), (weighed(c),), purse()).kind for c in (0.02, 0.98)]
    assert moves == ["try", "stop"]
    pair = (weighed(0.98), weighed(0.02, tier="mid", number=2))
    blender = plugins.load_plugin("policies", "llm-blender")(LADDER).fitted(informed.examples)
    assert blender.choose_among(issue(0), pair) == 0


def weighed(chance: float, **fields):
    said = verdict("unknown", ACCEPTANCE).model_copy(update={"score": chance})
    return outcome("d", said, **fields)


def probable(known: OutcomeTable) -> OutcomeTable:
    rows = (replace(r, verdict="pass" if r.resolved else "fail",
                    probability=0.8 if r.resolved else 0.3) for r in known.rows)  # fmt: skip
    return OutcomeTable(tuple(rows), known.source)


def test_a_replay_shows_recorded_probabilities_with_recorded_verdicts_only(tmp_path):
    write_table(probable(table(n=8)), tmp_path / "t.csv.gz")
    known = read_tidy_table(tmp_path / "t.csv.gz")
    told = features(known)
    on = build_simulation(
        known, ["cheap", "strong"], told, verifier_model.parse_verifier_model("recorded")
    )
    chances = {cell.refused.probability for cell in on.cells.values()}
    assert chances == {0.8, 0.3}
    assert {run.probability for e in on.examples for runs in e.runs.values() for run in runs} == {
        0.8, 0.3}  # fmt: skip
    drawn = build_simulation(
        known, ["cheap", "strong"], told, verifier_model.parse_verifier_model("hybrid")
    )
    assert {cell.refused.probability for cell in drawn.cells.values()} == {None}


def test_a_cascade_decides_alike_with_and_without_recorded_probabilities():
    known = probable(table(n=20))
    bare = OutcomeTable(tuple(replace(r, probability=None) for r in known.rows), known.source)
    asked = BoardRequest(
        verifier_model.parse_verifier_model("recorded"),
        weak="cheap",
        strong="strong",
        policies=("cascade",),
        bootstraps=100,
    )
    one, two = (leaderboard_rows(t, features(t), asked)["rows"] for t in (known, bare))
    assert [(r["policy"], r["rate"], r["usd"]) for r in one] == [
        (r["policy"], r["rate"], r["usd"]) for r in two
    ]


def test_the_hopeless_rule_is_the_same_live_and_replayed():
    known = probable(table(n=20))
    on = build_simulation(
        known, ["cheap", "strong"], features(known), verifier_model.parse_verifier_model("recorded")
    )
    policy = Cascade(on.ladder, value=1.0, costs={"strong": "0.25"})
    cell = next(c for c in on.cells.values() if not c.resolved and c.row.system == "cheap")
    assert policy.decide(on.features[0], (cell.refused,), purse()).kind == "try"  # .385 x .7 = .27
    dear = Cascade(on.ladder, value=1.0, costs={"strong": "0.28"})
    assert dear.decide(on.features[0], (cell.refused,), purse()).why.startswith("HOPELESS")
