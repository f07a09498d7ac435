"""Compiles and imports Python files with the sandbox's own interpreter; copied into the sandbox.

Runs on any Python from 3.6 with nothing but the standard library:

    python -I -S probe.py compile LIST REPORT       python probe.py import LIST REPORT

LIST is JSON: paths in the folder that it runs in. REPORT gets a JSON list of ``[word, message]``:
ok | error | absent | unknown for ``compile``; ok | raises | died | slow | none (no module that
could be imported) for ``import``, each module in a process of its own, because importing runs code.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

_SLOW = 20.0
"""Seconds for one import."""
_MAX_MESSAGE = 300


def compiled(path: str) -> Any:
    """Whether a file is Python to this interpreter; nothing is written or run."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            source = file.read()
    except OSError as error:
        return ["absent", str(error)[:_MAX_MESSAGE]]
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return ["error", f"line {error.lineno}: {error.msg}"]
    except (ValueError, OverflowError) as error:
        return ["error", type(error).__name__ + ": " + str(error)[:_MAX_MESSAGE]]
    except (RecursionError, MemoryError) as error:
        return ["unknown", type(error).__name__]
    return ["ok", ""]


def imported(root: str, module: str, ready: Any = None) -> Any:
    """Import a module in a child process; ``ready`` is called in it before."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        _import(into, root, module, ready)
        os._exit(0)
    os.close(into)
    try:
        return _child_result(out, child)
    finally:
        os.close(out)


def _import(into: int, root: str, module: str, ready: Any) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.path[0] = root
    result = ["ok", ""]
    try:
        if ready is not None:
            ready()
        importlib.import_module(module)
    except BaseException as error:  # SystemExit and what a module makes up itself
        result = ["raises", (type(error).__name__ + ": " + str(error))[:_MAX_MESSAGE]]
    os.write(into, json.dumps(result).encode())


def _child_result(out: int, child: int, seconds: float = _SLOW) -> Any:
    data, ends = b"", time.time() + seconds
    ready = select.poll()  # select() knows no descriptor above 1023
    ready.register(out, select.POLLIN | select.POLLHUP)
    while True:
        if not ready.poll(max(0.0, ends - time.time()) * 1000):
            break
        piece = os.read(out, 4096)
        if not piece:
            break
        data += piece
    slow = time.time() >= ends
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        return json.loads(data.decode())
    except ValueError:
        return ["slow", ""] if slow else ["died", "the import ended the interpreter"]


def module_name(path: str) -> Any:
    """Folder to import from, and the module's name; None for a file that is no module.

    Outside of packages only what lies at the top, or in ``src`` or ``lib``, is one: importing a
    script runs it.
    """
    folder, name = os.path.split(path)
    parts = [name[:-3]]
    while folder and os.path.exists(os.path.join(folder, "__init__.py")):  # noqa: PTH110, PTH118
        folder, name = os.path.split(folder)
        parts.insert(0, name)
    if len(parts) == 1 and folder not in ("", "src", "lib"):
        return None
    if parts[-1] in ("__main__", "setup", "conftest"):
        return None
    if parts[-1] == "__init__":
        parts.pop()
    if not parts or not all(part.isidentifier() for part in parts):
        return None
    return os.path.abspath(folder), ".".join(parts)  # noqa: PTH100


def django() -> None:
    """Settings, without which many modules of Django and of its applications do not load."""
    settings = importlib.import_module("django.conf").settings
    names = ("auth", "contenttypes", "sessions", "messages", "admin", "sites")
    settings.configure(INSTALLED_APPS=["django.contrib." + name for name in names])
    importlib.import_module("django").setup()


def try_import(path: str) -> Any:
    """Import a file as a module; if it asks for Django's settings, once more with some."""
    found = module_name(path)
    if found is None or not hasattr(os, "fork"):
        return ["none", ""]
    root, module = found
    result = imported(root, module)
    if result[0] == "raises" and result[1].startswith(
        ("ImproperlyConfigured", "AppRegistryNotReady")
    ):
        return imported(root, module, django)
    return result


def main(what: str, wanted: str, report: str) -> None:
    """Write what became of each file or module."""
    sys.dont_write_bytecode = True
    with open(wanted, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        items = json.load(file)
    if what == "compile":
        found = [compiled(path) for path in items]
    else:
        found = [try_import(path) for path in items]
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
