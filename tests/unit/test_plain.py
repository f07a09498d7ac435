"""Values on their way into a file: nothing that JSON lacks may come through, or stop it."""

import dataclasses
import datetime
import enum
import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import plain_values
from swe_router.cli.output import emit
from swe_router.records import Features


class Kind(enum.StrEnum):
    ONE = "one"


class Level(enum.IntEnum):
    TWO = 2


@dataclasses.dataclass
class Point:
    usd: Decimal
    rate: float


LEAVES = (st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text()
          | st.binary() | st.dates() | st.builds(np.float64, st.floats())
          | st.sampled_from([Kind.ONE, Level.TWO, Path("a/b"), np.bool_(True)]))  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=12,
)


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


@given(TREES)
def test_whatever_a_result_holds_is_strict_json_of_one_line(value):
    text = plain_values.json_text(value)
    assert "\n" not in text
    text.encode()
    json.loads(text, parse_constant=refuse)
    plain_values.csv_table(["a"], [{"a": value}]).encode()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("0.005479"), 0.005479), (Decimal("NaN"), None), (Decimal("sNaN"), None),
        (Decimal("Infinity"), None), (math.inf, None), (np.float32(0.5), 0.5), (np.nan, None),
        (np.array([1.0, np.nan]), [1.0, None]), (np.int64(3), 3), (np.bool_(True), True),
        ({Decimal("1.5"): {"b", "a"}}, {"1.5": ["a", "b"]}), (Kind.ONE, "one"), (Level.TWO, 2),
        (Path("a/b"), "a/b"), (datetime.date(2026, 1, 2), "2026-01-02"), (b"a\xff", "a\\xff"),
        (Point(Decimal("1.5"), math.nan), {"usd": 1.5, "rate": None}), (True, True),
    ],
)  # fmt: skip
def test_a_value_is_what_json_has_for_it(value, said):
    assert plain_values.as_plain(value) == said
    assert type(plain_values.as_plain(value)) is type(said)


def test_a_model_is_its_own_json():
    made = Features(instance_id="own__x-1", repo="own/x", text="", values={}, provenance={})
    assert plain_values.as_plain([made])[0]["instance_id"] == "own__x-1"


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, ""), (math.nan, ""), (True, "1"), (False, "0"), (Decimal("0.25"), "0.25"),
     ({"b": Decimal(1), "a": None}, '{"a": null, "b": 1.0}'), ([Decimal("0.5")], "[0.5]"),
     ("a,b", "a,b"), (0, "0")],
)  # fmt: skip
def test_a_cell_of_csv(value, said):
    assert plain_values.csv_cell(value) == said


def test_json_on_stdout_has_no_nan(capsys):
    emit({"value": math.nan, "usd": Decimal("0.5")}, as_json=True)
    assert json.loads(capsys.readouterr().out, parse_constant=refuse) == {"value": None, "usd": 0.5}
