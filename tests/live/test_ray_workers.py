"""What Ray's workers see: the driver's folder, its keys, its modules; and what stdout is for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swe_router.pool import Pool
from swe_router.sandboxes.temp_folders import temp_folder as scratch
from tests.live.runs import BUSY

pytestmark = pytest.mark.ray
KEY = "SWE_ROUTER_TEST_KEY"
SHADOWS = ("openai", "tree_sitter", "typing", "json", "numpy", "pydantic", "swe_router")


def done(work, jobs, tmp_path, **options):
    """What a pool of one worker gives for each job."""
    results = []
    with scratch("workers", tmp_path / "lock") as place:
        made = Pool(work, 1, ray_folder=place, **options)
        made.run(iter(jobs), lambda job, result: results.append(result))
    return results


def test_a_run_whose_worker_dies_says_one_json_value_whatever_lies_in_the_folder(tmp_path):
    """Ray told of the death on stdout; the user's own openai.py was taken for the library."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise ImportError('mine')\n", encoding="ascii")
    command = [str(Path(sys.executable).with_name("swe-router")), "run", "--split", "demo"]
    command += ["--budget", "1", "--sandbox", "local", "-i", "demo__confet-11", "--json"]
    with subprocess.Popen(
        [*command, "--workers", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "talk").open("wb"),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as driver:
        worker = awaited(lambda: worker_at_work(driver.pid))
        os.kill(worker, signal.SIGKILL)
        said = driver.communicate(timeout=900)[0]
    assert json.loads(said)["resolved"] == 1, (tmp_path / "talk").read_text()
    assert driver.returncode == 0


def test_workers_are_as_nice_as_the_driver_and_stand_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()
    found = done(os.stat, ["here"], tmp_path)
    assert found[0].st_size == 0
    assert done(os.nice, [0], tmp_path) == [os.nice(0)]


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch):
    """A Ray that somebody started in another folder, without our variables."""
    place = tmp_path_factory.mktemp("c")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ray = str(Path(sys.executable).with_name("ray"))
    options = ["--head", "--block", f"--port={port}", "--include-dashboard=false", "--num-cpus=1"]
    env = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    started = subprocess.Popen(
        [ray, "start", *options, "--object-store-memory=100000000"],
        cwd=place, env=env, start_new_session=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    for line in started.stdout:
        if b"--block" in line:
            break
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    yield
    os.killpg(started.pid, signal.SIGTERM)
    try:
        started.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.communicate()


@pytest.mark.usefixtures("cluster")
def test_a_cluster_gets_the_keys_and_relative_paths_mean_one_thing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert done(os.getenv, [KEY], tmp_path, environment={KEY: "hunter2"}) == ["hunter2"]
    assert done(os.path.abspath, ["runs"], tmp_path) == [str(tmp_path / "runs")]


def worker_at_work(driver):
    """The process of a Ray worker of this driver that runs a job, or None."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
            mine = line.startswith(BUSY[0].encode())
        except OSError:
            continue
        if mine and descends(int(path.parent.name), driver):
            return int(path.parent.name)
    return None


def descends(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
    return False


def awaited(look, seconds=300.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("no worker began")
