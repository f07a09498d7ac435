"""Every selector: one of the non-empty candidates it was given, the same each time, or None."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import plugins
from tests.doubles.project import outcome, verdict

SELECTORS = sorted(plugins.BUILT_IN["selectors"])
outcomes = st.lists(
    st.builds(
        outcome,
        st.sampled_from(["", " ", "diff a", "diff b"]),
        st.sampled_from([verdict("pass"), verdict("fail"), verdict("unknown", "other")]),
        number=st.integers(1, 9),
    ),
    max_size=6,
)


@pytest.mark.parametrize("name", SELECTORS)
@given(outcomes=outcomes)
def test_it_hands_in_what_is_there(name: str, outcomes: list[Any]) -> None:
    selector = plugins.load("selectors", name)()
    filled = [o.candidate for o in outcomes if o.candidate.patch.strip()]
    chosen = selector.select(outcomes)
    assert chosen in filled if filled else chosen is None
    assert selector.select(outcomes) == chosen
