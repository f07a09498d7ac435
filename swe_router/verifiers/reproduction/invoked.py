"""What a command line runs: which file of the agent's, and by which runner."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from swe_router.verifiers.reproduction.single_run import Way

_PYTHON = re.compile(r"python[\d.]*\Z|pypy3?\Z")
_TAKES_VALUE = frozenset({"-W", "-X", "-k", "-m", "-p", "-c", "-o", "--settings", "--tb"})


@dataclass(frozen=True)
class Folder:
    """Where a command line is, in a project that lies at ``root``."""

    root: str
    now: str

    def path(self, name: str) -> str:
        """A path as seen from the root; one outside of it stays absolute."""
        whole = posixpath.normpath(posixpath.join(self.now, name))
        return whole.removeprefix(f"{self.root}/")

    def into(self, name: str) -> Folder:
        """The folder after a ``cd``."""
        return Folder(self.root, posixpath.normpath(posixpath.join(self.now, name)))


@dataclass
class InvokedRun:
    """One command line that runs a file."""

    path: str
    way: Way
    arguments: tuple[str, ...] = ()
    text: str | None = None
    """Source of an inline script (``python -c``); None when ``path`` names a file."""


def invoked_runs(words: Sequence[str], given: str, where: Folder) -> list[InvokedRun]:
    """The files that a command runs, by how it runs them."""
    if not words:
        return []
    program, rest = posixpath.basename(words[0]), list(words[1:])
    if program in ("pytest", "py.test"):
        return _files(rest, where, "pytest")
    if words[0].endswith("bin/test"):
        return _files(rest, where, "module")
    if program == "runtests.py":
        return _labels(rest)
    if not _PYTHON.match(program):
        return []
    return _interpreted(rest, given, where)


def _interpreted(rest: list[str], given: str, where: Folder) -> list[InvokedRun]:
    """What ``python`` with these words runs."""
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "-m", "-c"):
        rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
    first, more = (rest or ["-"])[0], rest[1:]
    if first in ("-", "-c"):
        text = given if first == "-" else "".join(more[:1])
        return [InvokedRun("", "script", tuple(more[first == "-c" :]), text)] if text else []
    if first == "-m":
        return _modules("".join(more[:1]), more[1:], where)
    if first.endswith("bin/test"):
        return _files(more, where, "module")
    if posixpath.basename(first) == "runtests.py":
        return _labels(more)
    return [InvokedRun(where.path(first), "script", tuple(more))]


def _modules(module: str, rest: list[str], where: Folder) -> list[InvokedRun]:
    """What ``python -m`` with these words runs."""
    if module in ("pytest", "py.test"):
        return _files(rest, where, "pytest")
    if module == "unittest":
        dotted = [w if w.endswith(".py") else f"{w.replace('.', '/')}.py" for w in rest]
        return _files(dotted, where, "module")
    return [InvokedRun(where.path(f"{module.replace('.', '/')}.py"), "script", tuple(rest))]


def _files(words: Sequence[str], where: Folder, way: Way) -> list[InvokedRun]:
    named = (word.split("::")[0] for word in words if not word.startswith("-"))
    return [InvokedRun(where.path(name), way) for name in named if name.endswith(".py")]


def _labels(words: Sequence[str]) -> list[InvokedRun]:
    """Files behind the labels of Django's runner: ``app.module.Class.test``."""
    found = []
    for number, word in enumerate(words):
        if word.startswith("-") or (number and words[number - 1] in _TAKES_VALUE):
            continue
        parts = word.removesuffix(".py").replace("/", ".").removeprefix("tests.").split(".")
        # Class and test, if given, come after the module; of the longer names none was written.
        found += [
            InvokedRun(f"tests/{'/'.join(parts[:n])}.py", "django")
            for n in range(1, len(parts) + 1)
        ]
    return found
