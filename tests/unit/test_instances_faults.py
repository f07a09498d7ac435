"""A split that cannot be read is named with the row and the fix, however its data set reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from swe_router.datasets import Row
from swe_router.errors import UsageError
from swe_router.instances import rows, rowset, sources
from swe_router.instances.harbor import HarborFolder, task_folders
from swe_router.instances.own_issue import at_commit
from swe_router.instances.sources import SplitSource
from swe_router.instances.swebench_multimodal import _shown

DATA = Path(__file__).parents[1] / "data" / "datasets"


def row(**columns: object) -> Row:
    made = Row(columns)
    made.place = "f.jsonl:3"
    return made


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, ()),
        ("", ()),
        (["a", "b"], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("['a', \"b\"]", ("a", "b")),
        ("('a',)", ("a",)),
    ],
)
def test_a_list_of_texts_is_read_in_every_form_that_tables_hold(value, texts):
    assert rowset.string_list(row(names=value), "names") == texts


@pytest.mark.parametrize("value", ["a, b", "[1, 2]", "{", 3, [1], "__import__('os')"])
def test_what_is_no_list_of_texts_is_named_with_its_row(value):
    with pytest.raises(UsageError, match=r"f\.jsonl:3: names is not a list of texts"):
        rowset.string_list(row(names=value), "names")


class Fixed:
    """A data set that gives what the test says."""

    name, grader = "fixed", "fixed"
    splits: ClassVar[dict[str, str]] = {}
    marks = ()
    question = ("instance_id",)

    def __init__(self, *found: object) -> None:
        self.found = found

    def load(self, source):
        return self.found


def test_a_data_set_without_rows_or_with_rows_of_another_kind_is_named():
    with pytest.raises(UsageError, match="split 'x' has no rows"):
        SplitSource("x", Fixed()).instances()
    with pytest.raises(UsageError, match="'fixed' gives a dict and no"):
        SplitSource("x", Fixed({"id": "a"})).instances()
    with pytest.raises(UsageError, match="split 'x' has no rows"):
        SplitSource("x", Fixed()).any_rows(["instance_id"])
    with pytest.raises(UsageError, match="asks for patch, which its `question` does not name"):
        SplitSource("x", Fixed()).rows(["instance_id", "patch"])


def test_where_a_split_of_the_hub_lies_is_known_to_its_data_set():
    found = sources.locate_split("o/n:small@dev", "swe-bench")
    assert (found.config, found.split) == ("small", "dev")
    file = SplitSource("x", Fixed(), path=DATA / "swe-gym.jsonl")
    assert (file.config, file.split) == ("", "")


def test_an_empty_file_and_an_empty_split_of_the_hub_have_no_rows(tmp_path):
    file = tmp_path / "f.jsonl"
    file.write_text("\n")
    with pytest.raises(UsageError, match="has no rows"):
        sources.locate_split(str(file))
    with pytest.raises(UsageError, match="split 'o/n' has no rows"):
        sources.locate_split("o/n", hub=lambda hub_id: [])
    with pytest.raises(UsageError, match="'o n' is no id of the hub"):
        rows.from_hub("o n")


def test_a_data_set_of_several_places_asks_for_one_of_its_splits():
    with pytest.raises(UsageError, match="has several splits: say"):
        sources.locate_split("swe-bench@dev")


def test_a_folder_without_tasks_is_named(tmp_path):
    assert task_folders(None) == {}
    with pytest.raises(UsageError, match=r"holds no task: no folder with task\.toml"):
        SplitSource("empty", HarborFolder(), path=tmp_path).instances()


def test_pictures_of_a_cell_that_cannot_be_read_are_none():
    assert _shown('{"problem_statement": ["u1", {"url": "u2"}, 3]}') == ("u1", "u2")
    assert _shown("{") == _shown(None) == _shown('{"patch": ["u"]}') == ()


def test_an_id_that_the_user_gave_is_kept_and_a_folder_that_is_gone_is_named(tmp_path):
    given = json.loads((DATA / "own-issue.jsonl").read_text().splitlines()[0])
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({**given, "instance_id": "mine-1", "repository": "/gone"}) + "\n")
    with pytest.raises(UsageError, match="/gone"):
        sources.locate_split(str(file), "own-issue").instances()
    (tmp_path / "repo").mkdir()
    file.write_text(
        json.dumps({**given, "instance_id": "mine-1", "repository": str(tmp_path / "repo")}) + "\n"
    )
    (made,) = sources.locate_split(str(file), "own-issue").instances()
    assert made.id == "mine-1"
    assert "git checkout -q --detach abc" in at_commit("abc")
