"""Real runs of the demo as a user starts them, to be killed; and what must hold afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from swe_router import pool
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.ledger import log_reader
from swe_router.sandboxes.reaper import is_locked

INSTANCES = ("demo__confet-3", "demo__confet-14", "demo__confet-7")
"""Solved by the cheap tier; escalated; solved by the cheap tier and wrong."""
MARK = "SWE_ROUTER_TEST_MARK"
PATIENCE = 300.0
PLENTY = 3000
"""Seconds for an attempt, and for its verdicts: what comes out must not hang on the load."""
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
BUSY = (f"ray::{pool.run_as_driver.__name__}",)
"""Ray names the process of a task that runs after its function."""


def processes_with(mark: str, start: tuple[str, ...] = ("",)) -> list[int]:
    """Processes of a launch whose command line begins with ``start``.

    Ours have ``mark`` in their environment; sandboxes, which have none, on their command line.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes()
            marked = f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes()
            marked = marked or mark.encode() in line
            if marked and line and line.decode("utf-8", "replace").startswith(start):
                found.append(int(folder.name))
    return found


def _command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
    return b""


class Launch:
    """One run and its resumes, each in a process group of its own, as a shell does it."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int,
        preset: Path | None = None,
        budget: str = "1",
        sandbox: str = "local",
        instances: Sequence[str] = INSTANCES,
        grade: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.budget, self.sandbox, self.instances = budget, sandbox, instances
        self.grade = grade
        self.out, self.log = folder / "runs", folder / "said.log"
        self.workers, self.preset = workers, preset
        # Ray's sockets need a short path, which pytest's are not.
        self.temporary = Path(tempfile.mkdtemp(prefix="kill-", dir="/tmp"))
        self.mark = self.temporary.name
        self.process: subprocess.Popen[bytes]
        self._from = 0

    @property
    def run(self) -> Path:
        return (self.out / "latest").resolve()

    def start(self) -> Launch:
        words = [
            "run",
            "--split",
            "demo",
            "--budget",
            self.budget,
            "--sandbox",
            self.sandbox,
        ]
        words += [] if self.grade else ["--no-grade"]
        # On a busy machine a verifier's time ends before it has seen a failure twice: "unknown".
        words += ["--set", f"verify.seconds={PLENTY}"]
        for tier in () if self.preset else ("local", "cloud"):
            words += ["--set", f"tiers.{tier}.attempt_seconds={PLENTY}"]
        words += ["--preset", str(self.preset)] if self.preset else []
        self._launch(*words, "--instances", *self.instances)
        return self

    def resume(self, *words: str) -> None:
        self._launch("resume", str(self.run), *words)

    def command(self, *words: str) -> tuple[int, str]:
        """Another command, to its end: code and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "swe_router", *words, "--out", str(self.out)],
            env=self._env(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def ended_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def await_work(self) -> None:
        """Until it works on an instance, or has ended."""
        self.await_line("demo__")

    def await_line(self, text: str) -> None:
        until = time.monotonic() + PATIENCE
        while text not in self.said()[self._from :] and not self.ended_within(0.02):
            assert time.monotonic() < until, self.said()

    def kill(self, kind: str) -> None:
        """kill -9 of the ``driver`` alone or of the ``whole`` process group."""
        if kind == "driver":
            self.process.kill()
        else:
            self.signal_all(signal.SIGKILL)
        self.process.wait()

    def signal_all(self, number: int) -> None:
        """To the whole process group, as a terminal does it."""
        os.killpg(self.process.pid, number)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def last_line(self) -> str:
        lines = self.said()[self._from :].splitlines()
        return lines[-1].partition(" ")[2][:60] if lines else ""

    def finished(self) -> list[bytes]:
        """Whole lines of records.jsonl."""
        file = self.run / "records.jsonl"
        data = file.read_bytes() if file.exists() else b""
        return data[: data.rfind(b"\n") + 1].splitlines()

    def patches(self) -> dict[str, str]:
        rows = json.loads((self.run / "preds.json").read_text("utf-8"))
        rows = list(rows.values()) if isinstance(rows, dict) else rows
        return {row["instance_id"]: row["model_patch"] for row in rows}

    def rescued(self) -> list[str]:
        """Instances with an attempt that was stopped and kept."""
        folder = RunFolder(self.run)
        return [
            n
            for n in self.instances
            if InstanceLog(folder.attempt_folder(n)).last_rescue() is not None
        ]

    def book(self):
        return log_reader.read_ledger(self.run / "ledger.jsonl")

    def assert_no_work_goes_on(self) -> None:
        """No driver, worker or sandbox; Ray's agents need 20 s to see that their parent is dead."""
        until = time.monotonic() + 60
        while left := set(processes_with(self.mark)) - set(processes_with(self.mark, AGENTS)):
            assert time.monotonic() < until, [_command_of(pid) for pid in left]
            time.sleep(0.05)

    def assert_nothing_left(self) -> None:
        until = time.monotonic() + 180
        while left := processes_with(self.mark):
            assert time.monotonic() < until, [_command_of(pid) for pid in left]
            time.sleep(0.05)
        left = {
            str(path): list(path.iterdir()) for path in self.temporary.iterdir() if path.is_dir()
        }
        assert list(self.temporary.iterdir()) == [], left
        assert not is_locked(self.run / "run.lock")
        assert not is_locked(self.run / "work.lock")
        for file in self.run.rglob("*.jsonl"):
            data = file.read_bytes()
            assert data == b"" or data.endswith(b"\n"), f"a torn line in {file}"

    def end(self) -> None:
        """Kill what a failed test left."""
        for pid in processes_with(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(self.temporary)], check=False)

    def _launch(self, *words: str) -> None:
        self._from = len(self.said()) if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "swe_router", *words, "--workers", str(self.workers),
                 "--out", str(self.out)],
                env=self._env(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def _env(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary), MARK: self.mark}


def reference_of(run: Path) -> dict[str, object]:
    """What must come out alike of a run that was never disturbed and of one that was."""
    return {
        name: (
            record.status,
            record.patch,
            record.usd,
            [outcome.attempt.id for outcome in record.outcomes],
            [[(v.verifier, v.outcome) for v in outcome.verdicts] for outcome in record.outcomes],
        )
        for name, record in RunFolder(run).records().items()
    }


def audit(run: Path, reference: dict[str, object]) -> int:
    """Each instance once, as undisturbed, each step paid once; gives the number of lost calls."""
    folder = RunFolder(run)
    names = [json.loads(line)["instance"]["id"] for line in folder.records_file.open("rb")]
    assert sorted(names) == sorted(reference), "an instance was lost or concluded twice"
    assert reference_of(run) == reference
    return audit_money(run)


def audit_money(run: Path, *, sandboxes_died: bool = False) -> int:
    """Each step paid once, the ledger is the traces to the cent; gives the number of lost calls.

    Where sandboxes died a test may never have been asked for, and attempts broke.
    """
    folder, book = RunFolder(run), log_reader.read_ledger(run / "ledger.jsonl")
    settled = [call.key for call in book.calls.values() if call.fate == "settled"]
    paid = Counter(key for key in settled if "/verify:" not in key)
    asked = Counter(key.partition("/")[0] for key in settled if "/verify:" in key)
    once = Counter(list(folder.records()))
    assert asked == once or (sandboxes_died and asked <= once), (
        f"the test of an issue was paid for twice, or not at all: {asked}"
    )
    # An instance that was tried again has several records, which may hold the same attempts.
    outcomes = {
        (record.instance.id, outcome.attempt.id): outcome
        for record in folder.concluded()
        for outcome in record.outcomes
    }
    took: Counter[str] = Counter()
    traces = Decimal(0)
    for (name, attempt_id), outcome in outcomes.items():
        trajectory = outcome.attempt.trajectory
        took[f"{name}/{attempt_id}"] = trajectory.steps
        traces += trajectory.usd + sum((v.usd for v in outcome.verdicts), Decimal(0))
        if outcome.candidate is None:
            traces += _paid_before_it_broke(folder, name, attempt_id)
    for name, record in folder.records().items():
        log = InstanceLog(folder.attempt_folder(name))
        for outcome in record.outcomes:
            assert len(log.steps(outcome.attempt.id)) == outcome.attempt.trajectory.steps
    assert paid == +took, f"a step was paid for twice, or not at all: {paid} {took}"
    lost = sum(book.lost.values(), Decimal(0))
    assert book.reserved == 0, f"still reserved: {book.reserved}"
    assert book.spent - lost == traces, f"the ledger has {book.spent - lost}, the records {traces}"
    assert book.spent <= (book.budget or 0)
    return sum(call.fate == "lost" for call in book.calls.values())


def _paid_before_it_broke(run: RunFolder, name: str, attempt_id: str) -> Decimal:
    """USD of a test on file that was written for an attempt that has no verdicts."""
    notes = VerifierStore(run.attempt_folder(name) / "notes.jsonl")
    mine = [note for note in notes.values() if note.get("charged_to") == attempt_id]
    return sum((Decimal(note["call"]["usd"]) for note in mine), Decimal(0))


class SilentProvider:
    """An OpenAI server on this machine that takes requests and answers none until told to."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.set()
                if not outer.answers.wait(PATIENCE):
                    return
                message = {"role": "assistant", "content": "I do not know."}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 900, "completion_tokens": 4, "total_tokens": 904}
                body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
                data = json.dumps({**body, "choices": [choice], "usage": usage}).encode()
                with contextlib.suppress(OSError):  # who asked first was killed
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def preset(self, folder: Path) -> Path:
        """A preset whose only tier is served here."""
        path = folder / "silent.toml"
        path.write_text(
            'split = "demo"\n[policy]\nname = "cascade"\nladder = ["silent"]\n[tiers.silent]\n'
            'dialect = "vllm"\nmodel = "m"\nwindow = 32768\nmax_output_tokens = 1000\n'
            f'base_url = "http://127.0.0.1:{self._server.server_address[1]}/v1"\n'
            'timeout = 60.0\nattempt_usd = 0.2\nattempt_steps = 3\ntools = "text"\n'
            "[tiers.silent.price]\ninput = 1.0\noutput = 2.0\n"
        )
        return path

    def close(self) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
