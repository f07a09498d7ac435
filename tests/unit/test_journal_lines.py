"""The run folder survives a kill at any byte, and says where it is damaged."""

from __future__ import annotations

import gzip
import json
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import jsonl
from swe_router.errors import UsageError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.lists(st.fixed_dictionaries({"v": JSON}), min_size=1, max_size=4), st.data())
def test_a_line_torn_at_any_byte_is_owed_again_and_never_joined_to_the_next(
    tmp_path_factory, values, data
):
    path = tmp_path_factory.mktemp("run") / "x.jsonl"
    for value in values:
        jsonl.append(path, value)
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[: data.draw(st.integers(start, len(whole) - 1))])
    assert list(jsonl.read_lines(path)) == values[:-1]
    jsonl.append(path, {"n": "next"})
    assert list(jsonl.read_lines(path)) == [*values[:-1], {"n": "next"}]


@pytest.mark.parametrize("value", [{"text": "y" * 500}, {"text": "\ud800" * 100}])
def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path, value):
    path = tmp_path / "x.jsonl"
    jsonl.append(path, {"n": 1})
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            jsonl.append(path, value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole


def test_one_place_writes_lines_that_survive():
    """Ledger, cassette, journal and the progress of workers: no other module locks to append."""
    own = [
        path.name
        for path in Path(jsonl.__file__).parent.rglob("*.py")
        if "os.write(" in path.read_text("utf-8") and "in_sandbox" not in path.parts
    ]
    assert "log.py" not in own
    assert "cassette.py" not in own


def test_a_damaged_line_in_the_middle_is_named_not_skipped(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(UsageError, match=r"records\.jsonl:2 is damaged"):
        list(jsonl.read_lines(path))


def test_a_damaged_last_line_with_its_newline_is_not_taken_for_torn(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": 1}\nnonsense\n')
    with pytest.raises(UsageError, match=":2 is damaged"):
        list(jsonl.read_lines(path))


def test_compressing_is_deterministic_and_loses_nothing(tmp_path):
    packed = []
    for name in ("a", "b"):
        path = tmp_path / name / "1-local.jsonl"
        path.parent.mkdir()
        jsonl.append(path, {"text": "x" * 1000})
        packed.append(jsonl.compress(path))
        assert not path.exists()
    assert packed[0].read_bytes() == packed[1].read_bytes()
    assert json.loads(gzip.decompress(packed[0].read_bytes())) == {"text": "x" * 1000}
    assert list(jsonl.read_lines(packed[0])) == [{"text": "x" * 1000}]


def test_lone_surrogates_of_a_model_answer_survive_the_journal(tmp_path):
    path = tmp_path / "x.jsonl"
    jsonl.append(path, {"said": "a\udcffb"})
    assert list(jsonl.read_lines(path)) == [{"said": "a\udcffb"}]
