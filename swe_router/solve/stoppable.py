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
        self.inner, self._stopping = sandbox, stopping

    @property
    def identity(self) -> str:
        """As the sandbox itself."""
        return self.inner.identity

    @property
    def workdir(self) -> str:
        """As the sandbox itself."""
        return self.inner.workdir

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        """As ``seams.Sandbox``; raises ``VerifierError`` once the run is stopping."""
        _raise_if_stopping(self._stopping)
        return self.inner.run(command, timeout=timeout, cwd=cwd)

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        """As ``seams.Sandbox``."""
        return self.inner.read(path, limit=limit)

    def write(self, path: str, data: bytes) -> None:
        """As ``seams.Sandbox``."""
        self.inner.write(path, data)

    def close(self) -> None:
        """As ``seams.Sandbox``."""
        self.inner.close()


@contextmanager
def unless_stopping(
    opening: AbstractContextManager[Sandbox], stopping: Callable[[], bool]
) -> Iterator[StoppableSandbox]:
    """The sandbox, refusing (``VerifierError``) to begin a command once ``stopping`` says so."""
    _raise_if_stopping(stopping)
    with opening as sandbox:
        yield StoppableSandbox(sandbox, stopping)


def _raise_if_stopping(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise VerifierError("the run is stopping")
