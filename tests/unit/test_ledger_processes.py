"""The ledger between real threads and processes: who is alive, and what a killed one leaves."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from swe_router.errors import LedgerRefused
from swe_router.ledger import Ledger
from swe_router.ledger.owner import is_alive, this_process
from tests.doubles.office import NOTHING

D = Decimal


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc, as Linux has it")
def test_this_process_lives_and_a_killed_child_does_not():
    assert is_alive(this_process())
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    host, boot, _, _ = this_process().split("|")
    start = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]  # noqa: SIM115, PTH123
    child = "|".join((host, boot, str(pid), start))
    assert is_alive(child)
    assert not is_alive("|".join((host, boot, str(pid), "1"))), "a later process with its number"
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child), "a zombie does not spend"
    os.waitpid(pid, 0)
    assert not is_alive("|".join((host, "another-boot", str(os.getpid()), "1")))
    assert is_alive("|".join(("another-host", "another-boot", "1", "1"))), "nobody can ask it"
    renamed = "|".join(("another-name", boot, str(pid), start))
    assert not is_alive(renamed), "a new container on the same machine can tell"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc, as Linux has it")
def test_owners_of_older_runs_are_known_by_the_same_start():
    """Runs made before psutil was used hold the 22nd field of ``/proc/PID/stat``."""
    _, _, pid, start = this_process().split("|")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert start == fields[19]


def test_an_owner_without_a_start_is_asked_by_its_number_alone():
    host, boot, pid, _ = this_process().split("|")
    assert is_alive("|".join((host, boot, pid, "")))
    assert not is_alive("|".join((host, boot, str(2**22 + 1), ""))), "no such number"


def test_threads_share_one_ledger(tmp_path):
    book = Ledger(tmp_path / "ledger.jsonl", D("1"))

    def work():
        for n in range(10):
            with book.hold("t", D("0.2"), f"{threading.get_ident()}#{n}") as hold:
                hold.settle(hold.reserve(D("0.2")), D("0.02"), NOTHING)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    figures = book.figures()
    assert (figures.settled, figures.reserved) == (D("0.80"), D(0))


def _worker(path, seed, tell):
    book = Ledger(path, D("3"))
    dice = random.Random(seed)
    for n in range(100):
        try:
            with book.hold("t", D("0.05"), f"{seed}#{n}") as hold:
                for _ in range(2):
                    usd = D(dice.randint(1, 20)) / 1000
                    hold.settle(hold.reserve(D("0.02")), usd, NOTHING)
                    tell.put(usd)
        except LedgerRefused:
            break
    tell.put(None)
    tell.close()
    tell.join_thread()


def test_four_processes_one_killed_never_pass_the_budget(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path, D("3"))
    fork = multiprocessing.get_context("fork")
    tells = [fork.Queue() for _ in range(4)]
    workers = [fork.Process(target=_worker, args=(path, n, tells[n])) for n in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(5):
        tells[0].get(timeout=120)
    os.kill(workers[0].pid, signal.SIGKILL)
    said = D(0)
    for tell in tells[1:]:
        while (usd := tell.get(timeout=120)) is not None:
            said += usd
    for worker in workers:
        worker.join(120)
    figures = Ledger(path, D("3")).figures()
    assert figures.settled + figures.lost <= D("3")
    assert figures.reserved == 0
    assert figures.overrun == 0
    assert figures.settled >= said
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    settled = [entry["id"] for entry in entries if entry["op"] == "settle"]
    assert len(settled) == len(set(settled))
    assert sum(D(e["usd"]) for e in entries if e["op"] == "settle") == figures.settled
