"""Killed, or cut from power, at every write of an attempt: paid once, on record, exact in replay.

The process that works is a real one and dies by SIGKILL. A power cut takes, besides, what was
written and not synced: the files are cut back to a place between what a returned call promised to
be durable and what was written.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import random
import signal
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from swe_router.agents import manifest
from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.agents.tool_loop import ToolLoop
from swe_router.journal.instance_log import Receipts
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel
from swe_router.prices import PriceBand, PriceRate
from swe_router.records import Budget
from swe_router.wiring.run_wiring import RunWiring
from tests.doubles.agent import INSTANCE, Told
from tests.doubles.talker import QuickSandbox, Talker

STEPS = 3
ATTEMPT = "1-cheap"
SHEET = manifest.read_manifest("default")
RATE = PriceRate(
    bands=(PriceBand(input=1, output=2, cache_read=1, cache_write=1),),
    source="test",
    date=datetime.date(2026, 1, 1),
)


class Fuse:
    """Kills this process when it is passed for the ``at``-th time; notes what is durable."""

    def __init__(self, folder: Path, at: int) -> None:
        self.at, self.passed, self.folder = at, 0, folder
        self.files = (folder / "ledger.jsonl", attempt_file(folder))

    def __call__(self, durable: int | None = None) -> None:
        if durable is not None:
            size = self.files[durable].stat().st_size
            with (self.folder / "durable").open("a") as file:
                file.write(json.dumps([durable, size]) + "\n")
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work, durable: int | None = None):
        def fused(*words, **named):
            self()
            made = work(*words, **named)
            self(durable)
            return made

        return fused


def attempt_file(folder: Path) -> Path:
    return folder / "trajectories" / INSTANCE.id / f"{ATTEMPT}.jsonl"


def wiring_of(folder: Path) -> RunWiring:
    settings = SimpleNamespace(budget=Decimal(10))
    (folder / "settings.json").write_text('{"settings": {}, "seal": "of this run"}')
    return RunWiring(RunFolder(folder), SimpleNamespace(settings=settings), print)


def work(folder: Path, fuse: Fuse, most: int = STEPS):
    """What a worker does with an attempt, begun or gone on with."""
    wiring = wiring_of(folder)
    wiring.settle_receipts(INSTANCE)
    tape = wiring.log_of(INSTANCE)
    with wiring.ledger.hold("cheap", Decimal(5), f"{INSTANCE.id}/{ATTEMPT}") as hold:
        receipts = Receipts(tape, ATTEMPT, among_steps=True)
        book = SimpleNamespace(
            reserve=fuse.around(hold.reserve, durable=0),
            settle=fuse.around(hold.settle),
            void=hold.void,
            lose=hold.lose,
        )
        kept = SimpleNamespace(
            paid_answer=receipts.paid_answer, keep=fuse.around(receipts.keep, durable=1)
        )
        talker = SimpleNamespace(complete=fuse.around(Talker(folder / "bill").complete))
        sandbox = SimpleNamespace(identity="test:quick", run=fuse.around(QuickSandbox().run))
        model = MeteredModel(talker, book, RATE, receipts=kept)
        record = fuse.around(lambda step: tape.record_step(ATTEMPT, step))
        context = Told().context(record=record, past=tape.steps(ATTEMPT))
        loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
        return loop.solve(INSTANCE, model, sandbox, Budget(dollars=5, steps=most), context)


def killed_at(folder: Path, at: int) -> bool:
    """A process of its own works until it is killed; False when it came to its end before."""
    folder.mkdir()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work(folder, Fuse(folder, at))
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def cut_power(folder: Path, seed: int) -> None:
    """Take what was written and not yet durable, or a part of it."""
    durable = [0, 0]
    if (folder / "durable").exists():
        for line in (folder / "durable").read_text().splitlines():
            file, size = json.loads(line)
            durable[file] = size
    drawn = random.Random(seed)
    for file, kept in zip(Fuse(folder, 0).files, durable, strict=True):
        if file.exists() and (file.name != "ledger.jsonl" or kept):
            size = file.stat().st_size
            os.truncate(file, drawn.choice([kept, drawn.randint(kept, size)]))


def check(folder: Path) -> None:
    """Goes on, to the end; what then must hold of money, records and replay."""
    end = work(folder, Fuse(folder, 0))
    assert (end.steps, end.exit) == (STEPS, "steps")
    tape = wiring_of(folder).log_of(INSTANCE)
    tape.close_attempt(ATTEMPT)
    steps = tape.steps(ATTEMPT)
    assert [step.index for step in steps] == list(range(STEPS))
    dialogue = Dialogue(SHEET, INSTANCE, DialogueSetup(Told().context(), 20, 60))
    seal = ""
    for step in steps:
        assert dialogue.request().digest() == step.request, "the replay of the step is exact"
        assert step.sealed(seal).seal == step.seal
        dialogue.add(step.completion, step.actions)
        seal = step.seal
    figures = Ledger(folder / "ledger.jsonl", Decimal(10)).figures()
    assert figures.settled == sum(step.completion.usd for step in steps)
    assert figures.reserved == 0
    # A call that was on its way when the process died may have been served: it is charged as
    # reserved, and asked again. No other is ever bought twice.
    bill = Counter((folder / "bill").read_text().split())
    twice = [request for request, times in bill.items() if times > 1]
    assert len(bill) == STEPS
    assert len(twice) <= 1
    assert max(bill.values()) <= 2
    assert bool(figures.lost) >= bool(twice)


BOUNDARIES = 12 * STEPS
"""Before and after: reservation, call, receipt, settlement, command, step."""


@pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power cut"])
def test_an_attempt_that_dies_at_any_write_is_paid_once_and_replays_exactly(tmp_path, power):
    lost = 0
    for at in range(1, BOUNDARIES + 1):
        folder = tmp_path / str(at)
        assert killed_at(folder, at), f"boundary {at} is not reached"
        if power:
            cut_power(folder, seed=at)
        check(folder)
        lost += Ledger(folder / "ledger.jsonl", Decimal(10)).figures().lost > 0
    assert not killed_at(tmp_path / "whole", BOUNDARIES + 1), "there are more boundaries than tried"
    # Between a reservation and its receipt, four of the twelve places of a step.
    assert lost == 4 * STEPS


def syncs_of_an_attempt(folder: Path, steps: int) -> int:
    folder.mkdir()
    synced: list[str] = []

    def watch(frame, event, what):
        if event == "c_call" and what in (os.fsync, os.fdatasync):
            synced.append(what.__name__)

    sys.setprofile(watch)
    try:
        work(folder, Fuse(folder, 0), steps)
    finally:
        sys.setprofile(None)
    return len(synced)


def test_a_step_waits_for_the_disk_twice_before_its_call_and_for_its_answer(tmp_path):
    few, more = (syncs_of_an_attempt(tmp_path / str(n), n) for n in (STEPS, STEPS + 5))
    assert more - few == 2 * 5
