"""Weighing: what raises and lowers a probability, where the threshold lies, what is not claimed."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from swe_router.errors import UsageError
from swe_router.estimates import acceptance, bounds, signed, weighing
from swe_router.estimates.bounds import Held
from swe_router.estimates.calibration import Calibration, Weights, load, parsed
from swe_router.records import Verdict
from swe_router.seams import Kit
from swe_router.settings import VerifySettings
from swe_router.verifiers.acceptance import Acceptance
from tests.doubles.project import INSTANCE, Project, outcome, verdict

PATCH = "--- a/calc.py\n+++ b/calc.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
KIT = Kit(open_sandbox=lambda instance: None, apply=lambda box, patch: None)  # type: ignore[arg-type, return-value]
SHIPPED = load("shipped")
assert SHIPPED is not None


def existing(broken: int = 0, kept: int = 5) -> Verdict:
    counts = {"broken": broken, "still_pass": kept, "passed_before": kept + broken}
    return verdict("fail" if broken else "pass" if kept else "unknown", "repo-tests", counts=counts)


def reproduction(*results: str, source: str = "written", own: bool = False) -> Verdict:
    tests = {
        f"t{n}": {"source": source, "by": f"m{n}", "own": own, "after": after}
        for n, after in enumerate(results)
    }
    return verdict("unknown", "reproduction", tests=tests)


def weighed(*said: Verdict, **fields: Any) -> Verdict:
    return Acceptance(VerifySettings(**fields)).verify(outcome(PATCH, *said), (), INSTANCE, KIT)


def p(*said: Verdict) -> float:
    score = weighed(*said).score
    assert score is not None
    return score


RESULTS = st.lists(st.sampled_from(["passed", "failed", "unknown"]), max_size=6)


@given(RESULTS, st.sampled_from(["written", "harvested"]), st.sampled_from(weighing.CLASSES))
def test_a_further_failure_never_raises_and_a_further_pass_never_lowers(
    results: list[str], source: str, author: str
) -> None:
    def chance(*after: str) -> float:
        signals = weighing.signals([reproduction(*after, source=source)])
        return SHIPPED.probability(signals, author, "")

    assert chance(*results, "failed") <= chance(*results) <= chance(*results, "passed")


@given(RESULTS)
def test_an_author_s_own_tests_never_raise_its_probability(results: list[str]) -> None:
    bare = p(existing())
    assert p(existing(), reproduction(*results, source="harvested", own=True)) <= bare


def test_a_test_that_the_author_s_own_model_wrote_is_its_own() -> None:
    own = {"t": {"source": "written", "by": "maker-3", "own": False, "after": "passed"}}
    assert weighing.votes({"tests": own}, "maker-3-preview") == {}
    assert weighing.votes({"tests": own}, "another") == {"written_passed": 1.0}


def test_what_one_run_left_has_one_vote() -> None:
    tests = {
        f"t{n}": {"source": "harvested", "by": "1-weak", "own": False, "after": after}
        for n, after in enumerate(["passed", "passed", "failed"])
    }
    assert weighing.votes({"tests": tests}) == {"harvested_passed": 1.0}


@given(st.integers(0, 300), st.integers(1, 300))
def test_more_broken_tests_never_raise(broken: int, more: int) -> None:
    assert p(existing(broken + more)) <= p(existing(broken))


def test_a_contested_test_weighs_less_than_a_broken_one_and_more_than_none() -> None:
    tests = {"a": ["passed", "failed"], "b": ["passed", "failed"]}
    two = verdict("fail", "repo-tests", counts={"broken": 2}, tests=tests)
    seen = [p(two, verdict("unknown", "agreement", contested=c)) for c in (["a", "b"], ["a"], [])]
    assert p(existing()) > seen[0] > seen[1] > seen[2]


def test_a_verifier_that_was_not_asked_moves_nothing() -> None:
    silent = verdict("unknown", "reproduction", why="no test", tests={})
    bare = verdict("unknown", "behaviour", why="no patch")
    assert p(existing(), silent, bare) == p(existing())
    assert weighing.signals([silent, bare, verdict("pass", "applies")]) == {}


def test_a_fact_fails_whatever_else_is_said() -> None:
    praised = [existing(), reproduction("passed", "passed", "passed")]
    for fact in ("applies", "syntax"):
        found = weighed(verdict("fail", fact), *praised, threshold=0.0)
        assert found.outcome == "fail"
        assert found.score is not None
        assert found.score < p(*praised)


def test_a_probability_that_does_not_follow_from_its_signals_is_named() -> None:
    weigher, made = Acceptance(VerifySettings()), weighed(existing(), reproduction("passed"))
    assert weigher.check(made) == made.outcome
    assert made.score is not None
    lower = made.model_copy(update={"score": made.score - 0.01})
    assert weigher.check(lower).startswith("contradictory")
    strange = {**made.evidence, "author": "nobody"}
    assert weigher.check(made.model_copy(update={"evidence": strange})).startswith("contradictory")


def test_opinions_alone_are_no_ground_to_accept() -> None:
    sure = verdict("unknown", "behaviour", lift=3.0)
    found = weighed(verdict("pass", "applies"), verdict("pass", "syntax"), sure, threshold=0.0)
    assert found.outcome == "unknown"
    assert found.score is not None
    own = reproduction("passed", source="harvested", own=True)
    assert weighed(own, sure, threshold=0.0).outcome == "unknown"
    assert weighed(existing(), sure, threshold=0.0).outcome == "pass"


def test_the_threshold_decides_and_a_hand_set_one_claims_nothing() -> None:
    score = p(existing())
    assert weighed(existing(), threshold=score).outcome == "pass"
    above = weighed(existing(), threshold=min(1.0, score + 0.01))
    assert above.outcome == "fail"
    assert "by hand" in above.evidence["claim"]


def test_without_a_calibration_verdicts_are_counted() -> None:
    for said, then in (
        ([verdict("pass", "applies")], "pass"),
        ([verdict("pass", "applies"), existing(1)], "fail"),
        ([verdict("unknown", "repo-tests")], "unknown"),
        ([], "unknown"),
    ):
        found = weighed(*said, calibration="none")
        assert (found.outcome, found.score) == (then, None)


def test_a_score_that_was_tampered_with_is_seen_by_check() -> None:
    found = weighed(existing(), threshold=0.3)
    assert found.outcome == "pass"
    again = Acceptance(VerifySettings()).check(found.model_copy(update={"score": 0.1}))
    assert again.startswith("contradictory")


def drawn(n: int, wrong: int, repos: int = 5, author: str = "weak") -> list[Held]:
    dice = np.random.default_rng(n)
    return [
        Held(
            round(float(dice.beta(2, 4) if k < wrong else dice.beta(4, 2)), 4),
            k >= wrong,
            f"i{k}",
            f"r{k % repos}",
            author,
        )
        for k in range(n)
    ]


@settings(max_examples=25)
@given(st.integers(20, 80), st.integers(10, 60), st.sampled_from([0.1, 0.28, 0.5]))
def test_the_threshold_is_the_lowest_whose_bound_holds(n: int, wrong: int, most: float) -> None:
    held = drawn(n + wrong, wrong)
    found = bounds.threshold(held, most, 0.95)
    bad = sorted(one.score for one in held if not one.right)

    def holds(value: float) -> bool:
        # P(X <= accepted | wrong, most) <= 5%: the bound, by the binomial tail and no beta.
        return bool(binom.cdf(sum(score >= value for score in bad), wrong, most) <= 0.05)

    steps = [*sorted({one.score for one in held}), 1.0]
    lowest = next((value for value in steps if holds(value)), None)
    assert found.shown == (lowest is not None)
    if lowest is not None:
        assert holds(found.value)
        assert found.value <= lowest
        below = [value for value in steps if value < found.value]
        assert not below or not holds(below[-1])


def test_the_claim_is_broken_no_more_often_than_it_says() -> None:
    dice, broken, draws = np.random.default_rng(1), 0, 400
    for _ in range(draws):
        scores = dice.random(60)  # of wrong patches: above t lies a share of 1 - t of them
        held = [
            Held(round(float(score), 6), n >= 40, f"i{n}", f"r{n % 5}", "weak")
            for n, score in enumerate(scores)
        ]
        found = bounds.threshold(held, 0.28, 0.95)
        assert found.shown
        broken += 1 - found.value > 0.28
    assert 0 < broken <= binom.ppf(0.999, draws, 0.05)


def test_a_bound_is_refused_where_the_data_is_too_small() -> None:
    few = bounds.threshold(drawn(40, 9), 0.28, 0.95)
    assert not few.shown
    assert "not shown: only 9 wrong patches" in few.claim
    assert bounds.threshold(drawn(40, 10), 0.28, 0.95).shown
    two = bounds.threshold(drawn(60, 40, repos=2), 0.28, 0.95)
    assert not two.shown
    assert bounds.threshold((), 0.28, 0.95).value == bounds.NO_THRESHOLD


def test_runs_over_one_issue_are_one_witness() -> None:
    one = [Held(0.1, False, "i", f"r{n % 4}", "weak") for n in range(40)]
    assert not bounds.threshold(one, 0.28, 0.95).shown
    apart = [row._replace(instance=f"i{n}") for n, row in enumerate(one)]
    assert bounds.threshold(apart, 0.28, 0.95).shown


def graded(n: int = 60, repos: int = 6, flip: str = "") -> list[acceptance.Row]:
    dice = np.random.default_rng(3)
    made = []
    for k in range(n):
        right = bool(dice.random() < 0.5)
        passes = dice.random() < (0.9 if right else 0.2)
        repo = f"o/r{k % repos}"
        said = (existing(), reproduction("passed" if passes else "failed"))
        made.append(
            acceptance.Row(f"o__r{k % repos}-{k}", repo, "gpt-4", right != (repo == flip), said)
        )
    return made


def test_a_fit_learns_what_a_test_is_worth() -> None:
    rows = graded(400)
    known = Calibration.model_validate(
        SHIPPED.model_dump() | {"authors": {"gpt-4": "weak"}, "held_out": ()}
    )
    found = acceptance.fit(rows, known)
    passed = {"written_passed": 1.0, "tests_kept": 1.0}
    failed = {"written_failed": 1.0, "tests_kept": 1.0}
    share = [
        row.right for row in rows if row.verdicts[1].evidence["tests"]["t0"]["after"] == "passed"
    ]
    assert found.probability(passed, "weak", "") == pytest.approx(np.mean(share), abs=0.04)
    assert found.probability(failed, "weak", "") < 0.25
    bar = found.threshold("weak", 0.28, 0.95)
    assert bar.shown
    assert (
        found.probability(failed, "weak", "") < bar.value <= found.probability(passed, "weak", "")
    )


def test_a_held_out_fit_never_saw_its_repository() -> None:
    plain, spoiled = (acceptance.fit(graded(flip=flip)) for flip in ("", "o/r1"))
    signals = {"written_passed": 1.0}
    assert plain.probability(signals, "unknown", "o/R1") == spoiled.probability(
        signals, "unknown", "o/r1"
    )
    assert plain.probability(signals, "unknown", "") != spoiled.probability(signals, "unknown", "")


def test_no_rows_leave_the_priors() -> None:
    found = acceptance.fit(())
    for author in weighing.CLASSES:
        weights = found.acceptance[author][""].weights
        assert weights == pytest.approx({s.name: s.prior for s in weighing.signs(author)})
    assert {one["is"] for one in found.card["weights"].values()} == {"its prior"}
    assert not found.threshold("weak", 0.28, 0.95).shown


def test_odd_rows_never_turn_a_sign() -> None:
    rows = [row._replace(right=not row.right) for row in graded(400)]
    weights = acceptance.fit(rows).acceptance["unknown"][""].weights
    assert weights["written_passed"] >= 0 >= weights["written_failed"]


def test_a_fit_is_the_same_in_any_order() -> None:
    rows = graded()
    assert acceptance.fit(rows).dump() == acceptance.fit(rows[::-1]).dump()


def test_authors_are_classed_by_their_own_rows_where_there_are_enough() -> None:
    rows = [row._replace(author="New Model", right=k % 4 > 0) for k, row in enumerate(graded(40))]
    assert acceptance.fit(rows).class_of("x/new model-2") == "strong"
    assert acceptance.fit(rows[:9]).class_of("new model") == "unknown"


def test_a_row_of_verify_is_read_and_any_label_in_it_is_not() -> None:
    line = {
        "instance_id": "own-er__na-me-12", "candidate": "c", "resolved": True, "outcome": "pass",
        "model_name_or_path": "m", "verdicts": [
            {"verifier": "repo-tests", "outcome": "pass", "score": None, "seconds": 1.0,
             "evidence": {"counts": {"broken": 0}}}
        ],
    }  # fmt: skip
    row = acceptance.row_of(line, right=False)
    assert (row.instance, row.repo, row.author, row.right) == (
        "own-er__na-me-12",
        "own-er/na-me",
        "m",
        False,
    )
    assert weighing.signals(row.verdicts) == {"tests_kept": 1.0}
    for bad in ({}, {"instance_id": "i"}, {"instance_id": "i", "verdicts": [{"verifier": "x"}]}):
        with pytest.raises(UsageError, match="no row of verdicts"):
            acceptance.row_of(bad, right=True)


def test_a_calibration_survives_its_file(tmp_path: Any) -> None:
    found = acceptance.fit(graded(), SHIPPED, name="mine")
    path = tmp_path / "mine.json"
    path.write_text(found.dump())
    again = load(str(path))
    assert again == found
    said = [existing(), reproduction("passed")]
    verdicts = [
        Acceptance(VerifySettings(calibration=str(path))).verify(
            outcome(PATCH, *said), (), INSTANCE, KIT
        )
        for _ in range(2)
    ]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].evidence["model"].startswith("mine:")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: tree.pop("acceptance"),
        lambda tree: tree["acceptance"].pop("weak"),
        lambda tree: tree["acceptance"]["weak"].pop(""),
        lambda tree: tree["acceptance"]["weak"][""]["weights"].update(written_failed=1.0),
        lambda tree: tree["acceptance"]["weak"][""]["weights"].update(nonsense=1.0),
        lambda tree: tree["acceptance"]["weak"][""].update(bias="high"),
        lambda tree: tree["behaviour"].pop(""),
        lambda tree: tree.update(held_out=[[2.0, True, "i", "r", "weak"]]),
        lambda tree: tree.update(held_out=[[0.5]]),
        lambda tree: tree.update(schema_version="swe-router/acceptance-9"),
        lambda tree: tree.update(judge=[0.0, -1.0]),
        lambda tree: tree.update(surprise=1),
    ],
)
def test_a_damaged_calibration_is_named(spoil: Any) -> None:
    tree = json.loads(SHIPPED.dump())
    spoil(tree)
    with pytest.raises(UsageError, match=r"calibration x\.json is damaged"):
        parsed(json.dumps(tree), "x.json")


def test_a_calibration_that_is_no_file_is_a_usage_error(tmp_path: Any) -> None:
    (tmp_path / "cut.json").write_text(SHIPPED.dump()[:200])
    for path in (tmp_path / "cut.json", tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="calibration"):
            Acceptance(VerifySettings(calibration=str(path)))


def test_the_card_says_what_was_fitted_and_what_is_a_prior() -> None:
    card = SHIPPED.card
    assert set(card["weights"]) == {one.name for one in weighing.PRIORS}
    for entry in card["weights"].values():
        assert entry["prior_from"]
        assert entry["is"] == ("fitted towards its prior" if entry["rows_with_it"] else "its prior")
    assert {table["licence"] for table in card["behaviour"]["tables"]} <= {"MIT", "Apache-2.0"}
    assert card["behaviour"]["reached"]["auc"] < 0.75


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.booleans()), min_size=1, max_size=30),
    st.floats(-2, 2),
)
def test_a_signed_fit_keeps_its_sign_and_its_optimum(rows: list[Any], prior: float) -> None:
    x, right = np.array([[a] for a, _ in rows]), np.array([float(b) for _, b in rows])
    ones = np.ones(len(rows))
    bias, weights = signed.fitted(x, right, ones, [signed.Sign("a", +1, prior, 2.0)])
    assert weights[0] >= 0
    p = signed.sigmoid(bias + x @ weights)
    slope = float(x[:, 0] @ (p - right)) + 2.0 * (weights[0] - prior)
    assert abs(slope) < 1e-3 or (weights[0] < 1e-9 and slope > 0)
    assert math.isfinite(bias)


def test_a_weight_without_a_signal_moves_nothing() -> None:
    one = Weights(bias=0.0, weights={"tests_kept": 2.0})
    assert one.probability({}) == 0.5
    assert one.probability({"tests_kept": 1.0}) == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-4)


def test_the_author_is_found_in_what_the_attempt_says(tmp_path: Any) -> None:
    made = outcome(PATCH, existing(), tier="gpt-4o-mini")
    found = Acceptance(VerifySettings()).verify(made, (), INSTANCE, KIT)
    assert found.evidence["author"] == "weak"
    assert weighed(existing()).evidence["author"] == "unknown"
    assert Project(tmp_path, {"a.py": "x = 1\n"}).files
