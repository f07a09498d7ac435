"""Every name of every data set, and its id on the hub, against a hub on loopback.

The hub holds our own rows of each form under the published ids and splits; the library that loads
them is the real one, in the process that the product starts.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from swe_router.grading import graders
from swe_router.instances import sources, splits
from swe_router.instances.rows import HubId, from_hub
from tests.doubles.hub import environment, serve_splits

pytestmark = pytest.mark.box
DATA = Path(__file__).parents[1] / "data" / "datasets"


def published():
    """(data set, name, id of the hub) of every name that leads to the hub."""
    for one in sources.all_datasets():
        for name, place in one.splits.items():
            wanted = None if Path(place).is_absolute() else HubId.parsed(place)
            if wanted is not None:
                yield one, name, wanted


def rows_of(one):
    file = DATA / f"{one.name}.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if _types(row) == _types(rows[0])]  # a column has one type there


def _types(row):
    return {key: type(value) for key, value in row.items()}


@pytest.fixture
def hub(httpserver, tmp_path_factory):
    held: dict[str, dict[str, list]] = {}
    for one, _, wanted in published():
        held.setdefault(wanted.name, {})[wanted.split or "test"] = rows_of(one)
    serve_splits(httpserver, held)
    return partial(from_hub, env=environment(httpserver, tmp_path_factory.mktemp("hub")))


@pytest.mark.parametrize(
    ("one", "name", "wanted"),
    list(published()),
    ids=[name for _, name, _ in published()],
)
def test_a_published_name_brings_instances_of_its_data_set(hub, one, name, wanted):
    found = splits.load_instances(name, hub=hub)
    assert len(found) == len(rows_of(one))
    assert {instance.dataset for instance in found} == {one.name}
    assert {instance.suite for instance in found} == {name}
    grader = graders.reading_grader(name, hub=hub)
    assert grader.answers


def test_an_id_as_it_is_written_on_the_hub_is_taken(hub):
    by_hub = {wanted.name: one for one, _, wanted in published()}
    for name in ("ScaleAI/SWE-bench_Pro", "SWE-Gym/SWE-Gym", "nebius/SWE-rebench-V2@train"):
        one = by_hub[name.partition("@")[0]]
        assert {instance.dataset for instance in splits.load_instances(name, hub=hub)} == {one.name}
