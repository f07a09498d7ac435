"""A provider that goes away under several Ray workers: met once by all, escalated by none."""

from __future__ import annotations

import json
import time

import pytest

from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder
from tests.doubles.served import Provider
from tests.stories.test_provider_away import preset, run

pytestmark = pytest.mark.ray

MORE = ",".join(one.id for one in splits.load_instances("demo")[2:5])


def test_workers_wait_together_for_a_provider_that_comes_back(tmp_path, capsys):
    def dies(n):
        if n == 2:
            local.away(lambda: time.sleep(3.0))

    with Provider(after=dies) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=60.0)
        assert run(tmp_path, file, "--workers", "2", "-i", MORE) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["ended"], told["escalated"], cloud.asked) == ("done", 0, 0)
    assert local.asked == 5 * 3, "a step that was paid was paid again"
    assert said.err.count("tier local is paused") <= 1, "each worker told of it"
    for record in RunFolder.find("latest", tmp_path / "runs").records().values():
        (outcome,) = record.outcomes
        assert outcome.attempt.failure is None


def test_workers_give_up_together_a_provider_that_stays_away(tmp_path, capsys):
    with Provider() as local, Provider() as cloud:
        local.after = lambda n: local.stop()
        file = preset(tmp_path, local.url, cloud.url, give_up=3.0)
        assert run(tmp_path, file, "--workers", "2", "-i", MORE) == 1
        said = capsys.readouterr()
        assert json.loads(said.out)["away"]["tier local"]["cause"] == "no connection"
        assert said.err.count("tier local is given up") == 1
        found = RunFolder.find("latest", tmp_path / "runs")
        assert not found.records(), "recorded as tried"
        local.after = lambda n: None
        local.start()
        file.write_text(file.read_text())
        assert run(tmp_path, file, "--workers", "2", "-i", MORE, "--resume", "latest") == 0
    assert cloud.asked == 0
    assert len(found.records()) == 5
