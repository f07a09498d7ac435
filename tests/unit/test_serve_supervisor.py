"""``serve`` keeps a server up and leaves nothing, against a program in the place of vLLM."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from swe_router import assets, served_endpoints
from swe_router.errors import ServerFailed, UsageError
from swe_router.serving import failure_causes, guard, supervisor
from swe_router.serving.supervisor import ServingTask, Supervisor
from swe_router.serving.tier_text import with_tier
from swe_router.serving.vllm_command import ServerCommand
from tests.doubles import model_server

SOON = 180.0
"""Seconds for what takes one; no test waits for them."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition, what):
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(what)


class Served:
    """A supervisor in a thread; ``with`` it until it is ready."""

    def __init__(self, folder, *, restarts=5, key="", name="m", port=0, **environment):
        self.port, self.folder = port or free_port(), folder / "servers"
        path = model_server.program(folder)
        self.temp = folder / "temp"
        self.temp.mkdir(exist_ok=True)
        words = (
            *(str(path), "serve", "weights", "--served-model-name", name, "--host", "127.0.0.1"),
            *("--port", str(self.port), "--max-model-len", "4096"),
        )
        task = ServingTask(
            ServerCommand(words, {}), "127.0.0.1", self.port, "m", 120.0, restarts, 2, 0.2, 1.0
        )
        self.stopping, self.ready, self.said = threading.Event(), threading.Event(), []
        self.figures, self.error = None, None
        self.supervisor = Supervisor(
            task, self.folder, self.stopping, environ={**os.environ, **environment}, key=key,
            say=self.said.append,
        )  # fmt: skip
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.supervisor.keep_up(self._is_ready)
        except (ServerFailed, UsageError) as error:
            self.error = error
        self.ready.set()

    def _is_ready(self, figures, seconds):
        self.figures = figures
        self.ready.set()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(SOON)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(SOON)
        assert not self.thread.is_alive()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self):
        return served_endpoints.endpoint_at(self.url + "/v1", self.folder)

    def left(self):
        """Processes that were started for our port, and files."""
        own = [pid for pid in guard._all_pids() if str(self.port) in command_of(pid)]
        return own, sorted(path.name for path in self.folder.iterdir())


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    return ""


def test_a_served_model_is_measured_recorded_and_gone_when_it_stops(tmp_path):
    with Served(tmp_path) as served:
        assert served.error is None
        figures = served.figures
        assert (figures.window, figures.cache_tokens, figures.full_windows) == (4096, 46592, 11.375)
        assert figures.tokens_per_second > 0
        assert served.endpoint.state == "ready"
        key = served_endpoints.key_at(served.url + "/v1", served.folder)
        assert key == served.supervisor.key
        assert len(key) > 30
        pids, _ = served.left()
        assert len(pids) >= 2
        assert not any(key in command_of(pid) for pid in guard._all_pids()), "the key is in ps"
        assert httpx2.get(served.url + "/v1/models").status_code == 401
    assert served.left() == ([], [])
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(served.url + "/health")


def test_record_and_key_are_for_their_owner_alone(tmp_path):
    with Served(tmp_path) as served:
        modes = {path.name: path.stat().st_mode & 0o777 for path in served.folder.iterdir()}
        assert set(modes.values()) == {0o600}
        assert served.folder.stat().st_mode & 0o777 == 0o700


def test_a_crashed_server_is_started_again_and_runs_are_told_meanwhile(tmp_path):
    broken = tmp_path / "broken"
    with Served(tmp_path, FAKE_BROKEN=str(broken)) as served:
        broken.touch()
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.get(served.url + "/crash")
        until(lambda: served.endpoint.state == "restarting", "the record says nothing of it")
        assert "exit code 17" in served.endpoint.why or "broken" in served.endpoint.why
        broken.unlink()
        until(lambda: served.endpoint.state == "ready", "it does not come back")
        assert served.endpoint.restarts >= 1
        assert httpx2.get(served.url + "/health").status_code == 200
    assert served.left() == ([], [])


def test_a_server_that_crashes_too_often_is_given_up_and_nothing_is_left(tmp_path):
    broken = tmp_path / "broken"
    with Served(tmp_path, restarts=1, FAKE_BROKEN=str(broken)) as served:
        broken.touch()
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.get(served.url + "/crash")
        served.thread.join(SOON)
        assert "given up after 1 restarts" in str(served.error)
        assert "RuntimeError: broken" in str(served.error)
    assert served.left() == ([], [])


def test_a_server_of_bad_health_is_started_again(tmp_path):
    sick = tmp_path / "sick"
    usual = ServingTask(ServerCommand((), {}), "", 0, "").health_seconds
    assert usual * supervisor.SICK_LOOKS <= 30, "a hanging server would be noticed too late"
    with Served(tmp_path, FAKE_SICK=str(sick)) as served:
        sick.touch()
        until(lambda: served.endpoint.state == "restarting", "nobody noticed")
        sick.unlink()
        until(lambda: served.endpoint.state == "ready", "it does not come back")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("RuntimeError: Failed to infer device type", "no GPU that vLLM can use"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "the card has no room"),
        ("ValueError: No available memory for the cache blocks.", "the card has no room"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("huggingface_hub.errors.GatedRepoError: 403 Client Error.", "the model is gated"),
        ("OSError: [Errno 98] Address already in use", "the port is taken"),
        ("AssertionError: 8 is not divisible by tensor parallel size", "give other --cards"),
        ("vllm: error: unrecognized arguments: --enable-x", "does not know an option"),
        ("ValueError: something nobody has seen", "something nobody has seen"),
    ],
)
def test_a_first_start_that_fails_says_why_in_the_users_words(tmp_path, text, means):
    with Served(tmp_path, FAKE_FAIL=f"INFO start\n{text}") as served:
        assert isinstance(served.error, ServerFailed)
        assert means in str(served.error)
        assert text in str(served.error), "the server's own last line is shown too"
        assert not served.said or "again" not in served.said[-1], "a first failure is no crash"
    assert served.left() == ([], [])


def test_a_server_that_is_not_healthy_in_time_is_ended(tmp_path):
    served = Served(tmp_path, FAKE_START="60")
    served.supervisor.task = ServingTask(
        served.supervisor.task.command, "127.0.0.1", served.port, "m", 0.5, 5, 1
    )
    with served:
        assert "did not become healthy in time" in str(served.error)
    assert served.left() == ([], [])


def test_a_server_that_ignores_sigterm_is_killed(tmp_path):
    with Served(tmp_path, FAKE_DEAF="1") as served:
        assert served.left()[0]
    assert served.left() == ([], [])


def test_shared_memory_of_a_server_that_had_to_be_killed_is_removed(tmp_path):
    name = f"swe-router-test-{os.getpid()}"
    with Served(tmp_path, FAKE_DEAF="1", FAKE_SHARED=name) as served:
        assert Path(f"/dev/shm/{name}").exists()
    assert served.left() == ([], [])
    assert not Path(f"/dev/shm/{name}").exists()


def test_a_server_without_its_key_is_refused(tmp_path):
    with Served(tmp_path, FAKE_OPEN="1") as served:
        assert "answers without its key" in str(served.error)


def test_a_server_of_another_name_at_our_port_is_not_taken_for_ours(tmp_path):
    with Served(tmp_path, name="other") as served:
        assert "serves other" in str(served.error)


def test_two_supervisors_do_not_share_a_port_and_the_first_keeps_its_record(tmp_path):
    with Served(tmp_path) as first:
        with Served(tmp_path, port=first.port) as second:
            assert "another swe-router serve" in str(second.error)
        assert first.endpoint.state == "ready"


def test_a_key_of_ones_own_is_used(tmp_path):
    with Served(tmp_path, key="my-own-key-0123456789") as served:
        asked = {"authorization": "Bearer my-own-key-0123456789"}
        assert httpx2.get(served.url + "/v1/models", headers=asked).status_code == 200


def launch(folder, port, *words, window="4096", context=8192, **environment):
    """``swe-router serve`` as a user starts it."""
    path = model_server.program(folder)
    weights = model_server.weights(folder / "weights", max_position_embeddings=context)
    command = [
        *(sys.executable, "-m", "swe_router", "serve", str(weights), "--cpu", "--window", window),
        *("--vllm", str(path), "--port", str(port), "--json", *words),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder), "TMPDIR": str(folder), **environment},
    )  # fmt: skip


def left_of(folder, port):
    own = [pid for pid in guard._all_pids() if str(port) in command_of(pid)]
    files = [path.name for path in (folder / "swe-router" / "servers").glob("*")]
    return own, files, [path.name for path in folder.glob("swe-router-serve-*")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_serve_ends_no_process_port_or_file_is_left(tmp_path, number):
    port = free_port()
    with launch(tmp_path, port) as serve:
        facts = json.loads(serve.stdout.readline())
        assert facts["window"] == 4096
        assert left_of(tmp_path, port)[0]
        serve.send_signal(number)
        code = serve.wait(SOON)
        assert code == (-9 if number == signal.SIGKILL else 0)
        assert serve.stdout.read() == "", "one JSON value and no more"
    until(lambda: left_of(tmp_path, port) == ([], [], []), left_of(tmp_path, port))


def test_a_failed_start_is_one_json_error_with_code_1_and_no_traceback(tmp_path):
    port = free_port()
    with launch(tmp_path, port, FAKE_FAIL="CUDA out of memory") as serve:
        out, err = serve.communicate(timeout=SOON)
    assert serve.returncode == 1
    assert "the card has no room" in json.loads(out)["error"]
    assert "Traceback" not in err
    assert left_of(tmp_path, port) == ([], [], [])


def test_a_server_stopped_before_it_answers_is_one_json_value_and_code_130(tmp_path):
    port = free_port()
    with launch(tmp_path, port, FAKE_START="60") as serve:
        until(lambda: left_of(tmp_path, port)[1], "it does not start")
        serve.terminate()
        out, err = serve.communicate(timeout=SOON)
    assert (serve.returncode, json.loads(out)) == (130, {"error": "stopped before it was ready"}), (
        err
    )
    assert left_of(tmp_path, port) == ([], [], [])


def test_a_server_that_is_given_up_later_adds_no_second_value_to_stdout(tmp_path):
    port, broken = free_port(), tmp_path / "broken"
    with launch(tmp_path, port, "--restarts", "0", FAKE_BROKEN=str(broken)) as serve:
        json.loads(serve.stdout.readline())
        broken.touch()
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.get(f"http://127.0.0.1:{port}/crash")
        out, err = serve.communicate(timeout=SOON)
    assert (serve.returncode, out) == (1, "")
    assert "given up after 0 restarts" in err


def test_a_tier_file_that_cannot_be_is_refused_before_the_server_starts(tmp_path):
    (tmp_path / "mine.toml").write_text("nonsense = 1\n")
    port = free_port()
    with launch(tmp_path, port, "--write-tier", "mine.toml") as serve:
        out, err = serve.communicate(timeout=SOON)
    assert serve.returncode == 2
    assert "would be no preset" in json.loads(out)["error"]
    assert "starting" not in err


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with launch(tmp_path, port) as serve:
            out, _ = serve.communicate(timeout=SOON)
    assert serve.returncode == 2
    assert f"port {port} cannot be listened on" in json.loads(out)["error"]
    assert "--port" in json.loads(out)["error"]


def test_the_tier_is_written_as_the_server_says_and_the_rest_of_the_file_stays(tmp_path):
    from swe_router import settings

    mine = tmp_path / "mine.toml"
    port = free_port()
    with launch(tmp_path, port, "--write-tier", "mine.toml", "--tier", "small") as serve:
        json.loads(serve.stdout.readline())
        serve.terminate()
        serve.wait(SOON)
    loaded = settings.load(str(mine))
    tier = loaded.tiers["small"]
    assert (tier.model, tier.window, tier.tools) == ("weights", 4096, "text")
    assert tier.base_url == f"http://127.0.0.1:{port}/v1"
    assert tier.concurrency == 8, "11 full windows of 8 requests at most"
    assert tier.api_key_env == served_endpoints.KEY_VARIABLE
    assert set(loaded.tiers) == {"small", "local", "sonnet", "o3"}


def test_the_last_words_of_a_crash_are_its_error_and_no_line_of_the_access_log():
    lines = [
        "(EngineCore pid=1) ERROR 12-01 [core.py:1] EngineDeadError: the engine died",
        '(APIServer pid=2) INFO:     127.0.0.1:1 - "POST /v1 HTTP/1.1" 500 Internal Server Error',
    ]
    assert failure_causes.last_words(lines).startswith("ERROR 12-01 [core.py:1] EngineDeadError")


def cached(folder, model):
    """A model in the hub's cache, as a download leaves it."""
    home = folder / "hf" / "hub" / f"models--{model.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    model_server.weights(home / "snapshots" / "abc")


def test_a_preset_whose_weights_are_here_is_served_without_the_hub(tmp_path):
    """A card of 80 GB by ``nvidia-smi``; the served names are those of the preset."""
    model, port = "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", free_port()
    cached(tmp_path, model)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aa, NVIDIA H100 80GB HBM3, 81559, 4'\n")
    tool.chmod(0o755)
    environ = {
        **os.environ, "XDG_STATE_HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1", "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }  # fmt: skip
    environ.pop("CUDA_VISIBLE_DEVICES", None)
    command = [
        *(sys.executable, "-m", "swe_router", "serve", "--port", str(port), "--json"),
        *("--vllm", str(model_server.program(tmp_path))),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as serve:
        facts = json.loads(serve.stdout.readline())
        serve.terminate()
        _, err = serve.communicate(timeout=SOON)
    assert (facts["model"], facts["window"]) == (model, 32768)
    assert "downloading" not in err
    assert left_of(tmp_path, port)[0] == []


def test_a_run_outlasts_a_server_that_dies_under_its_call(tmp_path):
    """The call is made again, the instance escalates as it would have, and the key is found."""
    port, falls = free_port(), tmp_path / "falls"
    environ = {"XDG_STATE_HOME": str(tmp_path), "FAKE_FALLS": str(falls)}
    with launch(tmp_path, port, window="32768", context=32768, **environ) as serve:
        facts = json.loads(serve.stdout.readline())
        falls.touch()
        demo = (assets.assets_root() / "eval" / "presets" / "demo.toml").read_text()
        tier = {**facts["tier"], "attempt_steps": 2}
        (tmp_path / "mine.toml").write_text(with_tier(demo, "local", tier))
        command = [
            *(sys.executable, "-m", "swe_router", "run", "--preset", "mine.toml", "--json"),
            *("--split", "demo", "--instances", "demo__confet-14", "--budget", "2"),
            *("--sandbox", "local", "--unsafe", "--no-grade"),
            *("--set", 'verify.names=["applies", "syntax"]', "--set", 'verify.writer=""'),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, check=False,
            env={**os.environ, **environ},
        )  # fmt: skip
        serve.terminate()
        _, err = serve.communicate(timeout=SOON)
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["ended"]) == (0, "done"), done.stderr
    assert summary["by_tier"]["local"]["attempts"] == 1
    assert summary["escalated"] == 1
    assert not falls.exists(), "no call met the fall"
    assert "exit code 18" in err
    assert "the server is back" in err
