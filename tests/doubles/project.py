"""Doubles for verifiers: a repository in a folder, and sandboxes that are copies of it."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    CallLimits,
    Candidate,
    Completion,
    Exit,
    Failure,
    Instance,
    Message,
    Outcome,
    Plan,
    Result,
    Trajectory,
    Verdict,
    VerdictOutcome,
    digest_of,
)
from swe_router.seams import Model, Sandbox, VerificationContext
from swe_router.verifier_cache import VerifierCache

BOXES_TMP = re.compile(r"/tmp/(?=swe-router-[0-9a-f]{16}|\.patch)")
"""What a command names in the sandbox's /tmp; the interpreter may lie in this machine's own."""
INSTANCE = Instance(id="i", repo="o/n", base_commit="c0", problem="p")


class Folder:
    """A sandbox double: a temporary copy of a repository, commands as plain process groups."""

    identity = "folder"
    workdir = "/testbed"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[str] = []

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        self.commands.append(command)
        begun = time.monotonic()
        env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/nowhere"}
        env |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        env |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        child = subprocess.Popen(
            ["sh", "-c", BOXES_TMP.sub(f"{self.root}/tmp/", command)],
            cwd=self.root / "testbed",
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            out, late = child.communicate(timeout=timeout)[0], False
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, late = child.communicate()[0], True
        code = child.returncode
        text = out.decode(errors="replace")
        took = time.monotonic() - begun
        return Result(exit_code=code, output=text, timed_out=late, seconds=took)

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        data = self._at(path).read_bytes()
        if len(data) > limit:
            raise ValueError(path)
        return data

    def write(self, path: str, data: bytes) -> None:
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        self._at(path).write_bytes(data)

    def close(self) -> None:
        shutil.rmtree(self.root)

    def _at(self, path: str) -> Path:
        return self.root / posixpath.join(self.workdir, path).lstrip("/")


class Writer:
    """A model that answers with these tests in turn, or raises what is among them."""

    def __init__(self, *answers: str | Exception, usd: str = "0.01") -> None:
        self.answers, self.usd = list(answers), Decimal(usd)
        self.asked: list[str] = []
        self.limits: list[CallLimits] = []

    def complete(self, messages: Any, tools: Any = (), *, limits: CallLimits) -> Completion:
        self.asked.append("\n".join(message.content for message in messages))
        self.limits.append(limits)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        said = Message(role="assistant", content=f"```python\n{answer}\n```")
        return Completion(message=said, usd=self.usd, model="writer-1")


class Project:
    """Opens folders of one repository, and remembers them."""

    def __init__(self, home: Path, files: dict[str, str]) -> None:
        self.home, self.files = home, dict(files)
        self.opened: list[Folder] = []
        self.cache = VerifierCache()
        self.notes: dict[str, Any] = {}
        seed = home / "seed" / "testbed"
        for name, text in files.items():
            (seed / name).parent.mkdir(parents=True, exist_ok=True)
            (seed / name).write_text(text)
        (home / "seed" / "tmp").mkdir()
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
            subprocess.run([*git, *words], cwd=seed, check=True)

    @contextmanager
    def open(self, instance: Instance) -> Iterator[Sandbox]:
        root = self.home / f"sandbox{len(self.opened)}"
        shutil.copytree(self.home / "seed", root)
        sandbox = Folder(root)
        self.opened.append(sandbox)
        try:
            yield sandbox
        finally:
            sandbox.close()

    @staticmethod
    def apply(sandbox: Sandbox, patch: str) -> Result:
        sandbox.write("/tmp/.patch", patch.encode())
        return sandbox.run("git apply /tmp/.patch", timeout=30)

    def context(
        self, graph: Any = None, writer: Model | None = None, **more: Any
    ) -> VerificationContext:
        given = {"notes": self.notes, "cache": self.cache, "graph": graph, "writer": writer} | more
        return VerificationContext(
            open_sandbox=self.open, apply=self.apply, clock=time.time, **given
        )

    def patch(self, changes: Mapping[str, str | None]) -> str:
        """A git diff from the base to these texts; None deletes a file."""
        parts = []
        for path, text in changes.items():
            old = self.files.get(path)
            head = f"diff --git a/{path} b/{path}\n"
            head += "" if old is not None else "new file mode 100644\n"
            head += "" if text is not None else "deleted file mode 100644\n"
            lines = difflib.unified_diff(
                (old or "").splitlines(keepends=True),
                (text or "").splitlines(keepends=True),
                f"a/{path}" if old is not None else "/dev/null",
                f"b/{path}" if text is not None else "/dev/null",
            )
            parts.append(head + "".join(lines))
        return "".join(parts)


def verdict(outcome: VerdictOutcome, verifier: str = "repo-tests", **evidence: Any) -> Verdict:
    return Verdict(candidate="c", verifier=verifier, outcome=outcome, evidence=evidence)


def outcome(
    patch: str = "diff",
    *verdicts: Verdict,
    tier: str = "weak",
    ended: Exit = "submitted",
    failure: Failure | None = None,
    number: int = 1,
    proven: bool = True,
) -> Outcome:
    """An outcome of one attempt; an empty ``patch`` is an empty candidate."""
    plan = Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(1)))
    attempt = Attempt(
        id=f"{number}-{tier}",
        instance_id="i",
        plan=plan,
        trajectory=Trajectory(exit=ended),
        failure=failure,
    )
    candidate = Candidate(
        attempt_id=attempt.id, patch=patch, digest=digest_of(patch), proven=proven
    )
    return Outcome(attempt=attempt, candidate=candidate, verdicts=verdicts)
