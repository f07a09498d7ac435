"""Sandboxes started ahead of need, removed in the background; those for checks hold byte code.

Every sandbox is a new container and is used once, so nothing that a test run did to one is met by
the next. (Proving a used one clean, by a search for all that changed since it began, took longer
than a new container: 1.6 s against 1.3 s on the same busy machine, and ``docker diff`` compares by
size and time, which a test can forge.) What is saved is the waiting, and the compiling: images come
without byte code, and a third to two thirds of a short test run is spent making it.
"""

from __future__ import annotations

import posixpath
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from swe_router.errors import SandboxError
from swe_router.records import Instance
from swe_router.seams import Sandbox

MAX_SPARES = 8
"""Sandboxes waiting at once, whatever was asked for: each is a container."""
MAX_BYTES = 96_000_000
"""Of the byte code of one project."""
MIN_MODULES = 20
"""Compiled modules under which a sandbox ran no tests, and bringing them would save nothing."""
LIST_LIMIT = 4_000_000
_CACHED = re.compile(
    r"\A(?:(?P<folder>.*)/)?__pycache__/(?P<name>[^/.]+)\.[^./]+(?:\.opt-\d)?\.pyc\Z"
)
_SEEN = r"find . -path '*/__pycache__/*.pyc' 2>/dev/null | head -n 20000 > {file}"
_COMPILED = r"""
P=$(command -v python || command -v python3) || exit 3
: > {folder}/mark
"$P" -m compileall -q -i {folder}/sources >/dev/null 2>&1 || :
find . -path '*/__pycache__/*.pyc' -newer {folder}/mark > {folder}/made || exit 3
tar -cf {folder}/made.tar -T {folder}/made
"""


class SeededFactory(Protocol):
    """What opens a new sandbox; ``files`` is a tar that is unpacked in the work folder first."""

    def open(self, instance: Instance, files: bytes = b"") -> AbstractContextManager[Sandbox]:
        """A new sandbox."""
        ...


@dataclass
class _Spare:
    """A sandbox that waits, and what removes it."""

    sandbox: Sandbox
    stack: ExitStack


@dataclass
class _PoolShelf:
    """What is kept of one instance."""

    instance: Instance
    spares: list[Future[_Spare]] = field(default_factory=list)
    compiled: bytes = b""
    """Tar of the byte code of the start state's own sources."""
    runs: int = 0
    """Sandboxes that came back with compiled modules."""
    asked: bool = False


class WarmSandboxes:
    """Opens sandboxes; ``close`` or ``rest`` removes those that wait.

    When the process dies, so do the sandboxes: each hangs on a socket of it, as every sandbox does.
    """

    def __init__(
        self, sandboxes: SeededFactory, *, ahead: int, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """``ahead``: sandboxes of one instance that wait after the first was asked for.

        With 0 none waits but the one that ``soon`` starts, and none brings byte code.
        """
        self._sandboxes, self._stopping = sandboxes, stopping
        self._ahead = min(ahead, MAX_SPARES)
        self._lock = threading.Lock()
        self._shelves: dict[str, _PoolShelf] = {}
        # As many that start as that go, one that compiles, and one that ``soon`` starts.
        self._pool = ThreadPoolExecutor(2 * self._ahead + 2, thread_name_prefix="warm")
        self._closed = False

    def soon(self, instance: Instance) -> None:
        """A sandbox will be asked for in a moment: let it start meanwhile.

        What keeps it from starting is raised by ``open``, which tries once more.
        """
        self._order(self._shelf(instance), at_least=1)

    @contextmanager
    def open(self, instance: Instance) -> Iterator[Sandbox]:
        """A sandbox nobody used; removed, not awaited, at the end of the ``with``.

        Raises what opening a new one raises.
        """
        shelf = self._shelf(instance)
        spare = self._waiting(shelf) or self._started(shelf)
        self._order(shelf)
        try:
            yield spare.sandbox
        finally:
            if not self._later(lambda: self._dismiss(shelf, spare)):
                self._dismiss(shelf, spare)

    def rest(self, instance: Instance | None = None) -> None:
        """Remove the sandboxes that wait for an instance, or all of them."""
        with self._lock:
            names = [instance.id] if instance is not None else list(self._shelves)
            shelves = [self._shelves.pop(name) for name in names if name in self._shelves]
        for shelf in shelves:
            self._clear(shelf)

    def close(self) -> None:
        """Remove every sandbox and wait until that is done; safe to call twice."""
        self._closed = True
        self.rest()
        self._pool.shutdown(wait=True)

    def _shelf(self, instance: Instance) -> _PoolShelf:
        with self._lock:
            return self._shelves.setdefault(instance.id, _PoolShelf(instance))

    def _started(self, shelf: _PoolShelf) -> _Spare:
        with ExitStack() as stack:
            sandbox = stack.enter_context(self._sandboxes.open(shelf.instance, shelf.compiled))
            return _Spare(sandbox, stack.pop_all())

    def _waiting(self, shelf: _PoolShelf) -> _Spare | None:
        """A sandbox that waits and still answers."""
        while True:
            with self._lock:
                if not shelf.spares:
                    return None
                future = shelf.spares.pop(0)
            try:
                spare = future.result()
            except SandboxError:
                continue  # the new one that is opened instead says what is wrong
            try:
                if spare.sandbox.run(":", timeout=30.0, cwd="/").exit_code == 0:
                    return spare
            except SandboxError:
                pass
            spare.stack.close()

    def _order(self, shelf: _PoolShelf, at_least: int = 0) -> None:
        """Start as many sandboxes as are missing, while there is room for them."""
        with self._lock:
            if (
                self._closed
                or self._stopping()
                or self._shelves.get(shelf.instance.id) is not shelf
            ):
                return
            waiting = sum(len(one.spares) for one in self._shelves.values())
            wanted = max(self._ahead, at_least)
            missing = min(wanted - len(shelf.spares), MAX_SPARES - waiting)
            shelf.spares += [self._pool.submit(self._started, shelf) for _ in range(missing)]

    def _later(self, work: Callable[[], None]) -> bool:
        """Do it in the background; False when nothing is done any more."""
        with self._lock:
            if self._closed:
                return False
            self._pool.submit(work)
            return True

    def _dismiss(self, shelf: _PoolShelf, spare: _Spare) -> None:
        with spare.stack:
            if self._closed or self._stopping() or shelf.asked or not self._ahead:
                return
            with suppress(SandboxError, OSError, ValueError):
                sources = _sources(spare.sandbox)
                shelf.runs += len(sources) >= MIN_MODULES
                # One such run is a run at the base; the second says that patches are tested.
                if shelf.runs < 2 or len(sources) < MIN_MODULES:
                    return
                shelf.asked = True
                shelf.compiled = self._compiled(shelf.instance, sources)
        if shelf.compiled:
            self._renew(shelf)

    def _compiled(self, instance: Instance, sources: list[str]) -> bytes:
        """Byte code made in a sandbox of its own, where nothing of a patch or a test ever ran."""
        folder = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the sandbox)
        with self._sandboxes.open(instance) as sandbox:
            listed = "".join(f"{posixpath.join(instance.workdir, name)}\n" for name in sources)
            sandbox.write(f"{folder}/sources", listed.encode("utf-8", "surrogateescape"))
            done = sandbox.run(_COMPILED.format(folder=folder), timeout=300.0)
            if done.exit_code != 0 or done.timed_out:
                return b""
            return sandbox.read(f"{folder}/made.tar", limit=MAX_BYTES)

    def _renew(self, shelf: _PoolShelf) -> None:
        """Put sandboxes with byte code in the place of those that wait without."""
        with self._lock:
            stale, shelf.spares = shelf.spares, []
        self._order(shelf)
        _remove(stale)

    def _clear(self, shelf: _PoolShelf) -> None:
        with self._lock:
            stale, shelf.spares = shelf.spares, []
        if not self._later(lambda: _remove(stale)):
            _remove(stale)


def _sources(sandbox: Sandbox) -> list[str]:
    """Paths of the modules, from the work folder, that were compiled in a sandbox."""
    file = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the sandbox)
    sandbox.run(_SEEN.format(file=file), timeout=60.0)
    listed = sandbox.read(file, limit=LIST_LIMIT).decode("utf-8", "surrogateescape")
    return sorted({source for line in listed.splitlines() if (source := source_of(line))})


def source_of(cached: str) -> str:
    """``./a/__pycache__/b.cpython-39.pyc`` as ``a/b.py``; empty for any other path."""
    found = _CACHED.match(cached)
    if found is None:
        return ""
    return posixpath.normpath(posixpath.join(found["folder"] or "", f"{found['name']}.py"))


def _remove(spares: list[Future[_Spare]]) -> None:
    for future in spares:
        if not future.cancel():
            with suppress(SandboxError):
                future.result().stack.close()
