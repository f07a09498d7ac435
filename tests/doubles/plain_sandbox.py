"""A Sandbox over a temporary folder: plain processes, with /testbed put in by text."""

from __future__ import annotations

import os
import posixpath
import signal
import subprocess
from pathlib import Path

from swe_router.records import Result


class PlainSandbox:
    """Runs commands as they are; for tests of what works through the Protocol only."""

    identity = "test:plain"
    workdir = "/testbed"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.home = folder / "home"
        for path in (self.tree, self.home):
            path.mkdir(parents=True, exist_ok=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(folder),
        }

    def there(self, text: str) -> str:
        return text.replace("/testbed", str(self.tree))

    def path(self, name: str) -> Path:
        return Path(self.there(posixpath.join(self.workdir, name)))

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        child = subprocess.Popen(
            ["/bin/sh", "-c", self.there(command)],
            cwd=self.path(cwd),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            out, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, _ = child.communicate()
            return Result(exit_code=124, output=out.decode("utf-8", "replace"), timed_out=True)
        text = out.decode("utf-8", "replace")
        # As in a real sandbox, output is capped: nothing may depend on reading data from it.
        dropped = max(0, len(text) - 20_000)
        return Result(exit_code=child.returncode, output=text[:20_000], dropped=dropped)

    def must(self, command: str) -> str:
        result = self.run(command, timeout=60)
        assert result.exit_code == 0, result.output
        return result.output

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        data = self.path(path).read_bytes()
        if len(data) > limit:
            raise ValueError(f"{path} is over {limit} bytes")
        return data

    def write(self, path: str, data: bytes) -> None:
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def close(self) -> None:
        pass
