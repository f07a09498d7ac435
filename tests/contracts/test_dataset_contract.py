"""Every data set: its question reaches an instance, its answers never do, and its grader is there.

``tests/data/datasets/NAME.jsonl`` (or the folder ``NAME/``) holds a few small rows of our own
making in the form of the data set; a new data set adds its file and is tested here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router import plugins
from swe_router.datasets import Dataset, Grader, GradingContext
from swe_router.errors import UsageError
from swe_router.grading import graders
from swe_router.instances import sources, splits
from swe_router.instances.rows import HubId
from swe_router.records import Instance

DATA = Path(__file__).parents[1] / "data" / "datasets"
NAMES = sorted(plugins.BUILT_IN["datasets"])
SECRET = "a-secret-of-the-answer-key"


def sample(name: str) -> Path:
    """The rows of our own for a data set."""
    file, folder = DATA / f"{name}.jsonl", DATA / name
    return file if file.is_file() else folder


def grader_of(one: Dataset) -> Grader:
    kind = plugins.load_plugin("graders", one.grader, graders.BUILT_IN)
    return kind(GradingContext(label="", rows=lambda columns: []))


def planted(value: object) -> object:
    """The value with every text of it replaced, of the same type."""
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            return SECRET
        return json.dumps(planted(inner)) if isinstance(inner, list | dict) else SECRET
    if isinstance(value, list):
        return [planted(one) for one in value] or [SECRET]
    if isinstance(value, dict):
        return {f"{SECRET}{key}": planted(one) for key, one in value.items()} or {SECRET: SECRET}
    return value


@pytest.fixture(params=NAMES)
def dataset(request) -> Dataset:
    return sources.dataset_named(request.param)


def test_every_data_set_has_rows_of_our_own(dataset):
    assert dataset.name in NAMES
    assert sample(dataset.name).exists(), f"tests/data/datasets lacks {dataset.name}"


def test_the_form_of_its_rows_is_told_without_a_name(dataset):
    origin = sources.locate_split(str(sample(dataset.name)))
    assert origin.dataset.name == dataset.name


def test_its_instances_are_whole_and_name_their_data_set(dataset):
    found = splits.load_instances(str(sample(dataset.name)), dataset_reader=dataset.name)
    assert found
    for one in found:
        assert one.dataset == dataset.name
        assert one.problem.strip()
        assert one.repo
        assert one.workdir.startswith("/")
        assert Instance.model_validate_json(one.model_dump_json()) == one


def test_no_answer_column_is_a_question(dataset):
    grader = grader_of(dataset)
    assert isinstance(grader, Grader)
    assert grader.answers
    assert not {*grader.answers} & {*dataset.question}
    grader.close()


def test_a_column_of_the_answers_is_refused(dataset):
    origin = sources.locate_split(str(sample(dataset.name)), dataset.name)
    for column in grader_of(dataset).answers:
        with pytest.raises(UsageError, match="only a grader may read"):
            origin.rows([column])


def test_no_value_of_the_answer_key_reaches_an_instance(dataset, tmp_path):
    path = sample(dataset.name)
    if path.is_dir():
        pytest.skip("a folder: see the test of its form")
    answers = set(grader_of(dataset).answers)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    present = answers & {key for row in rows for key in row}
    assert present, "the rows hold no answer at all"
    changed = [{k: planted(v) if k in answers else v for k, v in row.items()} for row in rows]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in changed))
    assert SECRET in file.read_text()
    before = splits.load_instances(str(path), dataset_reader=dataset.name)
    after = splits.load_instances(str(file), dataset_reader=dataset.name)
    assert [one.model_copy(update={"suite": ""}) for one in after] == [
        one.model_copy(update={"suite": ""}) for one in before
    ]
    assert not [one.id for one in after if SECRET in one.model_dump_json()]


def test_each_of_its_names_leads_to_it(dataset):
    for name, place in dataset.splits.items():
        origin = sources.locate_split(name, hub=lambda _: [])
        assert origin.dataset.name == dataset.name, name
        wanted = HubId.parsed(place)
        if wanted is not None and not Path(place).is_absolute():
            assert origin.hub_id == wanted
            by_id = sources.locate_split(place, hub=lambda _: [])
            assert (by_id.dataset.name, by_id.hub_id) == (dataset.name, wanted)
