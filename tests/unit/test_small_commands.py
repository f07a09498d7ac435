"""Commands of a few lines: what they print, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import swe_router
from swe_router.__main__ import main
from swe_router.cli import entry_point
from swe_router.errors import Lost


def test_the_version_is_one_line_and_a_bare_call_shows_the_commands(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{swe_router.__version__}\n"
    for words, code in (([], 2), (["--"], 0)):
        assert main(words) == code
        shown = capsys.readouterr().out
        assert all(name in shown for name in ("run", "resume", "show", "grade", "doctor"))


def test_the_shipped_table_and_the_forms_of_outcomes_are_listed(capsys):
    assert main(["outcomes", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"csv", "jsonl"} <= set(found["formats"])
    (table,) = found["shipped"].values()
    assert len(table["systems"]) >= 2
    assert main(["outcomes", "list"]) == 0
    assert next(iter(found["shipped"])) in capsys.readouterr().out


def test_an_imported_table_is_written_and_its_columns_are_mapped(tmp_path, capsys):
    file = tmp_path / "theirs.csv"
    file.write_text("task,agent,resolved\ndjango__django-1,x,1\n")
    words = ["outcomes", "import", str(file), "--out", str(tmp_path / "ours.csv"), "--json"]
    assert main([*words, "--map", "instance_id=task", "--map", "system=agent"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == str(tmp_path / "ours.csv")
    assert "django__django-1,x,1" in (tmp_path / "ours.csv").read_text()
    assert main([*words, "--map", "instance_id"]) == 2
    assert "write it as our-column=their-column" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--budget", "1"], "--budget and --route are for --judge TIER"),
        (["--route", "a=b"], "--budget and --route are for --judge TIER"),
        (["--judge", "local"], "say what it may cost with --budget USD"),
        (["--judge", "local", "--budget", "1"], "there is no folder"),
    ],
)
def test_a_judge_of_issues_needs_a_budget_and_a_place(words, reason, tmp_path, capsys):
    out = tmp_path / ("gone/features.jsonl" if len(words) == 4 else "features.jsonl")
    assert main(["features", "--split", "demo", "--out", str(out), *words]) == 2
    assert reason in capsys.readouterr().err


def test_clean_without_an_engine_says_what_it_looked_for(tmp_path):
    """In a process and a temp folder of its own: it removes what it finds."""
    env = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/no.sock", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "swe_router", "clean"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "nothing was left behind" in done.stdout
    assert "no Docker engine answers" in done.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "--split", "demo", "--knock"], "--knock and --outcomes go with --dry-run"),
        (["resume", "x", "--retry", "some"], "--retry 'some': say infra, limit or all"),
        (["grade", "--predictions", "p.jsonl"], "--predictions needs --split"),
        (["calibrate", "x"], "say --out FILE: the file to write"),
        (["features", "--split", "demo", "--out", "f", "--judge", "x", "--budget", "1",
          "--route", "half"], "--route 'half': write it as key=value"),
    ],
)  # fmt: skip
def test_half_a_command_is_refused_with_its_other_half(
    words, reason, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert (said.out, list(tmp_path.iterdir())) == ("", [])


def test_a_fault_of_ours_is_told_on_stdout_where_json_was_asked_for(capsys):
    """A program of several lines reads its one JSON value, the traceback stands on stderr."""
    assert entry_point._ended(Lost("the sandbox went away"), ["policies", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": "Lost: the sandbox went away"}
    with pytest.raises(ZeroDivisionError):
        entry_point._ended(ZeroDivisionError("by zero"), ["policies", "--json"])
    assert "a fault of swe-router's own" in json.loads(capsys.readouterr().out)["error"]
    stopped = ImportError("half loaded")
    stopped.__cause__ = KeyboardInterrupt()
    assert entry_point._ended(stopped, ["policies", "--json"]) == 130
    assert json.loads(capsys.readouterr().out) == {"error": "stopped"}
