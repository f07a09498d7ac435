"""The weights: what a fit learns, what it never saw, and the file that keeps it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from swe_router.errors import UsageError
from swe_router.estimates.acceptance import fit, verdict_signals
from swe_router.estimates.acceptance.calibration import (
    Calibration,
    load_calibration,
    parse_calibration,
)
from swe_router.settings import VerifySettings
from swe_router.stats import logistic
from swe_router.verifiers.acceptance import AcceptanceVerifier
from tests.doubles.project import INSTANCE, outcome, verdict
from tests.doubles.weighed import KIT, PATCH, SHIPPED, existing, reproduction


def graded(n: int = 60, repos: int = 6, flip: str = "") -> list[fit.VerdictRow]:
    dice = np.random.default_rng(3)
    made = []
    for k in range(n):
        right = bool(dice.random() < 0.5)
        passes = dice.random() < (0.9 if right else 0.2)
        repo = f"o/r{k % repos}"
        said = (existing(), reproduction("passed" if passes else "failed"))
        made.append(
            fit.VerdictRow(f"o__r{k % repos}-{k}", repo, "gpt-4", right != (repo == flip), said)
        )
    return made


def test_a_fit_learns_what_a_test_is_worth() -> None:
    rows = graded(400)
    known = Calibration.model_validate(
        SHIPPED.model_dump() | {"authors": {"gpt-4": "weak"}, "held_out": ()}
    )
    found = fit.fit_calibration(rows, known)
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
    plain, spoiled = (fit.fit_calibration(graded(flip=flip)) for flip in ("", "o/r1"))
    signals = {"written_passed": 1.0}

    def untempered(found: fit.Calibration, repo: str) -> float:
        bias, slope = found.card["tempered_by"]["unknown"]
        return float((logit(found.probability(signals, "unknown", repo)) - bias) / slope)

    assert untempered(plain, "o/R1") == pytest.approx(untempered(spoiled, "o/r1"), abs=0.01)
    assert abs(untempered(plain, "") - untempered(spoiled, "")) > 0.05
    assert plain.probability(signals, "unknown", "") != spoiled.probability(signals, "unknown", "")


def test_no_rows_leave_the_priors() -> None:
    found = fit.fit_calibration(())
    for author in verdict_signals.CLASSES:
        weights = found.acceptance[author][""].weights
        assert weights == pytest.approx({s.name: s.prior for s in verdict_signals.signs(author)})
    assert {one["is"] for one in found.card["weights"].values()} == {"its prior"}
    assert not found.threshold("weak", 0.28, 0.95).shown


def test_odd_rows_never_turn_a_sign() -> None:
    rows = [row._replace(right=not row.right) for row in graded(400)]
    weights = fit.fit_calibration(rows).acceptance["unknown"][""].weights
    assert weights["written_passed"] >= 0 >= weights["written_failed"]


def test_a_fit_is_the_same_in_any_order() -> None:
    rows = graded()
    assert fit.fit_calibration(rows).dump() == fit.fit_calibration(rows[::-1]).dump()


def test_authors_are_classed_by_their_own_rows_where_there_are_enough() -> None:
    rows = [row._replace(author="New Model", right=k % 4 > 0) for k, row in enumerate(graded(40))]
    assert fit.fit_calibration(rows).class_of("x/new model-2") == "strong"
    assert fit.fit_calibration(rows[:9]).class_of("new model") == "unknown"


def test_a_row_of_verify_is_read_and_any_label_in_it_is_not() -> None:
    line = {
        "instance_id": "own-er__na-me-12", "candidate": "c", "resolved": True, "outcome": "pass",
        "model_name_or_path": "m", "verdicts": [
            {"verifier": "repo-tests", "outcome": "pass", "score": None, "seconds": 1.0,
             "evidence": {"counts": {"broken": 0}}}
        ],
    }  # fmt: skip
    row = fit.verdict_row(line, right=False)
    assert (row.instance, row.repo, row.author, row.right) == (
        "own-er__na-me-12",
        "own-er/na-me",
        "m",
        False,
    )
    assert verdict_signals.signals(row.verdicts) == {"tests_kept": 1.0}
    for bad in ({}, {"instance_id": "i"}, {"instance_id": "i", "verdicts": [{"verifier": "x"}]}):
        with pytest.raises(UsageError, match="no row of verdicts"):
            fit.verdict_row(bad, right=True)


def test_patches_on_which_nothing_ran_are_counted_though_they_have_no_score() -> None:
    late = {"empty": False, "applied": False}
    bare = [(), (verdict("fail", "applies", **late),), (verdict("fail", "applies", empty=True),)]
    rows = [*graded(), *(fit.VerdictRow("o__r0-99", "o/r0", "gpt-4", False, v) for v in bare)]
    found = fit.fit_calibration(rows, SHIPPED)
    assert len(found.held_out) == 2 * 60
    # What its text refuses is known before any forecast of a rate: it is left out.
    both = ("o__r0-99",) * 2
    assert found.ungrounded == {"weak": both, "strong": (), "unknown": both}
    assert parse_calibration(found.dump(), "here") == found


def test_a_file_that_counts_no_patches_on_which_nothing_ran_keeps_its_digest() -> None:
    found = fit.fit_calibration(graded(), SHIPPED)
    old = found.model_copy(update={"ungrounded": {}})
    assert "ungrounded" not in old.dump()
    assert parse_calibration(old.dump(), "here").ungrounded == {}
    assert old.digest == found.digest, "it moves no probability and no threshold"


def test_a_calibration_survives_its_file(tmp_path: Any) -> None:
    found = fit.fit_calibration(graded(), SHIPPED, name="mine")
    path = tmp_path / "mine.json"
    path.write_text(found.dump())
    again = load_calibration(str(path))
    assert again == found
    said = [existing(), reproduction("passed")]
    verdicts = [
        AcceptanceVerifier(VerifySettings(calibration=str(path))).verify(
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
        parse_calibration(json.dumps(tree), "x.json")


def test_a_calibration_that_is_no_file_is_a_usage_error(tmp_path: Any) -> None:
    (tmp_path / "cut.json").write_text(SHIPPED.dump()[:200])
    for path in (tmp_path / "cut.json", tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="calibration"):
            AcceptanceVerifier(VerifySettings(calibration=str(path)))


def test_the_card_says_what_was_fitted_and_what_is_a_prior() -> None:
    card = SHIPPED.card
    assert set(card["weights"]) == {one.name for one in verdict_signals.PRIORS}
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
    bias, weights = logistic.fit_logistic(
        x, right, ones, [logistic.SignedPrior("a", +1, prior, 2.0)]
    )
    assert weights[0] >= 0
    p = logistic.sigmoid(bias + x @ weights)
    slope = float(x[:, 0] @ (p - right)) + 2.0 * (weights[0] - prior)
    assert abs(slope) < 1e-3 or (weights[0] < 1e-9 and slope > 0)
    assert math.isfinite(bias)
