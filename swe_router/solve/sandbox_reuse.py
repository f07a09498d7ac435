"""A sandbox in which a patch was applied and nothing else done serves the next who applies it.

``applies`` puts the patch into a fresh start state and runs nothing there; ``repo-tests`` begins
with the very same. Sandboxes are opened at their first use, so that the second can take the
first's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock

from swe_router.records import Instance, Result
from swe_router.seams import Sandbox
from swe_router.solve.stoppable import StoppableSandbox

Open = Callable[[Instance], AbstractContextManager[Sandbox]]
Apply = Callable[[Sandbox, str], Result]


@dataclass
class _Kept:
    """A sandbox that holds a patch and nothing else."""

    instance: Instance
    patch: str
    result: Result
    sandbox: Sandbox
    stack: ExitStack


class _Lazy:
    """A sandbox that is opened when it is first used."""

    def __init__(self, parking: SandboxReuse, instance: Instance) -> None:
        self._parking, self._instance = parking, instance
        self._stack = ExitStack()
        self._real: Sandbox | None = None
        self._holds: tuple[str, Result] | None = None
        self.fresh = True
        """Nothing was done to it yet."""

    @property
    def identity(self) -> str:
        return self._opened().identity

    @property
    def workdir(self) -> str:
        return self._opened().workdir

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        return self._opened().read(path, limit=limit)

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        self.spoil()
        return self._opened().run(command, timeout=timeout, cwd=cwd)

    def write(self, path: str, data: bytes) -> None:
        self.spoil()
        self._opened().write(path, data)

    def close(self) -> None:
        self.spoil()
        self._opened().close()

    def spoil(self) -> None:
        """It holds more than a patch from now on."""
        self.fresh, self._holds = False, None

    def take(self, patch: str) -> Result | None:
        """What applying the patch gave, where a sandbox that holds it waits; it is this one now."""
        if not self.fresh or self._real is not None:
            return None  # one that was opened to look is this one's own, and must be closed by it
        kept = self._parking.take(self._instance, patch)
        if kept is None:
            return None
        self._stack, self._real, self.fresh = kept.stack, kept.sandbox, False
        return kept.result

    def holds(self, patch: str, result: Result) -> None:
        """The patch is all that was put into it."""
        self._holds = (patch, result)

    def leave(self) -> None:
        """Keep the sandbox for who applies the same patch, if that is all that was done to it."""
        kept = None
        if self._real is not None and self._holds is not None:
            kept = _Kept(self._instance, *self._holds, self._real, self._stack)
        if kept is None or not self._parking.keep(kept):
            self._stack.close()

    def _opened(self) -> Sandbox:
        if self._real is None:
            self._real = self._stack.enter_context(self._parking.opening(self._instance))
        return self._real


@dataclass
class SandboxReuse:
    """One candidate's place for one sandbox; to be used in a ``with``. Threads may share it."""

    opening: Open
    applying: Apply
    kept: _Kept | None = None
    lock: Lock = field(default_factory=Lock)
    """Verifiers may work side by side; a sandbox goes to one of them."""

    def take(self, instance: Instance, patch: str) -> _Kept | None:
        """The sandbox that holds this patch, if it waits here; it is the caller's now."""
        with self.lock:
            kept = self.kept
            if kept is None or (kept.instance, kept.patch) != (instance, patch):
                return None
            self.kept = None
            return kept

    def keep(self, sandbox: _Kept) -> bool:
        """Whether there was room for it."""
        with self.lock:
            if self.kept is not None:
                return False
            self.kept = sandbox
            return True

    def __enter__(self) -> SandboxReuse:
        return self

    def __exit__(self, *_: object) -> None:
        kept, self.kept = self.kept, None
        if kept is not None:
            kept.stack.close()

    @contextmanager
    def open(self, instance: Instance) -> Iterator[Sandbox]:
        """A fresh start state; raises what opening raises at its first use."""
        lazy = _Lazy(self, instance)
        try:
            yield lazy
        except BaseException:
            lazy.spoil()
            raise
        finally:
            lazy.leave()

    def apply(self, sandbox: Sandbox, patch: str) -> Result:
        """Apply a patch in what ``open`` gave, or take the sandbox in which it was applied."""
        lazy = sandbox.sandbox if isinstance(sandbox, StoppableSandbox) else sandbox
        if not isinstance(lazy, _Lazy):
            raise TypeError(f"{sandbox!r} was not opened here")
        fresh, known = lazy.fresh, lazy.take(patch)
        if known is not None:
            return known
        result = self.applying(sandbox, patch)
        if fresh and result.exit_code == 0 and not result.timed_out:
            lazy.holds(patch, result)
        return result
