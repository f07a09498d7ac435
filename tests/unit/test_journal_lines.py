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
from swe_router.errors import DiskFull, UsageError
from swe_router.records import Grade

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.lists(st.fixed_dictionaries({"v": JSON}), min_size=1, max_size=4), st.data())
def test_a_line_torn_at_any_byte_is_owed_again_and_never_joined_to_the_next(
    tmp_path_factory, values, data
):
    path = tmp_path_factory.mktemp("run") / "x.jsonl"
    for value in values:
        jsonl.append_value(path, value)
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[: data.draw(st.integers(start, len(whole) - 1))])
    assert list(jsonl.read_lines(path)) == values[:-1]
    jsonl.append_value(path, {"n": "next"})
    assert list(jsonl.read_lines(path)) == [*values[:-1], {"n": "next"}]


@pytest.mark.parametrize("value", [{"text": "y" * 500}, {"text": "\ud800" * 100}])
def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path, value):
    path = tmp_path / "x.jsonl"
    jsonl.append_value(path, {"n": 1})
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            jsonl.append_value(path, value)
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
        jsonl.append_value(path, {"text": "x" * 1000})
        packed.append(jsonl.compress(path))
        assert not path.exists()
    assert packed[0].read_bytes() == packed[1].read_bytes()
    assert json.loads(gzip.decompress(packed[0].read_bytes())) == {"text": "x" * 1000}
    assert list(jsonl.read_lines(packed[0])) == [{"text": "x" * 1000}]


def test_lone_surrogates_of_a_model_answer_survive_the_journal(tmp_path):
    path = tmp_path / "x.jsonl"
    jsonl.append_value(path, {"said": "a\udcffb"})
    assert list(jsonl.read_lines(path)) == [{"said": "a\udcffb"}]


WRITERS = {
    "replace": lambda path: jsonl.replace_lines(path, [{"n": 1}]),
    "write_whole": lambda path: jsonl.write_whole(path, "text\n"),
    "append": lambda path: jsonl.append_value(path, {"n": 1}),
    "compress": jsonl.compress,
    "decompress": jsonl.decompress,
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("writer", "temporary"),
    [
        ("replace", ".x.jsonl.new"),
        ("write_whole", "x.jsonl.part"),
        ("compress", "x.jsonl.gz.part"),
        ("decompress", "x.jsonl.part"),
    ],
)
def test_a_full_disk_is_named_and_the_old_file_stays_whole(writer, temporary, tmp_path):
    path = tmp_path / "x.jsonl"
    if writer == "decompress":
        jsonl.append_value(path, {"n": 0})
        jsonl.compress(path)
    else:
        jsonl.append_value(path, {"n": 0})
    (tmp_path / temporary).symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="no space left to write"):
        WRITERS[writer](path)
    (old,) = [one for one in tmp_path.iterdir() if not one.is_symlink()]
    assert list(jsonl.read_lines(old)) == [{"n": 0}]


@pytest.mark.parametrize("writer", ["replace", "write_whole", "append", "compress"])
def test_a_run_folder_that_was_moved_is_named_with_what_to_do(writer, tmp_path):
    with pytest.raises(UsageError, match="the run folder was moved"):
        WRITERS[writer](tmp_path / "gone" / "x.jsonl")


def test_a_folder_is_made_with_the_one_above_it_and_no_higher(tmp_path):
    jsonl.make_folder(tmp_path / "instances" / "a")
    assert (tmp_path / "instances" / "a").is_dir()
    with pytest.raises(UsageError, match="the run folder was moved"):
        jsonl.make_folder(tmp_path / "moved" / "instances" / "a")


def test_what_is_neither_full_nor_gone_is_raised_as_it_is(tmp_path):
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(IsADirectoryError):
        jsonl.append_value(tmp_path / "x.jsonl", {"n": 1})


def test_lines_put_in_the_place_of_others_leave_nothing_behind(tmp_path):
    path = tmp_path / "x.jsonl"
    jsonl.append_value(path, {"n": 1})
    jsonl.replace_lines(path, [{"n": 2}, {"n": 3}])
    assert list(jsonl.read_lines(path)) == [{"n": 2}, {"n": 3}]
    assert [one.name for one in tmp_path.iterdir()] == ["x.jsonl"]


def test_compressed_lines_come_back_and_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    jsonl.decompress(path)
    assert not path.exists(), "nothing to bring back"
    jsonl.append_value(path, {"n": 1})
    whole = path.read_bytes()
    packed = jsonl.compress(path)
    jsonl.decompress(path)
    assert path.read_bytes() == whole
    assert not packed.exists()
    packed.write_bytes(gzip.compress(whole)[:-9])
    for read in (lambda: jsonl.decompress(path), lambda: list(jsonl.read_lines(packed))):
        with pytest.raises(UsageError, match=r"x\.jsonl\.gz is damaged"):
            read()


def test_lines_that_begin_otherwise_alone_are_compressed(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":1}\n{"a":2}\n')
    packed = jsonl.compress(path, exclude_line=b'{"a"')
    assert list(jsonl.read_lines(packed)) == [{"b": 1}]


@pytest.mark.parametrize(
    ("line", "why"), [("[1]\n", "holds no object"), ("[" * 100_000 + "\n", "recursion")]
)
def test_a_line_that_is_no_object_is_named(line, why, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(line)
    with pytest.raises(UsageError, match=rf"x\.jsonl:1 is damaged .*{why}"):
        list(jsonl.read_lines(path))


def test_a_line_of_another_form_names_the_field(tmp_path):
    with pytest.raises(UsageError, match=r"x\.jsonl:7 is no Grade \(instance_id: .*restore"):
        jsonl.parse_row(tmp_path / "x.jsonl", 7, Grade, {"outcome": "resolved"})
