"""Grading in Docker: one child process of swebench's own command per patch."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.grading.backend import MODEL, GradingPlace, GradingTask
from swe_router.grading.evidence import NOT_APPLIED, grade_of_report
from swe_router.records import Grade

ANSWER = 60.0
"""Seconds for the docker command to answer."""
HARNESS = (sys.executable, "-P", "-m", "swebench.harness.run_evaluation")


def engine_fault() -> str:
    """Why no evaluation could run in Docker here, in one line; empty when it can."""
    if shutil.which("docker") is None:
        return "the official harness needs the docker command, which is not on the PATH"
    done = _docker("version", "--format", "{{.Server.Version}}")
    if done is None:
        return f"the Docker engine does not answer within {ANSWER:g} s"
    if done.returncode == 0:
        return ""
    output = " ".join(done.stderr.split()) or f"docker version ended with exit {done.returncode}"
    return f"no Docker engine can be reached: {output[:300]}"


class OfficialBackend:
    """Grades with ``python -m swebench.harness.run_evaluation``, working in ``workdir``.

    ``timeout`` is in seconds, for one evaluation's tests. swebench writes into its working
    folder, so that is never the user's.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        timeout: float = 1800.0,
        setup: float = 3600.0,
        harness: Sequence[str] = HARNESS,
    ) -> None:
        """``harness`` is the command in front of the harness's options.

        ``setup`` is in seconds on top of ``timeout``, for pulling the image and for clean-up.
        """
        self._root = workdir.resolve()
        self._harness = tuple(harness)
        self._timeout = timeout
        self._setup = setup
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._closed = False

    def check(self) -> None:
        """Raise ``UsageError`` when no Docker engine can be reached."""
        fault = engine_fault()
        if fault:
            raise UsageError(f"cannot grade: {fault}; start Docker, or grade the demo split")

    def grade(self, task: GradingTask) -> Grade:
        """Run the harness on one patch and read its report."""
        place = GradingPlace(self._root, task, _image_id(task.gold.image))
        if (seen := place.seen()) is not None:
            return seen
        place.clear()
        job = self._root / "jobs" / task.gold.instance_id / place.run_id
        job.mkdir(parents=True, exist_ok=True)
        ended = self._run(place, job)
        report = place.report()
        if report is not None and ended:
            return grade_of_report(place.judged, report)
        fault = "" if ended else "gave no verdict in time and was stopped; "
        return _without_report(place, job / "harness.log", fault)

    def close(self) -> None:
        """Kill evaluations that still run and remove their containers."""
        with self._lock:
            self._closed = True
            running = dict(self._running)
        for name, child in running.items():
            _stop(child, name)

    def _run(self, place: GradingPlace, job: Path) -> bool:
        """Whether the harness came to its end by itself."""
        container = f"sweb.eval.{place.task.gold.instance_id.lower()}.{place.run_id}"
        command = [*self._harness, *_options(place, job, self._timeout)]
        environment = _environment()
        with (job / "harness.log").open("wb") as log, self._lock:
            if self._closed:
                return False
            # A session of its own: the terminal's Ctrl-C is ours to pass on.
            child = subprocess.Popen(
                command,
                cwd=self._root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[container] = child
        try:
            child.wait(timeout=self._timeout + self._setup)
            return child.returncode >= 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            # Also after a good end: the harness gives up on a container that is slow to stop.
            _stop(child, container)
            with self._lock:
                self._running.pop(container, None)


def _options(place: GradingPlace, job: Path, timeout: float) -> list[str]:
    task = place.task
    prediction = {
        "instance_id": task.gold.instance_id,
        "model_name_or_path": MODEL,
        "model_patch": task.prediction.patch,
    }
    (job / "rows.json").write_text(json.dumps([task.gold.row()]), "utf-8")
    (job / "preds.json").write_text(json.dumps([prediction]), "utf-8")
    files = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    options = {
        "--dataset_name": job / "rows.json",
        "--predictions_path": job / "preds.json",
        "--run_id": place.run_id,
        "--timeout": max(1, round(timeout)),
        "--max_workers": 1,
        "--open_file_limit": files,
        "--report_dir": job,
    }
    return [str(part) for pair in options.items() for part in pair]


def _environment() -> dict[str, str]:
    """Ours, plus the docker command's engine: the Python client knows no contexts."""
    env = dict(os.environ)
    if not env.get("DOCKER_HOST"):
        done = _docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
        if done is not None and done.returncode == 0 and done.stdout.strip():
            env["DOCKER_HOST"] = done.stdout.strip()
    return env


def _docker(*arguments: str) -> subprocess.CompletedProcess[str] | None:
    """The output of the docker command; None when there is none, or no answer in time."""
    command = ["docker", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ANSWER, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None


def _image_id(image: str) -> str:
    """Content id of an image that is here; of one that is not, its name."""
    done = _docker("image", "inspect", "--format", "{{.Id}}", image)
    return image if done is None or done.returncode else done.stdout.strip()


def _stop(child: subprocess.Popen[bytes], container: str) -> None:
    """Kill the harness with all it started, then remove the container that it left."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    _docker("rm", "--force", container)


def _without_report(place: GradingPlace, harness_log: Path, fault: str) -> Grade:
    """The grade when the harness wrote no report: the patch's fault, or nobody's verdict."""
    texts = [_text(place.folder / "run_instance.log"), _text(harness_log)]
    output = "\n".join(texts)
    if NOT_APPLIED in texts[0] and "No space left on device" not in output:
        output = texts[0].rpartition(NOT_APPLIED)[2].strip()
        return place.judged.grade("unresolved", "the patch does not apply", output=output[:2000])
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [
        line for line in lines if "Error" in line or "timed out" in line or "not found" in line
    ]
    reason = (errors or lines or ["the harness printed nothing"])[-1][:400]
    return place.judged.grade("ungraded", fault + reason, harness_log=str(harness_log))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
