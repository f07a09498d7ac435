"""Money added to real runs: after a kill at any moment, and from another terminal meanwhile."""

from __future__ import annotations

import os
import random
import time

import pytest

from swe_router.journal.run_folder import RunFolder
from tests.live.runs import Launch, audit_money

pytestmark = pytest.mark.ray
SEED = int(os.environ.get("KILL_SEED", time.time()))
"""Printed; set KILL_SEED to have the same points again."""
KILLS, LONGEST = 4, 6.0
WHOLE = {
    "demo__confet-3": ["1-local"],
    "demo__confet-14": ["1-local", "2-cloud"],
    "demo__confet-7": ["1-local"],
}


def attempts(launch):
    records = RunFolder(launch.run).records()
    return {name: [one.attempt.id for one in record.outcomes] for name, record in records.items()}


def in_order(launch):
    assert attempts(launch) == WHOLE
    audit_money(launch.run)
    code, said = launch.command("replay", str(launch.run))
    assert (code, "all as recorded" in said) == (0, True), said
    launch.assert_nothing_left()


def test_a_run_out_of_money_goes_on_after_a_raise_and_kills_and_pays_nothing_twice(tmp_path):
    launch, chance = Launch(tmp_path, workers=0, budget="0.06").start(), random.Random(SEED)
    print(f"\nKILL_SEED={SEED}")
    try:
        assert launch.wait() == 3, launch.said()
        assert attempts(launch) == {name: ["1-local"] for name in WHOLE}
        poor = launch.book().spent
        launch.resume("--budget", "2")
        for number in range(KILLS):
            # The first falls around the entry of the raise, the others around the work after it.
            if launch.ended_within(chance.uniform(0.0, 2.0 if number == 0 else LONGEST)):
                break
            launch.kill(chance.choice(["driver", "whole"]))
            launch.assert_no_work_goes_on()
            launch.resume("--budget", "2")
        assert launch.wait() == 0, launch.said()
        assert [row.budget for row in launch.book().raises] == [2], "raised once"
        assert launch.book().spent > poor
        in_order(launch)
    finally:
        launch.end()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_cap_of_a_run_is_raised_from_another_terminal(tmp_path, workers):
    launch = Launch(tmp_path, workers=workers, budget="0.06").start()
    try:
        launch.await_line("starting")
        code, said = launch.command("resume", str(launch.run), "--budget", "2", "--json")
        assert (code, '"driven": true' in said) == (0, True), said
        assert launch.wait() == 0, launch.said()
        in_order(launch)
    finally:
        launch.end()
