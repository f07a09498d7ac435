"""Single-shot policies against the formulas of their sources, on numbers that a hand can follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.estimates.prediction.training import make_training
from swe_router.policies.bandits import qcopt
from swe_router.policies.predicted import hybrid_llm, llmrank, routellm
from swe_router.policies.rules import abstaining
from swe_router.records import Features, RunRecord, Stop
from tests.doubles.lessons import TIERS, example, examples, issue, run
from tests.doubles.project import INSTANCE, outcome, verdict
from tests.unit.test_policies import LADDER, purse


def policy(name: str, ladder: Any = LADDER, **knobs: Any) -> Any:
    made = plugins.load_plugin("policies", name)(ladder, **knobs)
    return made.fitted(examples()) if hasattr(made, "fitted") else made


def first(made: Any, features: Features) -> str:
    move = made.decide(features, (), purse())
    return "stop" if isinstance(move, Stop) else str(move.plans[0].arm)


def test_a_battle_weighs_ten_times_ten_to_its_share_of_the_highest_cosine():
    weights = routellm.similarity_weights(np.array([[0.4, 0.2, 0.0, -0.4], [-0.5, -0.1, 0, 0]]))
    assert weights[0] == pytest.approx([100, 10 * 10**0.5, 10, 1])
    assert weights[1] == pytest.approx([10, 10, 10, 10])  # no cosine is over 0: all alike


def test_the_ranking_of_all_tiers_is_the_weighted_logistic_regression_of_the_source():
    wins = np.array([[[0, 3.0, 1], [5, 0, 2.5], [7, 4, 0]], [[0, 1, 0], [1, 0, 2], [0, 2, 0]]])
    strength = routellm.bradley_terry(wins)
    rows, weights = [], []
    for i in range(3):
        for j in range(3):
            if wins[0, i, j]:
                x = np.zeros(3)
                x[i], x[j] = 1, -1
                rows += [x, -x]
                weights += [wins[0, i, j]] * 2
    model = LogisticRegression(fit_intercept=False, C=1e9, tol=1e-9, max_iter=1000)
    model.fit(np.array(rows), [1, 0] * (len(rows) // 2), sample_weight=weights)
    other = model.coef_[0] - model.coef_[0].mean()
    assert strength[0] == pytest.approx(other, abs=1e-4)
    assert strength[1] == pytest.approx([0, 0, 0], abs=1e-9)
    two = routellm.bradley_terry(np.array([[[0, 1.0], [3, 0]]]))[0]
    assert expit(two[1] - two[0]) == pytest.approx(0.75)
    elo = 400 / math.log(10) * two
    assert 1 - 1 / (1 + 10 ** ((elo[1] - elo[0]) / 400)) == pytest.approx(0.75)


def test_an_issue_on_which_a_tier_was_not_tried_is_no_battle():
    odd = example(0, "1", tiers=("weak",)), example(1, "01", tiers=("weak", "mid"))
    lessons = make_training((*odd, example(2, "011")), TIERS)
    assert routellm.win_share(lessons, 1, 0).tolist() == [0, 1, 1]
    assert routellm.win_share(lessons, 0, 1).tolist() == [0, 0, 0]


def test_the_factorisation_is_bilinear_in_unit_model_vectors_and_learns_the_battles():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 4))
    winner = np.where(rows[:, 0] > 0, 0, 1)
    fit = routellm.fit_bilinear(rows, winner, 1 - winner, 3, 4)
    q, v = rows[7], fit.models / np.linalg.norm(fit.models, axis=1, keepdims=True)
    by_hand = [float(fit.head @ (v[m] * (fit.projection @ q))) for m in range(3)]
    assert fit.delta(rows[7:8])[0] == pytest.approx(by_hand)
    delta = fit.delta(rows)
    assert ((delta[:, 0] > delta[:, 1]) == (winner == 0)).mean() > 0.95


def test_three_classes_are_told_apart_and_a_tie_is_no_win():
    x = np.array([[1.0, 0], [1.1, 0], [0, 1], [0, 1.1], [-1, -1], [-1.1, -1]])
    labels = np.eye(3)[[2, 2, 1, 1, 0, 0]]
    chance = routellm.last_class_model(x, labels)(x)
    assert chance[:2].min() > 0.4 > chance[2:].max()
    assert routellm.last_class_model(x, np.eye(3)[[1] * 6])(x).tolist() == [0.0] * 6


def test_hybrid_llm_labels_are_those_of_the_paper():
    said = (([1, 0], [1, 1]), ([0, 0], [0, 0]), ([1, 1], [0, 1]), ([0, 0], [1, 1]))
    runs = [(np.array(low, float), np.array(high, float)) for low, high in said]
    assert hybrid_llm.no_worse_rates(runs, 0).tolist() == [0.5, 1, 1, 0]
    det = plugins.load_plugin("policies", "hybrid-llm-det")(LADDER)
    assert det.labels(runs).tolist() == [1, 1, 1, 0]
    graded = [(np.array([low]), np.array([high]))
              for low, high in ((0, 0.5), (0, 0.5), (0, 1), (0.5, 1), (0, 1), (1, 1))]  # fmt: skip
    # t = 0: one label of six is 1 (10/36); t = 0.5: four (16/36); t = 1: all.
    assert hybrid_llm.best_shift(graded) == 0.5
    assert hybrid_llm.no_worse_rates(graded, 0.5).tolist() == [1, 1, 0, 1, 0, 1]
    assert hybrid_llm.pair_means(np.array([1.0, 0, 0])).tolist() == [0.5, 0.5, 0]


def test_hybrid_llm_asks_for_real_repeats_of_both_tiers():
    for name in ("hybrid-llm-prob", "hybrid-llm-trans"):
        bare = plugins.load_plugin("policies", name)(LADDER)
        with pytest.raises(UsageError, match="needs real repeats"):
            bare.fitted(examples())
        assert first(bare.fitted(examples(repeats=3)), issue(0)) in TIERS


def test_a_share_is_the_share_of_issues_that_leave_each_tier():
    assert {first(policy("threshold", share=0), e.features) for e in examples()} == {"weak"}
    assert {first(policy("threshold", share=1), e.features) for e in examples()} == {"strong"}


def test_utility_is_value_times_quality_less_cost():
    plug = policy("plug-in", value=2.0)
    row = np.array([0.2, 0.5, 0.6, 0.02, 0.2, 1.0])
    assert plug.utilities(row) == pytest.approx([0.38, 0.8, 0.2])
    assert plug.choose(issue(0), purse()).rung == int(
        np.argmax(plug.utilities(plug.prediction(issue(0))))
    )


def test_knn_is_the_mean_of_the_nearest():
    from swe_router.estimates.prediction.estimators import quality_by_neighbours

    known = make_training(examples(), TIERS)
    same = quality_by_neighbours(known, 2)([known.features[0], known.features[4]])
    cosine = routellm.training_vectors(known)[0] @ routellm.training_vectors(known).T
    nearest = np.argsort(-cosine)[:2]
    assert same[0] == pytest.approx(known.resolved[nearest].mean(axis=0))
    whole = quality_by_neighbours(known, 99)([issue(3)])[0]
    assert whole == pytest.approx(known.resolved.mean(axis=0))


def test_avengers_weigh_normalised_accuracy_and_cheapness_over_near_clusters():
    from swe_router.estimates.prediction.estimators import text_clusters

    made = policy("avengers-pro", alpha=0.6, k=3, p=2, beta=9)
    known = text_clusters(made.training, 3)
    near, gaps = known.near([issue(20)], 2)
    total = np.zeros(3)
    for cluster, weight in zip(near[0], softmax(-9 * gaps[0]), strict=True):
        rate, usd = known.rate[cluster], known.usd[cluster]
        accuracy = (rate - rate.min()) / (rate.max() - rate.min())
        total += weight * (0.6 * accuracy + 0.4 * (1 - usd / usd.max()))
    assert made.predict(made.training, [issue(20)])[0] == pytest.approx(total)


def test_ori_takes_the_best_of_the_nearest_cluster():
    from swe_router.estimates.prediction.estimators import text_clusters

    made = policy("ori", k=3, value=1000.0)
    known = text_clusters(made.training, 3)
    for one in made.training.features:
        nearest = known.near([one], 1)[0][0, 0]
        assert (
            first(made, one)
            == TIERS[int(np.argmax(1000 * known.rate[nearest] - known.usd[nearest]))]
        )


def test_llmrank_fits_utilities_pointwise_and_listwise():
    rate, usd = np.array([[1.0, 1, 1], [0, 1, 1]]), np.array([[0.1, 0.2, 0.6], [0.1, 0.2, 0.6]])
    assert llmrank.scaled_utility(rate, usd, 2.0) == pytest.approx(rate - 2 * usd)
    huge = llmrank.scaled_utility(rate, usd, 1e5)
    assert huge.argmax(axis=1).tolist() == [0, 0]
    assert huge[0] == pytest.approx((1 - 1e5 * usd[0]) / 3e4)
    alone = llmrank.fit_score_weights(np.ones((2, 1)), np.array([[1.0, 0, -1]] * 2))[0]
    assert alone == pytest.approx([1, 0, -1], abs=1e-4)  # both losses are 0 there
    assert first(policy("llmrank", cost_weight=1e5), issue(1)) == "weak"


def test_ipr_takes_the_cheapest_within_the_tolerance():
    made = policy("ipr", tolerance=0.2)
    rates = made.prediction(issue(4))
    good = [tier for tier, rate in zip(TIERS, rates, strict=True) if rate >= 0.8 * rates.max()]
    assert first(made, issue(4)) == good[0]


def test_the_linear_program_has_one_fractional_issue_and_holds_its_budget():
    rng = np.random.default_rng(0)
    quality = np.sort(rng.random((40, 3)), axis=1)
    usd = np.sort(rng.random((40, 3)), axis=1) + 0.01
    for budget in usd.min(axis=1).sum() + np.array([0.5, 4.0, 12.0]):
        shares, price = qcopt.solve_program(quality, usd, budget)
        assert ((shares > 1e-9) & (shares < 1 - 1e-9)).any(axis=1).sum() <= 1
        rungs = qcopt.rounded_rungs(shares, usd).astype(int)
        assert usd[np.arange(40), rungs].sum() <= budget
        lost = (quality * shares).sum() - quality[np.arange(40), rungs].sum()
        assert 0 <= lost <= 1
        by_price = [
            qcopt.best_rung_at_price(q, c, price) for q, c in zip(quality, usd, strict=True)
        ]
        assert (np.array(by_price) != rungs).sum() <= 1
    assert (
        qcopt.solve_program(quality, usd, 0.1)[0].argmax(axis=1).tolist()
        == usd.argmin(axis=1).tolist()
    )


def test_qc_opt_gives_the_tied_issues_what_the_program_gave_them():
    batch = [Features(instance_id=f"i{n}", repo="o/x", text="same", values={"words": 3.0,
             "complexity": 2.0}) for n in range(10)]  # fmt: skip
    made = policy("qc-opt", usd_per_issue=0.1)
    from swe_router.records import Budget

    made = made.prepare(batch, Budget(dollars=3))
    went = [first(made, one) for one in batch]
    assert len(set(went)) > 1, "all alike, yet the budget pays more for some of them"
    again = plugins.load_plugin("policies", "qc-opt")(LADDER, usd_per_issue=0.1).fitted(examples())
    again = again.restored(made.state())
    assert [first(again, one) for one in batch] == went


def test_the_top_exemplars_are_of_all_routes_together():
    cosine = np.array([[0.9, 0.2, 0.5, 0.6, 0.1, 0.99]])
    labels = np.array([0, 0, 1, 1, 2, np.nan])
    scores = abstaining.route_scores(cosine, labels, 3, 3, "mean")[0]
    assert scores == pytest.approx([0.9, 0.55, -1])
    assert abstaining.route_scores(cosine, labels, 3, 4, "mean")[0] == pytest.approx(
        [0.55, 0.55, -1]
    )
    assert abstaining.route_scores(cosine, labels, 3, 4, "sum")[0] == pytest.approx([1.1, 1.1, -1])
    assert abstaining.route_scores(cosine, labels, 3, 4, "max")[0] == pytest.approx([0.9, 0.6, -1])


@pytest.mark.parametrize("name", ["semantic-router", "wide-mlp"])
def test_a_stranger_is_left_to_the_cascade(name):
    made = policy(name, threshold=0.3)
    stranger = issue(77, "zzz qqq completely foreign tongue")
    move = made.decide(stranger, (), purse())
    assert "abstains" in move.why
    assert move.plans[0].arm.model == "weak"
    assert (
        made.decide(stranger, (outcome("d", verdict("fail")),), purse()).plans[0].arm.model == "mid"
    )
    known = made.training.features[0]
    assert "abstains" not in made.decide(known, (), purse()).why


def test_the_zero_router_mixes_the_two_hull_points_around_its_spend():
    usd = dict(zip(TIERS, (0.1, 0.3, 1.1), strict=True))
    solved = {"weak": 2, "mid": 3, "strong": 8}  # of 10: mid lies under the hull
    past = [example(n, "".join("1" if n < solved[t] else "0" for t in TIERS)) for n in range(10)]
    past = [one.model_copy(update={"runs": {t: (run(r[0].resolved, usd[t]),)
            for t, r in one.runs.items()}}) for one in past]  # fmt: skip
    made = plugins.load_plugin("policies", "zero-router")(LADDER, spend=0.25).fitted(past)
    assert made.shares() == pytest.approx((0.75, 0, 0.25))


def test_pickllm_moves_its_weights_by_the_rules_of_its_two_learners():
    ran = outcome("d", verdict("pass"), tier="mid")
    record = RunRecord(run="r", instance=INSTANCE, features=issue(0), decisions=(),
                       outcomes=(ran,), status="candidate")  # fmt: skip
    reward = 1 - 0.3 * float(ran.attempt.trajectory.usd)
    automaton = policy("pickllm-automaton", rate=0.5).restored({"weights": [0.2, 0.3, 0.5]})
    step = 0.5 * reward
    assert automaton.update(record).weights == pytest.approx(
        (0.2 * (1 - step), 0.3 + 0.7 * step, 0.5 * (1 - step))
    )
    learner = policy("pickllm-q", rate=0.5).restored({"weights": [0.2, 0.3, 0.5]})
    assert learner.update(record).weights == pytest.approx((0.2, 0.3 + 0.5 * (reward - 0.3), 0.5))
    failed = record.model_copy(update={"outcomes": (outcome("d", verdict("fail"), tier="mid"),)})
    assert automaton.update(failed).weights == pytest.approx((0.2, 0.3, 0.5))  # inaction
    greedy = policy("pickllm-q", explore=0).restored({"weights": [0.2, 0.9, 0.5]})
    assert first(greedy, issue(1)) == "mid"


def test_mixllm_takes_the_best_upper_bound_and_learns_from_verdicts():
    made = policy("mixllm", value=2.0, bonus=1.0, rate=0.5)
    mean, spread, usd = np.split(made.prediction(issue(5)), 3)
    hope = np.clip(mean + spread, 0, 1)
    assert first(made, issue(5)) == TIERS[int(np.argmax(2 * hope - usd))]
    failed = (outcome("d", verdict("fail"), tier="mid"),)
    record = RunRecord(run="r", instance=INSTANCE, features=issue(5), decisions=(),
                       outcomes=failed, status="candidate")  # fmt: skip
    shifts = made.update(record).state()["shifts"]
    assert shifts == pytest.approx([0, 0.5 * (0 - mean[1]), 0])


def test_a_rating_stays_where_the_weak_tier_did_well_at_it():
    past = []
    for number in range(12):
        rating = 5.0 if number % 2 else 1.0
        made = example(number, "111" if number % 2 else "001")
        features = issue(number, **{routellm.RATING_FEATURE: rating})
        past.append(made.model_copy(update={"features": features}))
    fitted = plugins.load_plugin("policies", "routellm-causal")(LADDER).fitted(past)
    assert first(fitted, issue(40, **{routellm.RATING_FEATURE: 5.0})) == "weak"
    assert first(fitted, issue(40, **{routellm.RATING_FEATURE: 1.0})) == "strong"
