"""A sandbox in which nothing more is begun once the run is stopping.

The sandboxes themselves let commands begin then, since a diff must still be rescued; a verifier's
would run to their limit, for a verdict that nobody keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from swe_router.errors import VerifierError
from swe_router.records import Result
from swe_router.seams import Sandbox


class StoppableSandbox:
    """A sandbox that begins no command once the run is stopping."""

    def __init__(self, sandbox: Sandbox, stopping: Callable[[], bool]) -> None:
        self.sandbox, self._stopping = sandbox, stopping

    @property
    def identity(self) -> str:
        """As the sandbox itself."""
        return self.sandbox.identity

    @property
    def workdir(self) -> str:
        """As the sandbox itself."""
        return self.sandbox.workdir

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        """As ``seams.Sandbox``; raises ``VerifierError`` once the run is stopping."""
        _refuse(self._stopping)
        return self.sandbox.run(command, timeout=timeout, cwd=cwd)

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        """As ``seams.Sandbox``."""
        return self.sandbox.read(path, limit=limit)

    def write(self, path: str, data: bytes) -> None:
        """As ``seams.Sandbox``."""
        self.sandbox.write(path, data)

    def close(self) -> None:
        """As ``seams.Sandbox``."""
        self.sandbox.close()


@contextmanager
def unless_stopping(
    opening: AbstractContextManager[Sandbox], stopping: Callable[[], bool]
) -> Iterator[StoppableSandbox]:
    """The sandbox, refusing (``VerifierError``) to begin a command once ``stopping`` says so."""
    _refuse(stopping)
    with opening as sandbox:
        yield StoppableSandbox(sandbox, stopping)


def _refuse(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise VerifierError("the run is stopping")
