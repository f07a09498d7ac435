"""A sandbox from another package: folders of the local one, with nothing but the Protocol shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from swe_router.records import Instance, Result
from swe_router.sandboxes.local import LocalSandboxes
from swe_router.seams import Sandbox
from swe_router.settings import SandboxSettings


class CountedSandbox:
    """Passes on what the Protocol has, and no more."""

    def __init__(self, inner: Sandbox) -> None:
        self._inner = inner

    @property
    def identity(self) -> str:
        return f"outside-sandbox:{self._inner.identity}"

    @property
    def workdir(self) -> str:
        return self._inner.workdir

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        return self._inner.run(command, timeout=timeout, **({"cwd": cwd} if cwd else {}))

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        return self._inner.read(path, limit=limit)

    def write(self, path: str, data: bytes) -> None:
        self._inner.write(path, data)

    def close(self) -> None:
        self._inner.close()


class CountedSandboxes:
    """Opens them: it names ``start``, so it is given the repositories too."""

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        run: str,
        lock: Path,
        stopping: Callable[[], bool],
        start: Callable[[Instance], Path],
    ) -> None:
        self._inner = LocalSandboxes(settings, start=start, run=run, lock=lock, stopping=stopping)

    @contextmanager
    def open(self, instance: Instance) -> Iterator[CountedSandbox]:
        with self._inner.open(instance) as opened:
            yield CountedSandbox(opened)
