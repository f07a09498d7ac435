"""What ends a run from outside: a scheduler, a closed terminal, the hours that it was given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from swe_router.__main__ import main
from swe_router.commands.signals import graceful_stop, interruptible, time_limit
from tests.doubles.background import HEARS, in_background

ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_asks_to_stop_and_says_so(tmp_path, number):
    said = []
    with graceful_stop(tmp_path / "stop", said.append, "stopping"):
        send(number)
    assert (tmp_path / "stop").exists()
    assert said == ["stopping"]


@pytest.mark.parametrize("number", ALL)
def test_outside_of_the_work_any_of_them_interrupts(number):
    with pytest.raises(KeyboardInterrupt), interruptible():
        send(number)


def test_a_hangup_that_nohup_ignores_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with graceful_stop(tmp_path / "stop", print), interruptible():
            send(signal.SIGHUP)
        assert not (tmp_path / "stop").exists()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_run_that_its_breaker_ended_still_takes_a_first_signal_for_the_first(tmp_path):
    (tmp_path / "stop").touch()
    with graceful_stop(tmp_path / "stop", print):
        send(signal.SIGTERM)  # would have ended this process at once


def test_hours_end_the_work_as_sigterm_does_but_are_no_second_signal(tmp_path):
    stop, said = tmp_path / "stop", []
    with graceful_stop(stop, said.append), time_limit(0.02 / 3600, stop.exists, said.append):
        until = time.monotonic() + 60
        while not stop.exists() and time.monotonic() < until:
            time.sleep(0.01)
    assert said[0] == "5.55556e-06 hours are over"
    assert said[1].startswith("stopping")
    with graceful_stop(stop, said.append), time_limit(0.02 / 3600, stop.exists, said.append):
        send(signal.SIGINT)
        time.sleep(0.1)


def test_hours_that_are_not_over_leave_no_timer_behind():
    with time_limit(5.0, lambda: False, print):
        assert threading.active_count() > 1
    assert not any(isinstance(one, threading.Timer) and not one.finished.is_set()
                   for one in threading.enumerate())  # fmt: skip


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "x"])
def test_hours_that_cannot_pass_are_a_mistake_of_usage(tmp_path, hours, capsys):
    assert main(["run", "--hours", hours, "--out", str(tmp_path)]) == 2
    assert "hours" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


WAITS = HEARS + textwrap.dedent("""
    import sys, time
    import typer
    from swe_router.cli import app as commands

    @commands.app.command()
    def waits():
        print("waiting", flush=True)
        time.sleep(30)

    from swe_router.__main__ import main
    sys.exit(main(["waits"]))
""")


@pytest.mark.parametrize("number", ALL)
def test_any_command_ends_with_130_and_in_silence(number):
    with in_background():
        started = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)  # fmt: skip
    assert started.stdout.readline() == b"waiting\n"
    started.send_signal(number)
    out, err = started.communicate(timeout=120)
    assert (started.returncode, out, err) == (130, b"", b"")


def test_a_closed_terminal_ends_the_work_and_what_is_said_then_breaks_nothing(tmp_path):
    """The driver of a terminal that was closed could not even say that it stops."""
    script = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from swe_router.commands.signals import graceful_stop
        stop = Path({str(tmp_path / "stop")!r})
        with graceful_stop(stop, lambda words: print(words, flush=True)):
            print("up", flush=True)
            while not stop.exists():
                time.sleep(0.02)
            time.sleep(0.1)
            print("more", flush=True)
        Path({str(tmp_path / "end")!r}).write_text("in order")
    """)
    script = f"import fcntl, termios\nfcntl.ioctl(1, termios.TIOCSCTTY, 0)\n{script}"
    leader, follower = os.openpty()
    started = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=follower, stdout=follower, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    assert os.read(leader, 2) == b"up"
    os.close(leader)  # the kernel hangs up and tells the session
    _, err = started.communicate(timeout=120)
    assert (tmp_path / "end").exists(), err.decode()
