"""Images that are neither here nor to be pulled: one refusal before anything begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.__main__ import main

pytestmark = pytest.mark.docker


@pytest.fixture
def rows(tmp_path) -> Path:
    """The demo under the names of images that no engine has."""
    file = tmp_path / "own.jsonl"
    text = (assets.assets_root() / "eval/suites/demo/instances.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()][:3]
    lines = [json.dumps({**row, "image": f"127.0.0.1:9/none:{n}"}) for n, row in enumerate(found)]
    file.write_text("\n".join(lines) + "\n")
    return file


def test_missing_images_are_named_before_the_run_begins(rows, tmp_path, capsys):
    out = tmp_path / "runs"
    given = ["--preset", "demo", "--split", str(rows), "--sandbox", "docker", "--out", str(out)]
    assert main(["run", *given, "--no-grade", "--dry-run", "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert "0 of 3 images are on the engine" in problem
    assert main(["run", *given, "--no-grade"]) == 2
    assert "127.0.0.1:9/none:0" in capsys.readouterr().err
    assert not out.exists(), "three instances would break one by one"
    assert main(["doctor", *given, "--json"]) == 1
    assert problem in json.loads(capsys.readouterr().out)["problems"]
