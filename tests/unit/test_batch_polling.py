"""How often a batch is asked for, and what ends the asking."""

from __future__ import annotations

import pytest

from swe_router.errors import BatchGone, NoAnswer, Overloaded, RateLimited, Unauthorised
from swe_router.model_abilities import BatchState
from swe_router.models.batch_polling import wait_before_poll, wait_until_ended

ENDED = BatchState("b", "ended")
RUNNING = BatchState("b", "running")


class Asked:
    """A service that answers ``poll`` by a script, and a clock that sleeping moves."""

    def __init__(self, *script):
        self.script, self.now, self.waits = list(script), 100.0, []

    def poll(self, batch_id):
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def wait(self, **more):
        return wait_until_ended(
            self, "b", since=100.0, clock=lambda: self.now, sleep=self.sleep, **more
        )


@pytest.mark.parametrize(
    ("age", "failures", "after", "wait"),
    [
        (0, 0, None, 5),
        (200, 0, None, 20),
        (40_000, 0, None, 120),
        (0, 2, None, 20),
        (0, 10_000, None, 120),
        (0, 3, 7, 7),
        (0, 0, 9999, 120),
        (0, 0, -4, 0),
    ],
)
def test_a_wait_grows_with_age_and_failures_and_has_an_end(age, failures, after, wait):
    assert wait_before_poll(age, failures=failures, after=after) == wait


def test_a_batch_is_asked_for_until_it_ended_over_failures_that_pass():
    after = RateLimited("slow", after=7)
    asked = Asked(RUNNING, Overloaded("busy"), NoAnswer("stall"), after, RUNNING, ENDED)
    assert asked.wait() is ENDED
    assert [round(wait) for wait in asked.waits[1:4]] != [5, 5, 5]
    for wait, right in zip(asked.waits, (5, 10, 20, 7, 5), strict=True):
        assert right * 0.89 < wait < right * 1.11


@pytest.mark.parametrize("error", [BatchGone("none"), Unauthorised("key")])
def test_what_waiting_does_not_mend_is_raised_at_once(error):
    asked = Asked(RUNNING, error)
    with pytest.raises(type(error)):
        asked.wait()
    assert len(asked.waits) == 1


def test_a_run_that_stops_no_longer_asks():
    asked = Asked(RUNNING, RUNNING)
    assert asked.wait(over=lambda: len(asked.waits) == 2) is None
    assert not asked.script
