"""What a command line runs: which file of the agent's, and by which runner."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from swe_router.verifiers.reproduction.single_run import RunMode

_PYTHON_PROGRAM = re.compile(r"python[\d.]*\Z|pypy3?\Z")
_OPTIONS_WITH_VALUE = frozenset({"-W", "-X", "-k", "-m", "-p", "-c", "-o", "--settings", "--tb"})


@dataclass(frozen=True)
class Folder:
    """Where a command line is, in a project that lies at ``root``."""

    root: str
    current: str

    def path(self, name: str) -> str:
        """A path as seen from the root; one outside of it stays absolute."""
        whole = posixpath.normpath(posixpath.join(self.current, name))
        return whole.removeprefix(f"{self.root}/")

    def into(self, name: str) -> Folder:
        """The folder after a ``cd``."""
        return Folder(self.root, posixpath.normpath(posixpath.join(self.current, name)))


@dataclass
class InvokedRun:
    """One command line that runs a file."""

    path: str
    run_by: RunMode
    arguments: tuple[str, ...] = ()
    inline_source: str | None = None
    """Source of an inline script (``python -c``); None when ``path`` names a file."""


def invoked_runs(words: Sequence[str], variables: str, folder: Folder) -> list[InvokedRun]:
    """The files that a command runs, by how it runs them."""
    if not words:
        return []
    program, rest = posixpath.basename(words[0]), list(words[1:])
    if program in ("pytest", "py.test"):
        return _file_runs(rest, folder, "pytest")
    if words[0].endswith("bin/test"):
        return _file_runs(rest, folder, "module")
    if program == "runtests.py":
        return _django_label_files(rest)
    if not _PYTHON_PROGRAM.match(program):
        return []
    return _runs_by_python(rest, variables, folder)


def _runs_by_python(arguments: list[str], variables: str, folder: Folder) -> list[InvokedRun]:
    """What ``python`` with these words runs."""
    while arguments and arguments[0].startswith("-") and arguments[0] not in ("-", "-m", "-c"):
        arguments = arguments[2:] if arguments[0] in ("-W", "-X") else arguments[1:]
    first, more = (arguments or ["-"])[0], arguments[1:]
    if first in ("-", "-c"):
        text = variables if first == "-" else "".join(more[:1])
        return [InvokedRun("", "script", tuple(more[first == "-c" :]), text)] if text else []
    if first == "-m":
        return _runs_by_python_module("".join(more[:1]), more[1:], folder)
    if first.endswith("bin/test"):
        return _file_runs(more, folder, "module")
    if posixpath.basename(first) == "runtests.py":
        return _django_label_files(more)
    return [InvokedRun(folder.path(first), "script", tuple(more))]


def _runs_by_python_module(module: str, arguments: list[str], folder: Folder) -> list[InvokedRun]:
    """What ``python -m`` with these words runs."""
    if module in ("pytest", "py.test"):
        return _file_runs(arguments, folder, "pytest")
    if module == "unittest":
        dotted = [w if w.endswith(".py") else f"{w.replace('.', '/')}.py" for w in arguments]
        return _file_runs(dotted, folder, "module")
    return [InvokedRun(folder.path(f"{module.replace('.', '/')}.py"), "script", tuple(arguments))]


def _file_runs(words: Sequence[str], folder: Folder, way: RunMode) -> list[InvokedRun]:
    named = (word.split("::")[0] for word in words if not word.startswith("-"))
    return [InvokedRun(folder.path(name), way) for name in named if name.endswith(".py")]


def _django_label_files(words: Sequence[str]) -> list[InvokedRun]:
    """Files behind the labels of Django's runner: ``app.module.Class.test``."""
    found = []
    for number, word in enumerate(words):
        if word.startswith("-") or (number and words[number - 1] in _OPTIONS_WITH_VALUE):
            continue
        parts = word.removesuffix(".py").replace("/", ".").removeprefix("tests.").split(".")
        # Class and test, if given, come after the module; of the longer names none was written.
        found += [
            InvokedRun(f"tests/{'/'.join(parts[:n])}.py", "django")
            for n in range(1, len(parts) + 1)
        ]
    return found
