"""``swe-router serve`` with vLLM's CPU build behind it, and what is left when it has ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from swe_router import served_endpoints
from swe_router.serving import guard

START_SECONDS = 900.0
KEYS: dict[str, str] = {}
"""Address -> key of the servers of this session."""


@dataclass
class VllmServer:
    """A server by its address, model and key; ``facts`` are what ``serve --json`` printed."""

    url: str
    model: str
    key: str = ""
    folder: Path = Path()
    facts: dict[str, Any] = field(default_factory=dict)
    serve: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        KEYS[self.url] = self.key

    @classmethod
    def running(cls, url: str, model: str) -> VllmServer:
        """One that somebody else started."""
        return cls(url, model, os.environ.get("SWE_ROUTER_SERVE_KEY", ""))

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, *, window: int) -> Iterator[VllmServer]:
        """One of our own; its preset file is ``folder/mine.toml``."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        command = [
            *(sys.executable, "-m", "swe_router", "serve", os.environ["SWE_ROUTER_VLLM_WEIGHTS"]),
            *("--cpu", "--window", str(window), "--requests", "16", "--cache", "1", "--json"),
            *("--tools", "native", "--tool-parser", "hermes", "--port", str(port)),
            *("--write-tier", str(folder / "mine.toml")),
        ]
        environ = {**os.environ, "XDG_STATE_HOME": str(folder), "HF_HUB_OFFLINE": "1"}
        with (
            (folder / "serve.log").open("w") as log,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ, cwd=folder
            ) as serve,
        ):
            assert serve.stdout is not None
            try:
                facts = json.loads(serve.stdout.readline())
                assert "error" not in facts, facts
                key = Path(facts["key_file"]).read_text().strip()
                yield cls(facts["base_url"], facts["model"], key, folder, facts, serve)
            finally:
                serve.send_signal(signal.SIGTERM)
                serve.wait(60)
        assert leftovers(port) == []
        assert list((folder / "swe-router" / "servers").iterdir()) == []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.split(":")[2].split("/")[0])

    @property
    def log(self) -> str:
        """What ``serve`` wrote to stderr."""
        return (self.folder / "serve.log").read_text()

    def state(self) -> str:
        """As the record says."""
        found = served_endpoints.endpoint_at(
            self.url, served_endpoints.endpoints_folder({"XDG_STATE_HOME": str(self.folder)})
        )
        return found.state if found else "none"

    def engine(self) -> int:
        """Process id of vLLM's engine."""
        for pid in guard._all_pids():
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/cmdline").read_bytes()
                if (
                    name.startswith(b"VLLM::EngineCore")
                    and str(self.port).encode()
                    in Path(f"/proc/{os.getsid(pid)}/cmdline").read_bytes()
                ):
                    return pid
        raise AssertionError("no engine")

    def metric(self, name: str) -> float:
        """The sum of a figure of ``/metrics``."""
        text = httpx2.get(self.url.removesuffix("/v1") + "/metrics").text
        rows = [line for line in text.splitlines() if line.startswith(f"vllm:{name}{{")]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


def leftovers(port: int) -> list[str]:
    """Processes that still name the port."""
    found = []
    for pid in guard._all_pids():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if f"--port {port}" in line and not guard._is_zombie(pid):
                found.append(line)
    return found


def until(condition: Any, seconds: float, what: str) -> float:
    """Seconds that it took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(0.2)
    raise AssertionError(what)
