"""kill -9 and Ctrl-C at random points of real runs: nothing lost, nothing twice, nothing left."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from decimal import Decimal

import pytest

from tests.live.runs import (
    BUSY,
    PATIENCE,
    Launch,
    SilentProvider,
    audit,
    processes_with,
    reference_of,
)

pytestmark = pytest.mark.ray
SEED = int(os.environ.get("KILL_SEED", time.time()))
"""Printed with every table; set KILL_SEED to have the same points again."""
DRIVER_KILLS, RAY_KILLS, WORKER_KILLS = 10, 4, 6
LONGEST = 9.0
"""Seconds from the first sign of work to the kill."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What an undisturbed run gives: instance -> what it was decided and what came out."""
    launch = Launch(tmp_path_factory.mktemp("reference"), workers=0).start()
    try:
        assert launch.wait() == 0, launch.said()
        return reference_of(launch.run)
    finally:
        launch.end()


@pytest.fixture
def silent_provider():
    made = SilentProvider()
    yield made
    made.close()


def kill_until(launch, how, kills, chance, table):
    """Start, kill at a random point, resume, kill again …, until the run is done."""
    launch.start()
    while kills > 0:
        launch.await_work()
        after = chance.uniform(0.0, LONGEST)
        if launch.ended_within(after):
            break
        kind = chance.choice(how)
        done, doing = launch.finished(), launch.last_line()
        launch.kill(kind)
        kills -= 1
        table.append(f"{kind:<7} {after:5.2f} s  {len(done)} done  while {doing}")
        launch.assert_no_work_goes_on()
        assert launch.finished()[: len(done)] == done, "a finished record was lost"
        launch.resume()
    return kills


def finish(launch, reference):
    for _ in range(3):
        if launch.wait() == 0:
            break
        launch.resume()
    assert launch.process.returncode == 0, launch.said()
    lost = audit(launch.run, reference)
    code, said = launch.command("replay", str(launch.run))
    assert code == 0, said
    assert "all as recorded" in said
    launch.assert_nothing_left()
    return lost


def kill_runs(tmp_path, reference, workers, how, kills):
    chance, table, number = random.Random(SEED + workers), [], 0
    while kills > 0:
        number += 1
        launch = Launch(tmp_path / str(number), workers=workers)
        try:
            kills = kill_until(launch, how, kills, chance, table)
            lost = finish(launch, reference)
        finally:
            launch.end()
            print(f"\nKILL_SEED={SEED} workers={workers} run {number}", *table, sep="\n  ")
        table.append(f"finished by resume; as an undisturbed run; {lost} calls lost")


def test_a_driver_killed_at_random_points_loses_and_repeats_nothing(tmp_path, reference):
    kill_runs(tmp_path, reference, 0, ["driver", "whole"], DRIVER_KILLS)


def test_a_driver_of_ray_workers_killed_at_random_points_leaves_nothing(tmp_path, reference):
    kill_runs(tmp_path, reference, 2, ["driver", "whole"], RAY_KILLS)


def test_killed_ray_workers_are_replaced_and_their_work_gone_on_with(tmp_path, reference):
    launch = Launch(tmp_path, workers=2).start()
    chance, table = random.Random(SEED), []
    try:
        launch.await_work()
        while len(table) < WORKER_KILLS and not launch.ended_within(chance.uniform(0.5, 3.0)):
            busy = processes_with(launch.mark, BUSY)
            if busy:
                table.append(f"worker  of {len(busy)}  while {launch.last_line()}")
                os.kill(chance.choice(busy), signal.SIGKILL)
        finish(launch, reference)
    finally:
        launch.end()
        print(f"\nKILL_SEED={SEED} workers killed", *table, sep="\n  ")
    assert table, "no worker was ever at work"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("phase", ["working after", "verifying after"])
def test_one_ctrl_c_keeps_the_diffs_and_leaves_nothing(tmp_path, reference, workers, phase):
    launch = Launch(tmp_path, workers=workers).start()
    try:
        launch.await_line(f"local {phase}")
        launch.signal_all(signal.SIGINT)
        assert launch.wait() == 130, launch.said()
        launch.assert_nothing_left()
        said = launch.said()
        assert not re.search(r"stopping: .*\n(.*\n)*.* starting\n", said), "a new attempt began"
        assert launch.rescued(), "the running attempt is lost"
        # Attempts that only looked around until then have no diff.
        if phase == "verifying after":
            assert any(launch.patches().values()), "the diff of the running attempt is lost"
        launch.resume()
        finish(launch, reference)
    finally:
        launch.end()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_sigterm_ends_at_once_and_resume_still_finishes(tmp_path, reference, workers):
    launch = Launch(tmp_path, workers=workers).start()
    try:
        launch.await_line("local working after")
        for _ in range(2):
            launch.signal_all(signal.SIGTERM)
            time.sleep(0.1)
        # Sent to the whole group, it ends Ray's own processes too, on whom Ray may wait a while.
        began = time.monotonic()
        assert launch.wait() == 130, launch.said()
        assert time.monotonic() - began < 240.0, "it went on working"
        launch.assert_no_work_goes_on()
        launch.resume()
        finish(launch, reference)
    finally:
        launch.end()


def test_a_call_cut_off_by_a_kill_stays_charged_within_the_budget(tmp_path, silent_provider):
    launch = Launch(tmp_path, workers=0, preset=silent_provider.preset(tmp_path)).start()
    try:
        assert silent_provider.asked.wait(PATIENCE), launch.said()
        launch.kill("driver")
        silent_provider.answers.set()
        launch.resume()
        assert launch.wait() in {0, 1}, launch.said()
        book = launch.book()
        assert len([call for call in book.calls.values() if call.fate == "lost"]) == 1
        assert book.reserved == 0
        assert Decimal(0) < sum(book.lost.values()) <= book.spent <= book.budget
    finally:
        launch.end()
