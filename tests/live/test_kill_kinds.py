"""A few of the deaths of ``kills``, in every kind of run; KILLS=60 makes so many in each."""

from __future__ import annotations

import os
import signal
import time

import pytest

from swe_router.journal.run_folder import RunFolder
from tests.live.kills import Series
from tests.live.runs import INSTANCES, Launch, audit_money

pytestmark = pytest.mark.ray
SEED = int(os.environ.get("KILL_SEED", time.time()))
"""Printed with every table; set KILL_SEED to have the same points again."""
KILLS = int(os.environ.get("KILLS", "3"))


@pytest.mark.parametrize("workers", [0, 2])
def test_whatever_dies_and_whenever_books_equal_records_and_replay_is_exact(tmp_path, workers):
    Series(tmp_path, SEED, workers).go(KILLS)


@pytest.mark.parametrize(("workers", "everybody"), [(0, False), (2, True)], ids=["driver", "group"])
def test_sigterm_while_it_grades_ends_in_order_and_a_resume_grades_the_rest(
    tmp_path, workers, everybody
):
    launch = Launch(tmp_path, workers=workers, instances=INSTANCES[:2], grade=True).start()
    try:
        launch.await_line("grading ")
        if everybody:
            launch.signal_all(signal.SIGTERM)
        else:
            launch.process.terminate()
        assert launch.wait() == 130, launch.said()
        launch.assert_nothing_left()
        assert len(launch.finished()) == 2
        launch.resume()
        assert launch.wait() == 0, launch.said()
        grades = RunFolder(launch.run).grades()
        assert {one.outcome for one in grades.values()} <= {"resolved", "unresolved"}, grades
        assert len(grades) == 2
        audit_money(launch.run)
        launch.assert_nothing_left()
    finally:
        launch.end()
