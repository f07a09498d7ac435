"""The pool in one process: what a job that breaks costs the others."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from swe_router import pool
from swe_router.commands.run.worker import Job
from swe_router.errors import JournalError, UsageError
from swe_router.pool import NO_JOB_YET, JobFault, Pool
from swe_router.settings import Settings, Tier
from swe_router.wiring.worker_environment import worker_variables
from tests.live.sandboxes import instance


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
    assert isinstance(second[1], JobFault)
    assert second[1].message == "ZeroDivisionError: in our code"
    assert "in work" in second[1].traceback


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
    met, mine, told = threading.Barrier(2, timeout=120), threading.get_ident(), []

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
            begun.wait(120)
            raise JournalError("cut")
        begun.set()
        assert halted.wait(120), "nobody told this job that the run is over"
        return job

    with pytest.raises(JournalError):
        run(work, threads=2, on_fatal_error=halted.set, stopping=halted.is_set)


def test_threads_come_back_for_a_job_that_waits_for_another():
    ended: list[int] = []

    def jobs():
        yield 1
        while not ended:
            yield NO_JOB_YET
        yield 2

    Pool(lambda job: job, threads=2).run(jobs(), lambda job, result: ended.append(result))
    assert ended == [1, 2]


def test_a_stop_begins_no_further_thread():
    seen = []
    Pool(seen.append, threads=2, stopping=lambda: len(seen) >= 2).run(
        iter(range(100)), lambda job, result: None
    )
    assert len(seen) <= 4


def test_what_ray_prints_in_between_leaves_stdout_to_the_result(capfd):
    """ "(raylet) A worker died" stood before the JSON of a run whose worker was killed."""
    with pool.stdout_to_stderr():
        print("(raylet) A worker died")
        os.write(1, b"from below Python\n")
    print("{}")
    said = capfd.readouterr()
    assert said.out == "{}\n"
    assert "(raylet) A worker died\n" in said.err
    assert "from below Python\n" in said.err


def test_ray_starts_in_an_empty_folder_so_that_no_file_of_the_users_is_a_library(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai.py").touch()
    with pool.empty_working_folder(None):
        assert list(Path.cwd().iterdir()) == []
    assert Path.cwd() == tmp_path


def test_a_worker_stands_where_the_driver_does_with_the_keys_that_it_was_handed(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_KEY", "")
    (tmp_path / "runs").mkdir()
    around = pool.WorkerEnvironment(str(tmp_path / "runs"), {"A_KEY": "hunter2"})
    assert pool.run_as_driver(around, os.path.abspath, "x") == str(tmp_path / "runs" / "x")
    assert os.environ["A_KEY"] == "hunter2"
    assert "hunter2" not in repr(around)
    with pytest.raises(UsageError, match=r"does not see the folder .*gone.*share the disk"):
        pool.run_as_driver(pool.WorkerEnvironment(str(tmp_path / "gone"), {}), abs, 1)


def test_keys_and_what_libraries_read_are_handed_on_and_nothing_else():
    tier = Tier(model="m", dialect="openai", api_key_env="MY_KEY", window=1000, attempt_usd=1)
    given = Settings(tiers={"a": tier})
    environ = {"MY_KEY": "hunter2", "https_proxy": "http://p", "OTHER": "1", "PATH": "/bin"}
    assert worker_variables(given, environ) == {"MY_KEY": "hunter2", "https_proxy": "http://p"}


def test_a_job_names_its_run_folder_wherever_it_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Job(Path("runs/a"), instance("0" * 40), None, 1)
    assert job.run_path == tmp_path / "runs" / "a"
