"""The official loader against a hub of our own: a real server that speaks the hub's protocol."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_httpserver import HTTPServer

from swe_router.errors import UsageError
from swe_router.instances.rows import from_hub
from swe_router.instances.splits import load_instances
from tests.doubles.hub import environment, serve

ROW = {
    "instance_id": "o__r-1",
    "repo": "o/r",
    "base_commit": "c" * 40,
    "problem_statement": "It breaks.\u2028\nBadly.",
    "image": "img:1",
    "eval_script": "#!/bin/bash",
    "log_parser": "parse_log_pytest",
    "eval_type": "pass_and_fail",
    "hints_text": None,
}


@pytest.fixture
def hub(httpserver: HTTPServer, tmp_path):
    """``rows.from_hub`` against the local server, with a cache of its own."""
    serve(httpserver, [ROW, {**ROW, "instance_id": "o__r-2"}])
    return partial(from_hub, env=environment(httpserver, tmp_path))


def test_the_official_loader_brings_the_rows_from_a_hub(hub):
    first, second = load_instances("verified", hub=hub)
    assert (first.id, second.id) == ("o__r-1", "o__r-2")
    assert first.problem == "It breaks.\u2028\nBadly."


def test_a_data_set_that_the_hub_lacks_is_told_in_one_line(hub):
    with pytest.raises(UsageError) as told:
        load_instances("lite", hub=hub)
    assert "cannot load SWE-bench/SWE-bench_Lite from http://" in str(told.value)
    assert "doesn't exist on the Hub" in str(told.value)
    assert "--split FILE.parquet" in str(told.value)
    assert "\n" not in str(told.value)
