"""The leaderboard: what a row says, what it may not say, and what must not move it."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from swe_router.errors import UsageError
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.leaderboard.verifier_map import pair, verifier_map
from swe_router.outcomes.simulation import ladders, verifier_model
from swe_router.outcomes.simulation.stage import build_simulation
from swe_router.outcomes.tables.table import OutcomeTable
from swe_router.policies.cascade import Cascade
from tests.doubles.recorded import features, table

CHEAP = ("fixed", "random-mix", "zero-router", "cascade")
HYBRID = verifier_model.parse_verifier_model("hybrid")


def asked(**more) -> BoardRequest:
    return BoardRequest(
        **{
            "channel": HYBRID,
            "weak": "cheap",
            "strong": "strong",
            "policies": CHEAP,
            "bootstraps": 120,
            **more,
        }
    )


def rows_of(facts):
    return {row["policy"]: row for row in facts["rows"]}


@pytest.fixture(scope="module")
def known():
    return table()


@pytest.fixture(scope="module")
def facts(known):
    return leaderboard_rows(known, features(known), asked())


def test_a_cascade_row_is_the_closed_form_of_the_channel(known):
    gate_off = asked(
        channel=verifier_model.parse_verifier_model("tpr=.8,fpr=.25"), policies=("cascade",)
    )
    bare = [one.model_copy(update={"values": {}}) for one in features(known)]
    row = rows_of(leaderboard_rows(known, bare, gate_off))["cascade"]
    runs = {(r.instance_id, r.system): r for r in known.rows}
    weak = np.array([runs[(i, "cheap")].resolved for i in known.instances], dtype=float)
    strong = np.array([runs[(i, "strong")].resolved for i in known.instances], dtype=float)
    paid = np.array([runs[(i, "strong")].usd for i in known.instances])
    first = np.array([runs[(i, "cheap")].usd for i in known.instances])
    rate = (weak * 0.8 + weak * strong * 0.2 + (1 - weak) * strong * 0.75).mean()
    usd = (first + paid * (weak * 0.2 + (1 - weak) * 0.75)).mean()
    assert row["rate"] == pytest.approx(rate)
    assert row["usd_per_issue"] == pytest.approx(usd)


def test_every_row_has_the_fields_that_are_promised(facts):
    wanted = {"policy", "knobs", "n", "resolved", "rate", "rate_low", "rate_high", "usd",
              "usd_per_issue", "usd_low", "usd_high", "hull_margin_pp", "hull_margin_low",
              "hull_margin_high", "on_pareto_probability", "verdict"}  # fmt: skip
    for row in facts["rows"]:
        assert wanted <= set(row)
        assert isinstance(row["n"], int)
        assert row["usd_low"] <= row["usd"] <= row["usd_high"]
        assert row["rate_low"] <= row["rate"] <= row["rate_high"]
        assert row["hull_margin_low"] <= row["hull_margin_pp"] <= row["hull_margin_high"]
    assert {"aiq", "apgr"} <= set(rows_of(facts)["cascade"])


def test_a_blind_mix_lies_on_the_hull_and_is_said_to(facts):
    row = rows_of(facts)["random-mix"]
    assert row["hull_margin_pp"] == pytest.approx(0, abs=1e-6)
    assert row["verdict"] == "not distinguishable from a random mix"
    assert row["apgr"] == pytest.approx(0.5)


def test_two_policies_that_decide_alike_are_one(facts):
    assert rows_of(facts)["zero-router"]["verdict"] == "same as random-mix"


def test_oracles_bound_every_row_and_the_abandoning_one_is_cheaper(known):
    rows = rows_of(
        leaderboard_rows(
            known, features(known), asked(channel=verifier_model.parse_verifier_model("perfect"))
        )
    )
    top, least = rows["oracle"], rows["oracle-abandon"]
    for row in rows.values():
        assert row["rate"] <= top["rate"] + 1e-12
        assert row.get("regret", 0) >= 0
        assert row.get("regret_abandon", 0) >= row.get("regret", 0)
    assert least["usd"] < top["usd"] < rows["cascade"]["usd"]


def test_repeats_are_real_or_the_row_is_unavailable(known):
    once = rows_of(leaderboard_rows(known, features(known), asked(policies=("retry",))))["retry"]
    assert once["verdict"].startswith("unavailable: needs real repeats")
    assert once["rate"] is None
    twice = table(repeats=2)
    rows = rows_of(leaderboard_rows(twice, features(twice), asked(policies=("retry",))))
    assert rows["retry"]["rate"] <= rows["oracle"]["rate"]


def test_without_texts_nothing_is_guessed_from_an_empty_one(known):
    names = ("cascade", "doc-6.2", "ration", "doc-a4")
    rows = rows_of(leaderboard_rows(known, [], asked(policies=names)))
    assert rows["doc-6.2"]["verdict"].startswith("unavailable: needs issue texts")
    assert rows["doc-a4"]["verdict"].startswith("unavailable: needs issue texts")
    assert rows["cascade"]["rate"] is not None
    assert rows["ration"]["rate"] is not None


def test_a_stand_in_says_so_and_shows_its_figures(known):
    name = f"{__name__}:StandIn"
    row = rows_of(leaderboard_rows(known, features(known), asked(policies=(name,))))[name]
    assert row["verdict"] == "surrogate: dice for a model"
    assert row["rate"] is not None


class StandIn(Cascade):
    """A policy whose model is not there."""

    surrogate = "dice for a model"


def test_a_gold_feature_is_refused(known):
    leaky = [one.model_copy(update={"values": {"files": 1.0}, "provenance": {"files": "gold"}})
             for one in features(known)]  # fmt: skip
    with pytest.raises(UsageError, match="gold"):
        leaderboard_rows(known, leaky, asked())


def test_a_plugin_that_breaks_costs_its_own_row_only(known):
    said, name = [], f"{__name__}:Broken"
    rows = rows_of(
        leaderboard_rows(known, features(known), asked(policies=("cascade", name)), said.append)
    )
    assert "it broke: ZeroDivisionError" in rows[name]["verdict"]
    assert rows["cascade"]["rate"] is not None
    assert said


class Broken(Cascade):
    """A policy of someone's with a fault."""

    def __init__(self, ladder, **knobs):
        raise ZeroDivisionError("division by zero")


def test_no_world_spends_more_than_a_hard_cap(known):
    capped = asked(policies=("fixed", "ration", "cascade"), budget=Decimal(8), replicates=4)
    facts = leaderboard_rows(known, features(known), capped)
    rows = rows_of(facts)
    for row in rows.values():
        assert row.get("most_spent") is None or row["most_spent"] <= 8 + 1e-9
    assert rows["ration"]["rate"] > rows["cascade"]["rate"]
    assert any("hard cap: $8" in line for line in facts["assumptions"])


MOVES = ("rate", "usd_per_issue", "hull_margin_pp", "hull_margin_low", "hull_margin_high", "aiq",
         "apgr", "verdict", "on_pareto_probability")  # fmt: skip


def figures(facts, *names):
    return {row["policy"]: [row.get(n) for n in names or MOVES] for row in facts["rows"]}


def test_the_order_of_rows_and_issues_moves_nothing(known, facts):
    rng = np.random.default_rng(5)
    shuffled = OutcomeTable(tuple(known.rows[i] for i in rng.permutation(len(known.rows))), "x")
    issues = features(known)
    moved = leaderboard_rows(shuffled, [issues[i] for i in rng.permutation(len(issues))], asked())
    assert figures(moved) == figures(facts)


def test_other_names_of_the_systems_move_only_the_names(known, facts):
    names = {"cheap": "zeta", "middle": "beta", "strong": "alpha"}
    other = replace(known, rows=tuple(replace(r, system=names[r.system]) for r in known.rows))
    moved = figures(leaderboard_rows(other, features(known), asked(weak="zeta", strong="alpha")))
    there = figures(facts)
    assert moved["cascade"] == there["cascade"]
    assert moved["always-zeta"] == there["always-cheap"]
    assert moved["oracle"] == there["oracle"]


def test_other_prices_scale_the_dollars_and_nothing_else(known, facts):
    dear = replace(known, rows=tuple(replace(r, usd=8 * r.usd) for r in known.rows))
    moved = leaderboard_rows(dear, features(known), asked())
    still = ("rate", "hull_margin_pp", "hull_margin_low", "apgr", "aiq", "verdict", "pgr",
             "strong_calls", "p", "cpt50_cost", "ibc", "cost_save", "router_arena")  # fmt: skip
    for name, values in figures(moved, *still).items():
        for value, before in zip(values, figures(facts, *still)[name], strict=True):
            assert value == (before if isinstance(before, str | None) else pytest.approx(before))
    usd = {name: 8 * values[0] for name, values in figures(facts, "usd_high").items()}
    assert {n: v[0] for n, v in figures(moved, "usd_high").items()} == pytest.approx(usd)


def test_a_dominated_system_in_the_ladder_leaves_the_hull_where_it_was(known):
    more = table(worse=(0.3, 0.9))
    three = asked(weak="", strong="", models=("cheap", "strong"))
    four = replace(three, models=("cheap", "strong", "worse"))
    names = ("random-mix", "fixed")
    a = rows_of(leaderboard_rows(more, features(more), replace(three, policies=names)))
    b = rows_of(leaderboard_rows(more, features(more), replace(four, policies=names)))
    for name in ("always-cheap", "always-strong"):
        for key in ("rate", "usd", "hull_margin_pp", "hull_margin_high", "pgr", "verdict"):
            assert a[name][key] == pytest.approx(b[name][key]), key
    assert b["always-worse"]["verdict"] == "below hull"
    assert b["oracle"]["rate"] >= a["oracle"]["rate"]


def test_an_unnamed_ladder_is_the_hull_of_the_table(known):
    assert ladders.ladder(known, known.instances)[0] == "cheap"
    assert 2 <= len(ladders.ladder(known, known.instances)) <= 4
    lone = table(star=(1.0, 0.001))
    found = ladders.ladder(lone, lone.instances)
    assert found[0] == "star"
    assert len(found) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [({"weak": "cheap"}, "--weak A --strong B"), ({"models": ["cheap"]}, "needs two"),
     ({"weak": "cheap", "strong": "cheap"}, "are both"), ({"models": ["nobody"]}, "no system")],
)  # fmt: skip
def test_a_ladder_that_cannot_be_is_said_in_words(known, given, said):
    with pytest.raises(UsageError, match=said):
        ladders.ladder(known, known.instances, **given)


def test_the_map_tells_where_a_cascade_pays(known):
    found = verifier_map(build_simulation(known, ["cheap", "strong"], features(known), HYBRID),
                         "cheap", "strong")  # fmt: skip
    bars = [bar for bar in found["strong_fpr"] if bar is not None]
    assert found["strong_fpr"][-1] == max(bars)
    two = pair(
        build_simulation(known, ["cheap", "strong"], features(known), HYBRID), "cheap", "strong"
    )
    rate, _ = two.cascade(1.0, found["strong_fpr"][-1])
    assert rate >= two.strong.mean() - 1e-9
    worse, _ = two.cascade(1.0, found["strong_fpr"][-1] + 0.01)
    assert worse < two.strong.mean()
    assert found["verifier"]["measured"] is False


def test_a_recorded_verifier_is_measured_with_its_intervals(known):
    judged = replace(known, rows=tuple(
        replace(r, verdict="pass" if r.resolved or k % 3 == 0 else "fail")
        for k, r in enumerate(known.rows)))  # fmt: skip
    where = build_simulation(
        judged,
        ["cheap", "strong"],
        features(known),
        verifier_model.parse_verifier_model("recorded"),
    )
    here = verifier_map(where, "cheap", "strong")["verifier"]
    assert here["measured"]
    assert here["tpr"] == 1
    assert here["fpr_low"] < here["fpr"] < here["fpr_high"]


def test_a_random_fold_figure_stands_beside_a_learned_row(known):
    row = rows_of(
        leaderboard_rows(known, features(known), asked(policies=("zero-router",), random_cv=True))
    )
    assert 0 < row["zero-router"]["rate_random_cv"] < 1
