"""The host's end of the channel: bounded output, the marker, and streams that hang or end."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.errors import Lost
from swe_router.sandboxes.bounded_output import HeadTail, Marker
from swe_router.sandboxes.channel import ChannelSandbox, escape


class Streams:
    """A transport double: answers each frame with what ``answer`` makes of its nonce."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []
        self.waiting = []
        self.closed = 0

    def send(self, data, timeout):
        self.sent.append(data)
        if data != b"\n":
            self.waiting += self.answer(data.split(b" ", 1)[0])

    def recv(self, timeout):
        if not self.waiting:
            time.sleep(min(timeout, 0.01))
            return None
        return self.waiting.pop(0)

    def close(self):
        self.closed += 1

    def epitaph(self):
        return "it was shot"


def sandbox(answer, **options):
    streams = Streams(answer)
    options = {"workdir": "/testbed", "output_bytes": 1000, "stopping": lambda: False, **options}
    return ChannelSandbox(streams, "double", **options), streams


def split(data, sizes):
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return [piece for piece in [*pieces, data[start:]] if piece]


@given(st.binary(max_size=200), st.lists(st.integers(1, 40)), st.integers(1, 60))
def test_head_and_tail_and_the_count_fit_together_however_it_arrives(data, sizes, limit):
    kept = HeadTail.of(limit)
    for piece in split(data, sizes):
        kept.feed(piece)
    if len(data) <= limit:
        assert (kept.raw(), kept.complete) == (data, True)
    else:
        half = limit // 2
        assert kept.raw() == data[: limit - half] + (data[-half:] if half else b"")
        assert kept.text()[1] >= len(data) - limit


@given(st.text(max_size=120), st.integers(8, 60))
def test_a_cap_never_garbles_a_character(text, limit):
    kept = HeadTail.of(limit)
    kept.feed(text.encode())
    shown, dropped = kept.text()
    assert "\ufffd" not in shown or "\ufffd" in text
    if dropped:
        head, notice, tail = shown.partition(f"\n[... {dropped} bytes left out ...]\n")
        assert notice
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(text.encode()) == dropped + len(head.encode()) + len(tail.encode())


def test_a_gigabyte_of_output_takes_no_memory():
    kept, piece = HeadTail.of(32_000), b"x" * (1 << 20)
    tracemalloc.start()
    for _ in range(1000):
        kept.feed(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert kept.text()[1] == 1000 * (1 << 20) - 32_000


@given(st.binary(max_size=80), st.lists(st.integers(1, 9)))
def test_the_marker_is_found_however_it_is_cut(data, sizes):
    secret, kept = b"S" * 32, HeadTail(1000)
    marker = Marker(secret, kept)
    data = data.replace(b"S", b"s")
    found = [marker.feed(piece) for piece in split(data + secret + b" 3 0 1\n", sizes)]
    assert found[-1] == [b"3", b"0", b"1"]
    assert found[:-1] == [None] * (len(found) - 1)
    assert kept.raw() == data


@given(st.binary(max_size=100))
def test_an_escaped_text_is_one_line_of_ascii(data):
    assert escape(data).isascii()
    assert b"\n" not in escape(data)
    assert not escape(data).startswith(b"-")


def test_a_sandbox_that_hangs_is_lost_and_never_hangs_the_driver():
    made, streams = sandbox(lambda nonce: [], grace=0.1)
    made._timer = False  # an image without `timeout`: the host alone watches the clock
    began = time.monotonic()
    with pytest.raises(Lost, match="no answer"):
        made.run("sleep 100", timeout=0.1)
    assert time.monotonic() - began < 60, "it waited for the command's hundred seconds"
    assert streams.sent[-1] == b"\n"
    assert streams.closed


def test_a_loop_that_cannot_hear_is_freed_from_outside_and_the_sandbox_goes_on():
    """An agent's `kill -STOP -1` stops the watcher that waits for the host's word."""
    emptied = []

    def empty():
        emptied.append(True)
        streams.waiting.append(streams.sent[0].split(b" ", 1)[0] + b" 137 0 1\n")
        return True

    made, streams = sandbox(lambda nonce: [], grace=0.2, empty=empty)
    made._timer = False
    result = made.run("kill -STOP -1", timeout=0.1)
    assert (result.exit_code, result.timed_out, emptied) == (124, True, [True])
    streams.answer = lambda nonce: [b"diff", nonce + b" 0 0 1\n"]
    assert made.run("git diff", timeout=5).output == "diff"


def test_time_in_which_the_driver_was_suspended_cuts_no_command():
    """Ctrl-Z for a minute, or a lid that was shut, within a command of two seconds."""
    made, streams = sandbox(lambda nonce: [None, nonce + b" 0 0 1\n"], clock=lambda: 1000.0)
    made._timer = False
    streams.recv = slow(streams.recv)
    result = made.run("make test", timeout=0.02)
    assert (result.exit_code, result.timed_out) == (0, False)
    assert streams.sent[1:] == []


def test_a_sandbox_that_goes_away_is_lost_and_stays_lost():
    made, _ = sandbox(lambda nonce: [b"some output", b""])
    with pytest.raises(Lost, match="it was shot"):
        made.run("make test", timeout=5)
    with pytest.raises(Lost, match="gone"):
        made.run("true", timeout=5)


def test_an_exit_code_124_in_good_time_is_the_commands_own():
    made, _ = sandbox(lambda nonce: [nonce + b" 124 0 1\n"])
    result = made.run("exit 124", timeout=5)
    assert (result.exit_code, result.timed_out) == (124, False)


@pytest.mark.parametrize("code", [b"124", b"137"])
def test_a_late_end_by_the_timer_is_a_timeout(code):
    made, streams = sandbox(lambda nonce: [None, nonce + b" " + code + b" 0 1\n"])
    streams.recv = slow(streams.recv)
    result = made.run("x", timeout=0.02)
    assert (result.exit_code, result.timed_out) == (124, True)


def slow(recv):
    def later(timeout):
        time.sleep(0.03)
        return recv(timeout)

    return later


def test_the_users_stop_cuts_the_running_command_but_not_the_rescue_after_it():
    looks = iter([False, False, True])
    state = {"stop": False}

    def stopping():
        state["stop"] = state["stop"] or next(looks, True)
        return state["stop"]

    made, streams = sandbox(lambda nonce: [], stopping=stopping)
    streams.send = cutting(streams)
    result = made.run("sleep 100", timeout=50)
    assert result.exit_code == 130
    assert not result.timed_out
    assert "being stopped" in result.output
    streams.answer = lambda nonce: [b"diff", nonce + b" 0 0 1\n"]
    assert made.run("git diff", timeout=5).output == "diff"


def cutting(streams):
    send = Streams.send

    def sends(data, timeout):
        if data == b"\n":
            streams.waiting.append(streams.sent[-1].split(b" ", 1)[0] + b" 138 1 1\n")
        send(streams, data, timeout)

    return sends


def test_an_abandoned_command_closes_the_sandbox():
    """Ctrl-C in the middle: the next command must not read this one's answer."""

    def interrupted(nonce):
        raise KeyboardInterrupt

    made, streams = sandbox(interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.run("x", timeout=5)
    assert streams.closed
    with pytest.raises(Lost, match="abandoned"):
        made.run("x", timeout=5)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_must_be_a_positive_number(timeout):
    made, _ = sandbox(lambda nonce: [])
    with pytest.raises(ValueError, match="timeout"):
        made.run("x", timeout=timeout)
