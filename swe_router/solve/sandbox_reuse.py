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

OpenSandbox = Callable[[Instance], AbstractContextManager[Sandbox]]
ApplyPatch = Callable[[Sandbox, str], Result]


@dataclass
class _PatchedSandbox:
    """A sandbox that holds a patch and nothing else."""

    instance: Instance
    patch: str
    apply_result: Result
    sandbox: Sandbox
    exit_stack: ExitStack


class _LazySandbox:
    """A sandbox that is opened when it is first used."""

    def __init__(self, reuse: SandboxReuse, instance: Instance) -> None:
        self._reuse, self._instance = reuse, instance
        self._stack = ExitStack()
        self._sandbox: Sandbox | None = None
        self._patch_and_result: tuple[str, Result] | None = None
        self.is_untouched = True
        """Nothing was done to it yet."""

    @property
    def identity(self) -> str:
        return self._opened_sandbox().identity

    @property
    def workdir(self) -> str:
        return self._opened_sandbox().workdir

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        return self._opened_sandbox().read(path, limit=limit)

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        self.mark_changed()
        return self._opened_sandbox().run(command, timeout=timeout, cwd=cwd)

    def write(self, path: str, data: bytes) -> None:
        self.mark_changed()
        self._opened_sandbox().write(path, data)

    def close(self) -> None:
        self.mark_changed()
        self._opened_sandbox().close()

    def mark_changed(self) -> None:
        """It holds more than a patch from now on."""
        self.is_untouched, self._patch_and_result = False, None

    def take_patched(self, patch: str) -> Result | None:
        """What applying the patch gave, where a sandbox that holds it waits; it is this one now."""
        if not self.is_untouched or self._sandbox is not None:
            return None  # one that was opened to look is this one's own, and must be closed by it
        kept = self._reuse.take(self._instance, patch)
        if kept is None:
            return None
        self._stack, self._sandbox, self.is_untouched = kept.exit_stack, kept.sandbox, False
        return kept.apply_result

    def mark_patched(self, patch: str, result: Result) -> None:
        """The patch is all that was put into it."""
        self._patch_and_result = (patch, result)

    def keep_or_close(self) -> None:
        """Keep the sandbox for who applies the same patch, if that is all that was done to it."""
        kept = None
        if self._sandbox is not None and self._patch_and_result is not None:
            kept = _PatchedSandbox(
                self._instance, *self._patch_and_result, self._sandbox, self._stack
            )
        if kept is None or not self._reuse.keep(kept):
            self._stack.close()

    def _opened_sandbox(self) -> Sandbox:
        if self._sandbox is None:
            self._sandbox = self._stack.enter_context(self._reuse.open_fresh(self._instance))
        return self._sandbox


@dataclass
class SandboxReuse:
    """One candidate's place for one sandbox; to be used in a ``with``. Threads may share it."""

    open_fresh: OpenSandbox
    apply_patch: ApplyPatch
    kept_sandbox: _PatchedSandbox | None = None
    lock: Lock = field(default_factory=Lock)
    """Verifiers may work side by side; a sandbox goes to one of them."""

    def take(self, instance: Instance, patch: str) -> _PatchedSandbox | None:
        """The sandbox that holds this patch, if it waits here; it is the caller's now."""
        with self.lock:
            kept = self.kept_sandbox
            if kept is None or (kept.instance, kept.patch) != (instance, patch):
                return None
            self.kept_sandbox = None
            return kept

    def keep(self, sandbox: _PatchedSandbox) -> bool:
        """Whether there was room for it."""
        with self.lock:
            if self.kept_sandbox is not None:
                return False
            self.kept_sandbox = sandbox
            return True

    def __enter__(self) -> SandboxReuse:
        return self

    def __exit__(self, *_: object) -> None:
        kept, self.kept_sandbox = self.kept_sandbox, None
        if kept is not None:
            kept.exit_stack.close()

    @contextmanager
    def open(self, instance: Instance) -> Iterator[Sandbox]:
        """A fresh start state; raises what opening raises at its first use."""
        lazy = _LazySandbox(self, instance)
        try:
            yield lazy
        except BaseException:
            lazy.mark_changed()
            raise
        finally:
            lazy.keep_or_close()

    def apply(self, sandbox: Sandbox, patch: str) -> Result:
        """Apply a patch in what ``open`` gave, or take the sandbox in which it was applied."""
        lazy = sandbox.inner if isinstance(sandbox, StoppableSandbox) else sandbox
        if not isinstance(lazy, _LazySandbox):
            raise TypeError(f"{sandbox!r} was not opened here")
        fresh, known = lazy.is_untouched, lazy.take_patched(patch)
        if known is not None:
            return known
        result = self.apply_patch(sandbox, patch)
        if fresh and result.exit_code == 0 and not result.timed_out:
            lazy.mark_patched(patch, result)
        return result
