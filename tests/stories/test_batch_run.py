"""A run in batches: one per step of all instances; a Ctrl-C leaves it out, a resume uses it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from swe_router.__main__ import main
from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import log_reader
from tests.doubles import batch_bodies
from tests.doubles.batch_server import BatchServer
from tests.doubles.batched import KEY, MODELS
from tests.doubles.fleet import billed_usd

THREE = [one.id for one in splits.load_instances("demo")[:3]]
TIER = """
[tiers.{name}]
dialect = "{dialect}"
model = "{model}"
base_url = "{url}"
api_key_env = "KEY_OF_BATCHES"
window = 100000
max_output_tokens = 1000
attempt_usd = 0.3
attempt_steps = 9
price = {{ input = 3.0, output = 15.0 }}
"""
REST = """
[policy]
ladder = ["cloud"]
[verify]
names = ["applies", "judge"]
judge = "judge"
[batch]
poll_seconds = 0.3
"""
RATING = {"cause": 3, "complete": 3, "focused": 3, "general": 3, "consistent": 3}


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("KEY_OF_BATCHES", KEY)


def solving(body, service):
    """Two commands and ``submit``; a judge's question, which has no tools, gets its ratings."""
    text = repr(body["messages"])
    usage = (300 + len(text) % 997, 20 + len(text) % 89)
    if not body.get("tools"):
        rating = json.dumps({**RATING, "probability": 0.7, "why": "fine"})
        return batch_bodies.reply("anthropic", text=rating, tokens=usage, service=service)
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    call = [
        ("bash", {"command": "ls"}),
        ("bash", {"command": "echo right > new.py"}),
        ("submit", {}),
    ]
    return batch_bodies.reply(
        "anthropic", text="", calls=[call[turn]], tokens=usage, service=service
    )


def settings(folder: Path, server) -> Path:
    given = {"dialect": "anthropic", "model": MODELS["anthropic"], "url": server.base_url}
    file = folder / "batch.toml"
    tiers = [TIER.format(name=name, **given) for name in ("cloud", "judge")]
    file.write_text("budget = 2\n" + "".join(tiers) + REST)
    return file


def begin(folder: Path, server, *more: str) -> int:
    where = ["--out", str(folder / "runs"), "--sandbox", "local", "--unsafe", "--no-grade"]
    words = ["--split", "demo", "-i", ",".join(THREE), "--preset", str(settings(folder, server))]
    return main(["run", *words, *where, "--batch", "--json", *more])


def sent_first_batch(folder: Path) -> bool:
    return any('"op":"submit"' in one.read_text() for one in folder.rglob("ledger.jsonl"))


def test_a_stopped_run_says_what_is_out_and_its_resume_pays_nothing_twice(tmp_path, capsys, key):
    def stop_once_it_is_out() -> None:
        while not sent_first_batch(tmp_path):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    with BatchServer("anthropic", answer=solving, delays=(1.0, 1.2)) as server:
        threading.Thread(target=stop_once_it_is_out, daemon=True).start()
        assert begin(tmp_path, server) == 130
        told = json.loads(capsys.readouterr().out)
        assert told["out_in_batches"]["calls"] == 3
        (out,) = told["batches_out"]
        assert (out["batch"], out["tier"], out["calls"]) == ("msgbatch_0000", "cloud", 3)
        run = RunFolder.find("latest", tmp_path / "runs")
        assert main(["show", str(run.path)]) == 0
        assert "is for 3 calls out in batches" in capsys.readouterr().out
        assert main(["resume", str(run.path), "--json"]) == 0
    state = log_reader.read_ledger(run.ledger_file)
    assert state.spent == billed_usd(server)
    assert (state.reserved, state.lost) == (0, {})
    assert [len(batch.items) for batch in server.batches.values()] == [3, 3, 3, 3]
    assert {one.service for one in server.bill} == {"batch"}
    assert "batches_out" not in json.loads(capsys.readouterr().out)
    assert main(["replay", str(run.path)]) == 0
    assert main(["show", str(run.path), THREE[0], "1-cloud"]) == 0
    assert capsys.readouterr().out.count("in a batch") == 3


def test_cancelled_batches_are_settled_and_their_answers_serve_the_resume(tmp_path, capsys, key):
    def stop_once_it_is_out() -> None:
        while not sent_first_batch(tmp_path):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    with BatchServer("anthropic", answer=solving, delays=(0.8, 5.0), in_flight=1.0) as server:
        threading.Thread(target=stop_once_it_is_out, daemon=True).start()
        assert begin(tmp_path, server) == 130
        run = RunFolder.find("latest", tmp_path / "runs")
        assert main(["resume", str(run.path), "--cancel-batches", "--json"]) == 0
        state = log_reader.read_ledger(run.ledger_file)
        assert (state.reserved, state.submitted_usd) == (0, 0)
        assert state.spent == billed_usd(server)
        server.delays = (0.0, 0.1)
        assert main(["resume", str(run.path), "--live", "--json"]) == 0
    state = log_reader.read_ledger(run.ledger_file)
    assert state.spent == billed_usd(server)
    requests = [json.dumps(one.body, sort_keys=True) for one in server.bill]
    assert len(requests) == len(set(requests)) == 12, "each call was bought once"
    assert main(["replay", str(run.path)]) == 0


def test_batches_need_one_process_and_a_tier_that_takes_them(tmp_path, capsys, key):
    with BatchServer("anthropic", answer=solving) as server:
        assert begin(tmp_path, server, "--workers", "2") == 2
        assert "use --workers 0" in capsys.readouterr().err
    where = ["--out", str(tmp_path / "runs"), "--sandbox", "local", "--unsafe", "--no-grade"]
    for more in ([], ["--dry-run"]):
        assert main(["run", *where, "--batch", *more]) == 2
        assert "no tier of this run takes batches (local, cloud" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/settings.json")), "nothing was begun"
