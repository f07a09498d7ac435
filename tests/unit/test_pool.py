"""The pool in one process: what a job that breaks costs the others."""

from __future__ import annotations

import errno
import socket
import threading

import pytest

from swe_router.errors import JournalError, UsageError
from swe_router.pool import LATER, Fault, Pool


def run(work, jobs=(1, 2, 3), **options):
    done = []
    Pool(work, **options).run(jobs, lambda job, result: done.append((job, result)))
    return done


def broken_at(number, error):
    def work(job):
        if job == number:
            raise error
        return -job

    return work


def test_a_fault_of_ours_costs_its_own_job_only_and_is_told_with_its_trace():
    first, second, third = run(broken_at(2, ZeroDivisionError("in\nour code")))
    assert (first, third) == ((1, -1), (3, -3))
    assert isinstance(second[1], Fault)
    assert second[1].why == "ZeroDivisionError: in our code"
    assert "in work" in second[1].trace


@pytest.mark.parametrize("error", [JournalError("cut"), OSError(errno.ENOSPC, "full")])
def test_what_no_other_job_would_survive_ends_the_run(error):
    with pytest.raises(type(error)):
        run(broken_at(1, error))


def test_no_job_begins_once_the_user_asked_to_stop():
    begun = []
    assert run(begun.append, stopping=lambda: len(begun) == 1) == [(1, None)]


def test_a_dead_cluster_is_said_at_once_in_one_line(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UsageError, match=f"no Ray answers at RAY_ADDRESS={address}.*unset") as said:
        run(abs, workers=2)
    assert "\n" not in str(said.value)


def test_threads_work_at_the_same_time_and_hand_their_results_to_the_caller():
    met, mine, told = threading.Barrier(2, timeout=20), threading.get_ident(), []

    def work(job):
        met.wait()  # breaks unless another job is under way
        return threading.get_ident()

    def done(job, by):
        told.append((job, by != mine, threading.get_ident() == mine))

    Pool(work, threads=2).run([1, 2, 3, 4], done)
    assert sorted(told) == [(job, True, True) for job in (1, 2, 3, 4)]


def test_a_thread_whose_job_ends_the_run_stops_the_others():
    halted, begun = threading.Event(), threading.Event()

    def work(job):
        if job == 1:
            begun.wait(20)
            raise JournalError("cut")
        begun.set()
        assert halted.wait(20), "nobody told this job that the run is over"
        return job

    with pytest.raises(JournalError):
        run(work, threads=2, halt=halted.set, stopping=halted.is_set)


def test_threads_come_back_for_a_job_that_waits_for_another():
    ended: list[int] = []

    def jobs():
        yield 1
        while not ended:
            yield LATER
        yield 2

    Pool(lambda job: job, threads=2).run(jobs(), lambda job, result: ended.append(result))
    assert ended == [1, 2]


def test_a_stop_begins_no_further_thread():
    seen = []
    Pool(seen.append, threads=2, stopping=lambda: len(seen) >= 2).run(
        iter(range(100)), lambda job, result: None
    )
    assert len(seen) <= 4
