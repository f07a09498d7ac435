"""Policies that look at runs, against the rules of their sources, on numbers worked by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.estimates.prediction.run_scorer import held_out_scores, run_scorer
from swe_router.estimates.prediction.training import make_training
from swe_router.policies.cascades import automix, cascade_routing, gate
from swe_router.records import Example, Stop
from swe_router.stats.rates import clopper_pearson_upper
from tests.doubles.lessons import TIERS, USD, examples, issue, run
from tests.doubles.project import outcome, verdict
from tests.unit.test_policies import LADDER, purse

PASS, FAIL = verdict("pass"), verdict("fail")


def many(count: int, wrong_passed: float, weak: float = 0.5) -> tuple[Example, ...]:
    """Issues over four repositories; the weak tier resolves a share, the strong one all."""
    made = []
    for n in range(count):
        right = n < weak * count
        passes = 1.0 if right else wrong_passed
        runs = {
            "weak": (run(right, 0.02, passes),),
            "mid": (run(n % 2 == 0, 0.2, float(n % 2 == 0)),),
            "strong": (run(True, 1.0, 1.0),),
        }
        features = issue(n).model_copy(update={"repo": f"o/r{n % 4}"})
        made.append(Example(features=features, runs=runs))
    return tuple(made)


def policy(name: str, past: Any = None, **knobs: Any) -> Any:
    made = plugins.load_plugin("policies", name)(LADDER, **knobs)
    return made.fitted(past or examples()) if hasattr(made, "fitted") else made


def after(made: Any, *history: Any, left: str = "100") -> str:
    move = made.decide(issue(0), history, purse(left))
    return (
        f"stop: {move.why}" if isinstance(move, Stop) else "+".join(p.arm.model for p in move.plans)
    )


@pytest.mark.parametrize(("accepted", "wrong"), [(0, 10), (3, 40), (30, 200)])
def test_the_bound_of_the_gate_is_clopper_and_pearson_s(accepted, wrong):
    known = binomtest(accepted, wrong).proportion_ci(confidence_level=0.9, method="exact").high
    assert clopper_pearson_upper(accepted, wrong, 0.05) == pytest.approx(known)
    assert clopper_pearson_upper(0, 0, 0.05) == 1.0
    assert clopper_pearson_upper(wrong, wrong, 0.05) == 1.0


def test_the_gate_accepts_nothing_that_few_wrong_patches_cannot_vouch_for():
    sure, few = many(80, 0.0), many(12, 0.0)
    assert "stop" in after(policy("conformal", sure), outcome("d", PASS))
    assert after(policy("conformal", sure), outcome("d", FAIL)) == "mid"
    said = policy("conformal", few).decide(issue(0), (outcome("d", PASS),), purse()).why
    assert "no gate for weak can be shown to hold" in said
    # 40 wrong patches of which none passes: at most 1 - .05^(1/40) = 7.2% false accepts.
    assert "stop" in after(policy("conformal", sure, alpha=0.075), outcome("d", PASS))
    assert after(policy("conformal", sure, alpha=0.07), outcome("d", PASS)) == "mid"
    assert "strongest" in after(policy("conformal", few), outcome("d", FAIL, tier="strong"))


def test_repeated_runs_of_an_issue_are_no_further_witnesses_for_a_gate():
    once = many(12, 0.0)
    again = [one.model_copy(update={"runs": {t: r * 20 for t, r in one.runs.items()}})
             for one in once]  # fmt: skip
    said = policy("conformal", again).decide(issue(0), (outcome("d", PASS),), purse()).why
    assert "no gate for weak can be shown to hold" in said, "120 wrong runs, 6 wrong issues"
    runs, _ = blind(again, "weak")
    shared, issues = gate.wrong_patch_weights(runs)
    assert (shared.sum(), len(issues)) == (pytest.approx(6), 6)
    # An issue that was half wrong still counts as one, by its wrong runs alone.
    mixed = replace(runs, right=np.where(np.arange(len(runs.right)) % 2, runs.right, 1.0))
    assert gate.wrong_patch_weights(mixed)[0].sum() == pytest.approx(6)


@pytest.mark.parametrize("repos", [1, 2])
def test_a_gate_of_fewer_repositories_than_a_bound_needs_accepts_nothing(repos):
    past = [one.model_copy(update={"features": one.features.model_copy(
        update={"repo": f"o/r{n % repos}"})}) for n, one in enumerate(many(80, 0.0))]  # fmt: skip
    assert after(policy("conformal", past), outcome("d", PASS)) == "mid"
    assert len(blind(past, "weak")[0].right) == (0 if repos == 1 else 80), "never in-sample"
    for name in ("frugalgpt", "automix"):
        assert after(policy(name, past), outcome("d", PASS)).startswith("stop"), name


def test_an_arm_that_one_fold_alone_was_tried_with_leaves_out_that_fold():
    past = [one if one.features.repo == "o/r0" else one.model_copy(
        update={"runs": {t: r for t, r in one.runs.items() if t != "mid"}})
        for one in many(80, 0.0)]  # fmt: skip
    assert len(blind(past, "weak")[0].right) == 60
    assert len(blind(past, "mid")[0].right) == 0
    assert "stop" in after(policy("conformal", past), outcome("d", PASS))
    said = policy("conformal", past).decide(issue(0), (outcome("d", PASS, tier="mid"),), purse())
    assert "no gate for mid" in said.why
    for name in ("frugalgpt", "automix"):
        after(policy(name, past), outcome("d", PASS))


def blind(past, arm):
    return held_out_scores(make_training(past, TIERS), arm)


def test_frugal_thresholds_earn_the_most_on_the_lessons():
    past = many(40, 0.0)
    made = policy("frugalgpt", past, value=10.0)
    assert "accepted" in after(made, outcome("d", PASS))
    assert after(made, outcome("d", FAIL)) == "mid"
    bars = made._thresholds(made.training)
    best = made._net_value(made.training, [bars["weak"], bars["mid"]])
    for weak in (0.0, 0.3, 0.6, 1.1):
        for mid in (0.0, 0.3, 0.6, 1.1):
            assert made._net_value(made.training, [weak, mid]) <= best + 1e-9
    # Nothing accepted before the top: 10 for the strong tier's success, less all three runs.
    assert made._net_value(made.training, [1.1, 1.1]) == pytest.approx(10 - 0.02 - 0.2 - 1.0)
    cheap = policy("frugalgpt", past, value=0.01)
    assert "accepted" in after(cheap, outcome("d", FAIL)), "no success is worth another run"


def test_a_frugal_tier_is_worth_what_its_accepted_runs_resolve_not_its_average_run():
    past = []
    for n in range(40):
        runs = {"weak": (run(True, 0.1, 1.0), run(False, 0.1, 0.0)),
                "mid": (run(False, 0.5, 0.0),), "strong": (run(False, 1.0, 1.0),)}  # fmt: skip
        features = issue(n).model_copy(update={"repo": f"o/r{n % 4}"})
        past.append(Example(features=features, runs=runs))
    made = policy("frugalgpt", past, value=2.0)
    _, scores = blind(past, "weak")
    between = (scores.min() + scores.max()) / 2
    # Half of weak's runs are accepted and all of these are right: 2 x .5; the rest climb in vain.
    assert made._net_value(made.training, [between, 1.1]) == pytest.approx(1 - 0.1 - 0.5 * 1.5)
    assert made._net_value(made.training, [0.0, 1.1]) == pytest.approx(1 - 0.1)


def test_automix_states_and_its_rule():
    rates = np.array([[1.0, 0], [0, 1], [0, 0], [0.5, 1]])
    later, paid = automix.later_tiers(rates, np.array([[0.2, 1.0]] * 4))
    assert later == pytest.approx([1, 1, 0, 1])
    assert paid == pytest.approx([0.2, 1.2, 1.2, 0.7])
    past = many(40, 0.0)
    made = policy("automix", past, bins=2, value=4.0)
    _, needy, price = made._table(made.training, 0)
    # 20 of 40 fail, and the strong tier resolves all: P(NEEDY) is 0 of 20 and 20 of 20, each bin
    # with two more issues of the average 0.5. Going on costs 0.2, and 1 more where mid fails.
    assert sorted(needy) == pytest.approx([1 / 22, 21 / 22])
    assert price == pytest.approx([0.7, 0.7])
    assert after(made, outcome("d", FAIL)) == "mid"  # 4 * .95 > .7
    assert "stop" in after(made, outcome("d", PASS))  # 4 * .045 < .7
    assert "stop" in after(policy("automix", past, bins=2, value=0.5), outcome("d", FAIL))


def test_the_best_of_several_normals_is_their_expected_maximum():
    held, mean, spread = 0.4, np.array([0.5, 0.3]), 0.2
    z = (mean - held) / spread
    alone = held + (mean - held) * norm.cdf(z) + spread * norm.pdf(z)
    found = cascade_routing.expected_best_quality(held, mean, spread)
    assert found[0] == pytest.approx(held)
    assert found[1:3] == pytest.approx(alone, abs=0.005)
    drawn = np.random.default_rng(0).normal(mean, spread, (200_000, 2)).max(axis=1)
    assert found[3] == pytest.approx(np.maximum(drawn, held).mean(), abs=0.005)
    assert cascade_routing.expected_best_quality(0.4, mean, 0.0) == pytest.approx(
        [0.4, 0.5, 0.4, 0.5]
    )


def test_cascade_routing_takes_the_set_that_is_worth_the_most_and_runs_its_cheapest():
    mean, usd = np.array([0.5, 0.52, 0.9]), np.array([0.02, 0.2, 1.0])
    chosen, gain = cascade_routing.best_set(0.0, mean, usd, 2.0, 0.0)
    assert (chosen, gain) == ([0], pytest.approx(0.98))
    assert cascade_routing.best_set(0.0, mean, usd, 4.0, 0.0)[0] == [2]
    assert cascade_routing.best_set(0.95, mean, usd, 4.0, 0.0)[0] == []
    made = policy("cascade-routing", many(40, 0.0), value=2.0)
    assert after(made) == "weak"
    assert "worth its price" in after(made, outcome("d", PASS))
    assert after(made, outcome("d", FAIL)) in {"mid", "strong"}


def test_what_a_run_came_to_corrects_the_other_tiers():
    made = policy("cascade-routing", many(200, 0.0))
    quality = np.array([0.5, 0.5, 0.9])
    # mid is right on every other issue whatever weak does: nothing to learn.
    assert made.corrected_quality(quality, 0, 0.0)[1] == pytest.approx(0.5, abs=0.02)
    assert made.corrected_quality(quality, 0, 1.0)[0] == pytest.approx(1.0, abs=0.02)
    assert made.corrected_quality(quality, 0, 0.0)[0] == pytest.approx(0.0, abs=0.02)


def test_routerbench_s_cascade_has_one_threshold_and_a_cap_on_an_issue_s_cost():
    past = many(40, 0.4)
    made = policy("routerbench-cascade", past, threshold=0.6)
    score = run_scorer(made.training).score(outcome("d", PASS))
    assert ("stop" in after(made, outcome("d", PASS))) == (score >= 0.6)
    strict = policy("routerbench-cascade", past, threshold=0.999)
    assert after(strict, outcome("d", PASS)) == "mid", "a verdict alone is not enough"
    capped = policy("routerbench-cascade", past, threshold=0.999, max_cost=0.19)
    assert "would go over $0.19" in after(capped, outcome("d", PASS))
    plain = plugins.load_plugin("policies", "cascade")(LADDER)
    assert "stop" in after(plain, outcome("d", PASS))


def test_a_climb_hands_in_the_patch_at_which_it_stopped():
    made = policy("frugalgpt", many(40, 0.0), value=10.0)
    weak, top = outcome("d", FAIL), outcome("d", FAIL, tier="strong", number=2)
    assert made.choose_among(issue(0), (weak, top)) == 1
    empty = outcome("", tier="strong", number=2)
    assert made.choose_among(issue(0), (weak, empty)) == 0


def test_the_blender_hands_in_the_candidate_with_the_most_pairwise_wins():
    made = policy("llm-blender", many(40, 0.2))
    history = (outcome("d", FAIL), outcome("d", PASS, tier="mid", number=2))
    chance = [run_scorer(made.training).score(one) for one in history]
    assert made.choose_among(issue(0), history) == int(np.argmax(chance))
    assert after(made) == "weak+mid+strong"
    assert after(made, left="1.5") == "weak+mid"
    assert "stop" in after(made, *history)


def test_best_of_k_makes_as_many_runs_as_the_money_lets_it():
    made = policy("best-of-k", k=4, tier="mid")
    assert after(made) == "mid+mid+mid+mid"
    assert after(made, left="2.5") == "mid+mid"
    assert "1 of 2" in after(made, outcome("d", PASS), outcome("d", FAIL, number=2))
    for name in ("best-of-k", "retry"):
        with pytest.raises(UsageError, match="did you mean 'strong'"):
            policy(name, tier="stong")


def test_retries_go_on_until_a_patch_is_accepted():
    again = policy("retry", tier="mid", times=2)
    assert after(again) == "mid"
    assert after(again, outcome("d", FAIL, tier="mid")) == "mid"
    assert "2 runs are all" in after(again, *[outcome("d", FAIL, tier="mid")] * 2)
    assert "accepted" in after(again, outcome("d", PASS, tier="mid"))
    strong = policy("strong-retry")
    assert [after(strong), after(strong, outcome("d", FAIL, tier="strong"))] == ["strong", "mid"]


def test_an_unknown_cost_is_never_nothing():
    past = [one.model_copy(update={"runs": {
        tier: tuple(r.model_copy(update={"usd": None if n % 2 else r.usd}) for r in runs)
        for tier, runs in one.runs.items()}}) for n, one in enumerate(examples())]  # fmt: skip
    lessons = make_training(past, TIERS)
    assert lessons.prices.min() > 0
    assert lessons.prices[1] == pytest.approx(np.nanmean(lessons.usd, axis=0))
    bare = [one.model_copy(update={"runs": {
        tier: tuple(r.model_copy(update={"usd": None}) for r in runs)
        for tier, runs in one.runs.items()}}) for one in past]  # fmt: skip
    assert set(USD) == set(TIERS)
    with pytest.raises(UsageError, match="needs costs"):
        policy("plug-in", bare)
