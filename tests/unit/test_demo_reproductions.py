"""The recorded tests of the demo judge patches by running: the planted ones, and some of ours."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from swe_router import assets
from swe_router.records import Instance
from swe_router.settings import load
from swe_router.verifiers.reproduction import test_writer
from swe_router.verifiers.reproduction.repository_context import RepositoryContext

SUITE = assets.assets_root() / "eval" / "suites" / "demo"
ROWS = {
    row["instance_id"]: row
    for row in map(json.loads, (SUITE / "instances.jsonl").read_text("ascii").splitlines())
}
SETTINGS = load("demo")


def issue(name: str) -> Instance:
    row = ROWS[name]
    return Instance(
        id=name, repo=row["repo"], base_commit=row["base_commit"], problem=row["problem_statement"]
    )


@pytest.mark.parametrize("name", sorted(ROWS))
def test_nothing_hidden_is_in_what_the_writer_reads_or_says(name: str) -> None:
    row = ROWS[name]
    around = RepositoryContext("pytest", "python", (), "tests/test_a.py", "import a\n")
    (asked,) = test_writer.writer_messages(1, SETTINGS.verify.samples, issue(name), around)
    note = {**row, "problem_statement": ""}
    path = SUITE / "recordings" / "writer" / f"{name}.toml"
    for text in (asked.content, path.read_text("ascii")):
        for test in hidden(note):
            assert test not in text, "nor as the beginning of another name"
    for line in row["patch"].splitlines():
        if line.startswith("+") and len(line.strip("+ ")) > 25:
            assert line[1:].strip() not in asked.content, "a line of the fix"


def hidden(row: dict[str, Any]) -> set[str]:
    """Names of the functions that only the hidden tests have."""
    added = set(re.findall(r"^\+def (test_\w+)", row["test_patch"], re.M))
    wanted = {test.split("::")[-1].split("[")[0] for test in json.loads(row["FAIL_TO_PASS"])}
    assert added
    return added | wanted


def test_the_shipped_reproductions_are_what_the_writer_says() -> None:
    for path in (SUITE / "reproductions").glob("*.py"):
        recording = SUITE / "recordings" / "writer" / f"{path.stem}.toml"
        say = tomllib.loads(recording.read_text("ascii"))["step"][0]["say"]
        assert test_writer.extract_test(say) == Path(path).read_text("ascii")
