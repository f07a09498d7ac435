"""The board without options is whole: texts, features and prices of its 50 issues ship."""

from __future__ import annotations

import datetime

from swe_router.features.extraction_steps import extract_features, input_key
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.simulation.handover_cost import _known
from swe_router.outcomes.tables.shipped import shipped_features, shipped_issues, shipped_table

ASKED = ("threshold", "knn", "rules", "cascade+notes", "fixed")


def test_every_issue_of_the_shipped_table_has_its_text_and_its_features():
    told, known = {one.id: one for one in shipped_issues()}, shipped_table()
    assert set(told) == set(known.instances)
    assert len(told) == 50
    assert all(one.problem.strip() and one.repo for one in told.values())
    assert {one.instance_id for one in shipped_features()} == set(told)


def test_the_shipped_features_are_what_the_extractor_makes_of_the_shipped_texts():
    """A change of the features must bring the file with it."""
    made = {one.id: extract_features(one, None) for one in shipped_issues()}
    for one in shipped_features():
        assert one == made[one.instance_id], input_key


def test_no_row_of_the_shipped_board_lacks_texts_features_or_prices():
    facts = leaderboard_rows(
        shipped_table(),
        shipped_features(),
        BoardRequest(
            verifier_model.parse_verifier_model("hybrid"),
            policies=ASKED,
            bootstraps=100,
            curves=False,
        ),
    )
    assert facts["texts"]
    said = {row["policy"]: row["verdict"] for row in facts["rows"] if row["rate"] is None}
    assert said == {}


def test_models_of_the_table_have_a_price_on_its_day_with_source():
    days = {(row.model, row.price_date) for row in shipped_table().rows if row.model}
    for model, day in days:
        rate = _known(model, day)
        assert rate is not None, model
        assert rate.source
        assert rate.date == datetime.date.fromisoformat(day)
