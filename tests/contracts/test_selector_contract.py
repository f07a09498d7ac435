"""Every selector: one of the non-empty candidates it was given, the same each time, or None."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.records import digest_of
from swe_router.solve.cross_evaluation import matrix_of
from tests.doubles.project import outcome, verdict

SELECTORS = sorted(plugins.BUILT_IN["selectors"])
OPTIONS: dict[str, dict[str, Any]] = {"oracle": {"resolved": {digest_of("diff b"): True}}}
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
    selector = plugins.load_plugin("selectors", name)(**OPTIONS.get(name, {}))
    filled = [o.candidate for o in outcomes if o.candidate.patch.strip()]
    chosen = selector.select(outcomes)
    assert chosen in filled if filled else chosen is None
    assert selector.select(outcomes) == chosen
    shuffled = selector.select(outcomes[::-1], matrix_of(outcomes[::-1]))
    matched = selector.select(outcomes, matrix_of(outcomes))
    assert (matched is None) == (shuffled is None) == (not filled)
    if matched is not None and shuffled is not None:
        assert (matched.digest, matched.attempt_id) == (shuffled.digest, shuffled.attempt_id)


@pytest.mark.parametrize("name", SELECTORS)
def test_an_unknown_knob_is_refused(name: str) -> None:
    with pytest.raises((UsageError, TypeError), match="nonsense"):
        plugins.load_plugin("selectors", name)(nonsense=1)
