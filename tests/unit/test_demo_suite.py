"""The demo suite is what it says: rows, histories, recordings and preset fit each other."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swe_router import assets, settings, toolcalls
from swe_router.agents import edit_tool, tools
from swe_router.records import ToolCall
from swe_router.verifiers.reproduction import test_writer

SUITE = assets.assets_root() / "eval" / "suites" / "demo"
COLUMNS = {
    "repo", "instance_id", "base_commit", "patch", "test_patch", "problem_statement", "hints_text",
    "created_at", "version", "FAIL_TO_PASS", "PASS_TO_PASS", "environment_setup_commit",
    "difficulty", "eval_script", "log_parser", "eval_type", "image",
}  # fmt: skip
ROWS = [json.loads(line) for line in (SUITE / "instances.jsonl").read_text("ascii").splitlines()]
IDS = [row["instance_id"] for row in ROWS]
RECORDINGS = sorted(
    path for tier in ("local", "cloud") for path in (SUITE / "recordings" / tier).glob("*.toml")
)
WRITTEN = sorted((SUITE / "recordings" / "writer").glob("*.toml"))
REFUSED_EDITS = {("local", "demo__confet-7"): 1}
"""Recorded edits that the edit tool must refuse, by recording."""
BROKEN = {("local", "demo__slotkeeper-6"), ("cloud", "demo__gridtext-16")}
HEADS = {
    "confet": "622ae54759537a722a958d9eb6153b67b4b4c4da",
    "gridtext": "d4d3d53063313cecb5d03f091133f99261aabd31",
    "slotkeeper": "c44218380d974d3faa173070b202feed10e5cd0f",
}

each_row = pytest.mark.parametrize("row", ROWS, ids=IDS)
each_recording = pytest.mark.parametrize(
    "path", RECORDINGS, ids=[f"{path.parent.name}-{path.stem}" for path in RECORDINGS]
)


class Repos:
    """The packages' repositories, rebuilt from their streams."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in HEADS:
            self.git(folder, "init", "-q", "--bare", "-b", "main", f"{name}.git")
            stream = (SUITE / "repos" / f"{name}.fi").read_bytes()
            self.git(folder / f"{name}.git", "fast-import", "--quiet", given=stream)

    def git(self, where: Path, *args: str, given: bytes = b"", **env: str) -> str:
        clean = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull} | env
        command = ["git", "-c", "safe.directory=*", *args]
        done = subprocess.run(
            command, cwd=where, env=clean, input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def of(self, row: Mapping[str, str]) -> Path:
        return self.folder / f"{row['repo'].removeprefix('demo/')}.git"

    def tree_with(self, row: Mapping[str, str], *columns: str) -> str:
        """The tree of the base commit with patches of the row applied."""
        index = str(self.folder / "index")
        self.git(self.of(row), "read-tree", row["base_commit"], GIT_INDEX_FILE=index)
        for column in columns:
            patch = row[column].encode()
            self.git(self.of(row), "apply", "--cached", given=patch, GIT_INDEX_FILE=index)
        return self.git(self.of(row), "write-tree", GIT_INDEX_FILE=index).strip()


@pytest.fixture(scope="module")
def repos(tmp_path_factory):
    return Repos(tmp_path_factory.mktemp("repos"))


def test_there_are_at_least_twelve_instances_in_three_packages():
    assert len(ROWS) >= 12
    assert {row["repo"] for row in ROWS} == {f"demo/{name}" for name in HEADS}
    assert len(set(IDS)) == len(IDS)


@each_row
def test_a_row_has_every_official_column_as_text(row):
    assert set(row) == COLUMNS
    assert all(isinstance(value, str) for value in row.values())
    assert row["image"] == f"swe-router/demo:{row['instance_id']}"
    assert (row["log_parser"], row["eval_type"]) == ("parse_log_pytest", "pass_and_fail")
    assert not re.search(r"/(work|root|home|tmp)/", json.dumps(row))


@each_row
def test_expected_tests_survive_the_log_parser_that_cuts_ids_at_blanks(row):
    failing, passing = json.loads(row["FAIL_TO_PASS"]), json.loads(row["PASS_TO_PASS"])
    assert failing
    assert passing
    assert not set(failing) & set(passing)
    assert all("::" in test and test.count("[") == test.count("]") for test in failing + passing)


@each_row
def test_the_issue_names_no_hidden_test(row):
    added = set(re.findall(r"^\+\s*def (test_\w+)", row["test_patch"], re.MULTILINE))
    assert added
    assert not added & set(re.findall(r"\w+", row["problem_statement"]))


@each_row
def test_the_evaluation_script_needs_no_install_and_is_sound(row):
    script = row["eval_script"]
    assert row["test_patch"] in script
    assert not re.search(r"\b(pip|conda|apt|curl|git config)\b", script)
    body = script.split("EOF_114329324912")[-1]
    files = re.findall(r"^\+\+\+ b/(.*)$", row["test_patch"], re.MULTILINE)
    assert body.splitlines()[1:] == [
        ": '>>>>> Start Test Output'",
        f"python -m pytest -rA -p no:cacheprovider {' '.join(files)}",
        ": '>>>>> End Test Output'",
        f"git checkout {row['base_commit']} {' '.join(files)}",
    ]


def test_streams_rebuild_the_same_commits_everywhere(repos):
    for name, head in HEADS.items():
        assert repos.git(repos.folder / f"{name}.git", "rev-parse", "main").strip() == head


def test_streams_end_at_the_newest_base_commit():
    assert {row["base_commit"] for row in ROWS} >= set(HEADS.values())


@each_row
def test_patches_apply_and_later_history_holds_the_fix(repos, row):
    fixed = repos.tree_with(row, "test_patch", "patch")
    if row["base_commit"] in HEADS.values():
        return  # the newest base commit: its fix is in no stream
    later = repos.git(repos.of(row), "rev-list", "--reverse", f"{row['base_commit']}..main").split()
    assert repos.git(repos.of(row), "rev-parse", f"{later[0]}^{{tree}}").strip() == fixed


@pytest.mark.parametrize("tier", ["local", "cloud"])
def test_any_policy_finds_a_recording_of_each_tier(tier):
    names = {path.stem for path in RECORDINGS if path.parent.name == tier}
    assert set(IDS) <= names
    assert {name.removesuffix(".2") for name in names} == set(IDS)


@each_recording
def test_recorded_calls_fit_the_tools(path):
    steps = tomllib.loads(path.read_text("ascii"))["step"]
    for call in (call for step in steps for call in _calls(step)):
        assert not tools.checked_call(call, tools.tool_specs(list(tools.TABLE))).error
    texts = [toolcalls.render_calls(_calls(step)) for step in steps if "call" in step]
    again = [toolcalls.parse_calls(text).calls for text in texts]
    sent = [_calls(step) for step in steps if "call" in step]
    assert [[c.arguments for c in calls] for calls in again] == [
        [c.arguments for c in calls] for calls in sent
    ]


@each_recording
def test_recorded_edits_apply_to_the_base_commit(repos, path):
    key = (path.parent.name, path.stem.removesuffix(".2"))
    row = next(row for row in ROWS if row["instance_id"] == key[1])
    steps = tomllib.loads(path.read_text("ascii"))["step"]
    files: dict[str, bytes] = {}
    refused = []
    for call in (call for step in steps for call in _calls(step) if call.name == "edit"):
        name = call.arguments["path"]
        before = None
        if call.arguments["action"] != "create":
            before = files.get(name) or _at_base(repos, row, name)
        try:
            files[name] = edit_tool.apply_edit(name, before, call.arguments)
        except edit_tool.EditRefused as fault:
            refused.append(str(fault))
    assert len(refused) == REFUSED_EDITS.get(key, 0)
    assert all("syntax" in text for text in refused)
    assert bool(files) == (
        key not in BROKEN | {("local", "demo__gridtext-10")} or ".2" in path.stem
    )


def test_the_malformed_call_is_one():
    path = SUITE / "recordings" / "local" / "demo__gridtext-4.toml"
    raw = [step["raw"] for step in tomllib.loads(path.read_text())["step"] if "raw" in step]
    assert [call.error != "" for text in raw for call in toolcalls.parse_calls(text).calls] == [
        True
    ]


def test_broken_providers_answer_nothing():
    found = set()
    for path in RECORDINGS:
        steps = tomllib.loads(path.read_text())["step"]
        if any("error" in step for step in steps):
            assert [step["error"] for step in steps] == ["Overloaded"]
            found.add((path.parent.name, path.stem))
    assert found == BROKEN


def test_the_preset_leaves_one_attempt_to_be_cut_off_and_the_budget_holds_a_cascade():
    demo = settings.load("demo")
    assert demo.ladder == ("local", "cloud")
    assert demo.budget == 1
    assert sum(demo.tiers[name].attempt_usd for name in demo.ladder) < demo.budget / 2
    longest = dict.fromkeys(demo.ladder, 0)
    for path in RECORDINGS:
        assert (
            assets.assets_root() / demo.tiers[path.parent.name].options["recordings"] == path.parent
        )
        steps = len(tomllib.loads(path.read_text())["step"])
        longest[path.parent.name] = max(longest[path.parent.name], steps)
    assert longest["local"] > demo.tiers["local"].attempt_steps
    assert longest["cloud"] < demo.tiers["cloud"].attempt_steps


def test_reproductions_are_tests_of_instances_of_the_suite():
    for path in (SUITE / "reproductions").glob("*.py"):
        assert path.stem in IDS
        assert "def test_" in path.read_text("ascii")
        ast.parse(path.read_text("ascii"))


def test_the_writer_has_a_test_of_every_issue_and_it_names_no_hidden_one():
    assert {path.stem for path in WRITTEN} >= set(IDS)
    for path in WRITTEN:
        row = next(row for row in ROWS if row["instance_id"] == path.stem.split(".")[0])
        says = [step["say"] for step in tomllib.loads(path.read_text("ascii"))["step"]]
        text = test_writer.extract_test(says[0])
        ast.parse(text)
        assert len(says) == 1
        written, hidden = (
            set(re.findall(r"def (test_\w+)", one)) for one in (text, row["test_patch"])
        )
        assert written
        assert not written & hidden, "a name of a hidden test in what a model may say"


def _calls(step: Mapping[str, Any]) -> list[ToolCall]:
    return [
        ToolCall(
            id=f"call_{number}",
            name=table["tool"],
            arguments={key: value for key, value in table.items() if key != "tool"},
        )
        for number, table in enumerate(step.get("call", ()), 1)
    ]


def _at_base(repos: Repos, row: Mapping[str, str], path: str) -> bytes:
    return repos.git(repos.of(row), "show", f"{row['base_commit']}:{path}").encode()
