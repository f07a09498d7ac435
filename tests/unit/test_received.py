"""A run folder from a stranger: it is read, and neither runs anything nor leads anywhere."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.__main__ import main
from swe_router.candidates import run_attempts
from swe_router.commands.run import run_driver
from swe_router.errors import UsageError
from swe_router.integrity import own_runs
from swe_router.integrity.locate import SAMPLE_RUN
from swe_router.journal.header import header_of_run
from swe_router.journal.run_folder import RunFolder
from swe_router.records import digest_of
from swe_router.records.safe_names import checked_name
from swe_router.settings import name_of
from tests.doubles.copies import copied

PATHS = ("../../../canary", "/canary", "..", ".", "a/b", "a\\b", "a\0b", "a\nb", "x" * 300, "",
         "\ud800", "\u202egpj.exe", "\x1b[31mred", ".hidden")  # fmt: skip


@pytest.fixture
def theirs(tmp_path):
    """A copy of the run that ships, as it comes out of somebody's archive."""
    return copied(assets.assets_root() / "runs" / SAMPLE_RUN, tmp_path / "in" / "theirs")


def sealed(run, change):
    """Change the settings of a run and seal them again, as a stranger can."""
    file = run / "settings.json"
    tree = json.loads(file.read_text("utf-8"))
    tree.pop("seal", None)
    change(tree)
    file.write_text(json.dumps({**tree, "seal": digest_of(tree)}))


def edited(file, *path, value):
    """Put ``value`` at a place of the first line of a file of JSON lines."""
    first, *rest = file.read_text("utf-8").splitlines(keepends=True)
    tree = json.loads(first)
    place = tree
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(tree) + "\n" + "".join(rest), "utf-8")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_no_id(path):
    with pytest.raises(ValueError, match="cannot name a file"):
        checked_name(path)


@pytest.mark.parametrize("name", ["demo__confet-3", "a.b__c.d-1", "0-imported.2", "1-local.2.2"])
def test_an_id_is_an_id(name):
    assert checked_name(name) == name


def names(where):
    def change(tree):
        place = tree["settings"]
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = ["this:d"] if where[-1] == "names" else "this:d"

    return change


@pytest.mark.parametrize("where", [("policy", "name"), ("selector",), ("verify", "names")])
def test_a_replay_imports_nothing_that_the_run_names(theirs, where, capsys):
    sealed(theirs, names(where))
    sys.modules.pop("this", None)
    assert main(["replay", str(theirs)]) == 2
    assert "names code" in capsys.readouterr().err
    assert "this" not in sys.modules


def test_a_replay_opens_no_file_of_the_run_that_the_settings_name(theirs, capsys):
    (theirs / "mine.json").write_text("{}")
    where = str(theirs / "mine.json")
    sealed(theirs, lambda tree: tree["settings"]["verify"].update(calibration=where))
    assert main(["replay", str(theirs)]) == 2
    assert "run folder itself" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["../../../canary", "/tmp/canary", "a\\b", "x" * 300])
@pytest.mark.parametrize("command", ["show", "replay", "report", "export", "grade", "resume"])
def test_an_instance_whose_id_is_a_path_is_refused(theirs, path, command, tmp_path, capsys):
    for file in ("records.jsonl", "instances.jsonl"):
        where = ("instance", "id") if file == "records.jsonl" else ("id",)
        edited(theirs / file, *where, value=path)
    before = sorted(tmp_path.rglob("*"))
    more = ["--format", "experiments", "--partial", "--out", str(tmp_path / "out")]
    assert main([command, str(theirs), *(more if command == "export" else [])]) == 2
    assert "cannot name a file" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_attempt_whose_id_is_a_path_is_refused(theirs, tmp_path, capsys):
    edited(theirs / "records.jsonl", "outcomes", 0, "attempt", "id", value="../../../1-local")
    out = tmp_path / "out"
    assert main(["export", str(theirs), "--format", "experiments", "--out", str(out)]) == 2
    assert "cannot name a file" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", ["trajectories", "ledger.jsonl", "logs", "grades.jsonl", "stop"])
@pytest.mark.parametrize("command", ["show", "resume", "grade", "replay"])
def test_a_link_that_leads_out_of_a_run_is_not_followed(theirs, name, command, tmp_path, capsys):
    away = tmp_path / "away"
    place = theirs / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(away)  # dangling: a write would make it
    assert main([command, str(theirs)]) == 2
    assert "leads out of" in capsys.readouterr().err
    assert not away.exists()


def test_an_export_goes_through_no_link_in_its_folder(theirs, tmp_path, capsys):
    away, out = tmp_path / "away", tmp_path / "out"
    away.mkdir()
    out.mkdir()
    (out / "trajs").symlink_to(away)
    assert main(["export", str(theirs), "--format", "experiments", "--out", str(out)]) == 2
    assert "leads out of" in capsys.readouterr().err
    assert list(away.iterdir()) == []


def test_an_export_hands_out_no_file_from_outside_the_run(theirs, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "report.json").write_text("secret")
    edited(theirs / "grades.jsonl", "evidence", "log", value=str(secret / "run_instance.log"))
    out = tmp_path / "out"
    assert main(["export", str(theirs), "--format", "experiments", "--out", str(out)]) == 0
    assert not any("secret" in one.read_text("utf-8") for one in out.rglob("*.json"))


@pytest.mark.parametrize("name", ["records.jsonl", "ledger.jsonl", "instances.jsonl", "x.gz"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(theirs, name, kind, capsys):
    (theirs / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(theirs / name)
    else:
        before = Path.cwd()
        os.chdir(theirs)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name)
        os.chdir(before)
    for command in ("show", "replay", "report"):
        assert main([command, str(theirs)]) == 2
        assert f"{name} is a" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["../../canary", "/canary", "a/b", ".."])
@pytest.mark.parametrize("command", ["grade", "verify", "run"])
def test_a_prediction_whose_id_is_a_path_is_refused(command, path, tmp_path, capsys):
    file = tmp_path / "preds.jsonl"
    row = {"instance_id": path, "model_patch": "", "model_name_or_path": "m"}
    file.write_text(json.dumps(row) + "\n")
    more = {"grade": ["grade", "--predictions", str(file), "--split", "demo"],
            "verify": ["verify", "--predictions", str(file), "--split", "demo"],
            "run": ["run", "--split", "demo", "--from", str(file), "--dry-run"]}  # fmt: skip
    assert main(more[command]) == 2
    assert "cannot name a file" in capsys.readouterr().err


def test_a_pipe_among_trajectories_or_as_the_split_is_not_waited_for(theirs, tmp_path, capsys):
    moves = theirs / "trajectories" / "demo__confet-3" / "moves.jsonl"
    moves.unlink()
    os.mkfifo(moves)
    assert list(run_attempts.attempts(theirs))
    assert moves not in dict(run_attempts.attempts(theirs))
    moves.unlink()
    os.mkfifo(tmp_path / "split.jsonl")
    where = str(tmp_path / "split.jsonl")
    sealed(theirs, lambda tree: tree["settings"].update(split=where))
    assert main(["export", str(theirs), "--format", "statement", "--out", str(tmp_path / "o")]) == 2
    assert "split.jsonl is a named pipe" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def nothing_begun(tmp_path, monkeypatch):
    """A cache of the test's own: what was trusted here before is none of its business."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


RISKS = {
    "policy": (("policy", "name"), "this:d"),
    "selector": (("selector",), "this:d"),
    "verifier": (("verify", "names"), ["this:d"]),
    "sandbox": (("sandbox", "kind"), "this:d"),
    "dialect": (("tiers", "local", "dialect"), "this:d"),
    "recorded dialect": (("tiers", "local", "options", "record"), "this:d"),
    "written file": (("tiers", "local", "options"), {"record": "scripted", "file": "/tmp/canary"}),
    "key": (("tiers", "local"), {"base_url": "http://keys.example/v1", "api_key_env": "THE_KEY"}),
    "secret header": (("tiers", "local"), {
        "base_url": "http://keys.example/v1", "gateway": "other", "headers": {"x-a": "env:HOME"}}),
    "address for a gateway": (("tiers", "local"), {
        "base_url": "http://127.0.0.1:8787/v1", "gateway": "portkey-self-hosted", "headers": {
            "x-portkey-provider": "openai", "x-portkey-custom-host": "http://keys.example"}}),
    "no sandbox": (("sandbox", "unsafe"), True),
    "data set": (("dataset",), "this:d"),
    "network": (("grade", "network"), ["*"]),
}  # fmt: skip


def risky(name):
    """A change of settings that goes with their digest, as whoever made the run would have it."""
    where, value = RISKS[name]

    def change(tree):
        place = tree["settings"]
        for key in where[:-1]:
            place = place[key]
        old = place.get(where[-1])
        place[where[-1]] = {**old, **value} if isinstance(value, dict) else value
        if name == "sandbox":
            tree["sandbox"] = value
        tree["digest"] = name_of(tree["settings"])

    return change


@pytest.mark.parametrize("name", RISKS)
def test_a_strangers_run_does_nothing_of_its_own_to_the_machine_until_it_is_trusted(
    theirs, name, capsys
):
    (theirs / "records.jsonl").write_text("")
    sealed(theirs, risky(name))
    sys.modules.pop("this", None)
    assert main(["resume", str(theirs)]) == 2
    said = capsys.readouterr().err
    assert "was not begun by you" in said
    assert "--trust" in said
    assert said.count("\n") == 1
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    ("field", "reason"),
    [("repository", "show models the repository"), ("build", "build an image from the folder")],
)
@pytest.mark.parametrize("command", ["resume", "grade"])
def test_a_strangers_run_reads_no_folder_of_this_machine_until_it_is_trusted(
    theirs, field, reason, command, capsys, tmp_path
):
    (theirs / "records.jsonl").write_text("")
    edited(theirs / "instances.jsonl", field, value=str(tmp_path / "mine"))
    sealed(theirs, lambda tree: tree.update(instances=""))
    assert main([command, str(theirs)]) == 2
    error = capsys.readouterr().err
    assert "was not begun by you" in error
    assert f"{reason} '{tmp_path / 'mine'}'" in error


def test_a_trusted_run_goes_on_and_is_not_asked_about_again(theirs, capsys):
    sealed(theirs, risky("no sandbox"))
    (theirs / "records.jsonl").write_text("")
    run = RunFolder(theirs)
    with pytest.raises(UsageError, match="without a sandbox"):
        run_driver.find_to_resume(str(theirs), theirs)
    assert run_driver.find_to_resume(str(theirs), theirs, is_trusted=True).path == run.path
    assert run_driver.find_to_resume(str(theirs), theirs).path == run.path


def test_what_the_users_own_settings_ask_for_is_no_risk(theirs):
    sealed(theirs, risky("no sandbox"))
    (theirs / "records.jsonl").write_text("")
    wished = header_of_run(RunFolder(theirs)).settings
    assert run_driver.find_to_resume(str(theirs), theirs, requested_settings=wished)
    other = wished.model_copy(update={"sandbox": wished.sandbox.model_copy(
        update={"unsafe": False})})  # fmt: skip
    with pytest.raises(UsageError, match="without a sandbox"):
        run_driver.find_to_resume(str(theirs), theirs, requested_settings=other)


def test_a_key_for_a_server_of_this_machine_is_no_risk(theirs):
    def change(tree):
        tree["settings"]["tiers"]["local"] |= {
            "base_url": "http://127.0.0.1:8000/v1", "api_key_env": "THE_KEY"}  # fmt: skip
        tree["digest"] = name_of(tree["settings"])

    sealed(theirs, change)
    (theirs / "records.jsonl").write_text("")
    assert run_driver.find_to_resume(str(theirs), theirs)


def test_a_report_imports_nothing_that_the_run_names(theirs, capsys):
    sealed(theirs, names(("policy", "name")))
    sys.modules.pop("this", None)
    assert main(["report", str(theirs)]) == 0
    assert "this" not in sys.modules


def test_a_run_that_was_begun_here_is_ours_wherever_it_is_moved(tmp_path):
    theirs = copied(assets.assets_root() / "runs" / SAMPLE_RUN, tmp_path / "a")
    sealed(theirs, risky("no sandbox"))
    (theirs / "records.jsonl").write_text("")
    own_runs.remember(RunFolder(theirs))
    moved = theirs.rename(tmp_path / "b")
    assert run_driver.find_to_resume(str(moved), tmp_path)
    sealed(moved, risky("key"))
    with pytest.raises(UsageError, match=r"send \$THE_KEY to http://keys.example"):
        run_driver.find_to_resume(str(moved), tmp_path)
