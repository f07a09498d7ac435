"""A sandbox in which nothing more is begun once the run is stopping.

The sandboxes themselves let commands begin then, since a diff must still be rescued; a verifier's
would run to their limit, for a verdict that nobody keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from swe_router.errors import VerifierError
from swe_router.records import Result
from swe_router.seams import Sandbox


class _Stoppable:
    def __init__(self, sandbox: Sandbox, stopping: Callable[[], bool]) -> None:
        self._sandbox, self._stopping = sandbox, stopping

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        _refuse(self._stopping)
        return self._sandbox.run(command, timeout=timeout, cwd=cwd)


@contextmanager
def unless_stopping(
    opening: AbstractContextManager[Sandbox], stopping: Callable[[], bool]
) -> Iterator[Any]:
    """The sandbox, refusing (``VerifierError``) to begin a command once ``stopping`` says so."""
    _refuse(stopping)
    with opening as sandbox:
        yield _Stoppable(sandbox, stopping)


def _refuse(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise VerifierError("the run is stopping")
