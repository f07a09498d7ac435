"""Time in which a process could do nothing is no limit's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from swe_router.active_clock import ActiveClock


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_gap_between_two_ticks_is_not_counted_and_small_ones_are():
    hand = Hand()
    awake = ActiveClock(hand, runs_ticker=False)
    begun = awake.now()
    for _ in range(30):
        hand.at += 1.0
        awake.now()
    assert awake.now() - begun == 30.0
    hand.at += 60.0  # Ctrl-Z, fg
    assert awake.now() - begun == 31.0
    hand.at += 4.0  # a busy machine
    assert awake.now() - begun == 35.0
    assert awake.slept_seconds_since(begun) == 59.0
    assert awake.slept_seconds_since(hand.at) == 0.0
    assert awake.slept_seconds_since(hand.at - 14.0) == 10.0


def test_a_clock_that_is_put_back_or_forward_moves_no_limit():
    hand = Hand()
    awake = ActiveClock(hand, runs_ticker=False)
    begun = awake.now()
    hand.at -= 3600.0
    assert awake.now() == begun
    hand.at += 7200.0
    assert awake.now() - begun == 1.0


STOPPED = """
import sys, time
from swe_router.active_clock import ActiveClock
awake = ActiveClock(tick=0.02, min_gap=0.5)
began, real = awake.now(), time.time()
print("up", flush=True)
sys.stdin.readline()
print(time.time() - real, awake.now() - began)
"""


def test_a_stopped_process_does_not_count_while_it_is_stopped():
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        child.send_signal(signal.SIGCONT)
        real, counted = map(float, child.communicate("\n")[0].split())
    assert real >= 1.5
    assert counted <= real - 1.4
