"""The pool in one process: what a job that breaks costs the others."""

from __future__ import annotations

import errno
import socket

import pytest

from swe_router.errors import JournalError, UsageError
from swe_router.pool import Fault, Pool


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
