"""A run that an earlier commit began and that was killed is finished by this one."""

from __future__ import annotations

import pytest

from swe_router.__main__ import main
from swe_router.journal.run_folder import RunFolder
from tests.doubles import earlier_runs

pytestmark = pytest.mark.box


def test_a_killed_run_of_before_is_resumed_and_replays(tmp_path, capsys):
    run = RunFolder(earlier_runs.unpacked("killed", tmp_path))
    before = {name: one for name, one in run.records().items() if one.status == "candidate"}
    assert main(["resume", str(run.path)]) == 0
    records = run.records()
    assert set(records) == {one.id for one in run.instances()}
    assert {name: records[name] for name in before} == before
    capsys.readouterr()
    assert main(["replay", str(run.path)]) == 0
    assert "all as recorded" in capsys.readouterr().out
