"""A policy that asks for what nobody gave of an issue gets an error that says how to give it."""

from __future__ import annotations

import math

import pytest

from swe_router.errors import UsageError
from swe_router.outcomes.tables.issue_data import features_of_table, has_texts
from swe_router.records import Features
from swe_router.records.known_features import require_text, require_values, value_or_nan
from tests.doubles.recorded import features, table


def test_what_is_known_is_given_and_what_is_not_names_the_option():
    known = Features(instance_id="a", text="it breaks", values={"words": 2.0})
    assert require_text(known) == "it breaks"
    assert require_values(known) == {"words": 2.0}
    assert value_or_nan(known, "words") == 2.0
    assert math.isnan(value_or_nan(known, "files"))
    bare = Features(instance_id="a", text=None, values=None)
    with pytest.raises(UsageError, match=r"^needs issue texts \(--split S\)"):
        require_text(bare)
    with pytest.raises(UsageError, match=r"^needs issue texts or features"):
        require_values(bare)
    assert math.isnan(value_or_nan(bare, "words"))


def test_the_gaps_of_a_table_are_none_and_reading_a_record_never_raises():
    bare = features_of_table(table(), ())
    assert {(one.text, one.values) for one in bare} == {(None, None)}
    assert not has_texts(bare)
    whole = features_of_table(table(), features(table()))
    assert has_texts(whole)
    assert not has_texts([whole[0].model_copy(update={"values": None})])


def test_features_of_a_run_keep_their_empty_text():
    assert Features.model_validate({"instance_id": "a"}).text == ""
    assert Features.model_validate({"instance_id": "a"}).values == {}
