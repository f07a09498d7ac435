"""A module that is imported when something of it is first used, which makes commands start fast.

It stands at the top of a file, next to the same import for the type checker:

    if TYPE_CHECKING:
        import ray
    else:
        ray = deferred_module("ray")

So the types are checked, and the floors and doors of ``pyproject.toml`` hold (import-linter reads
the first branch), while a command that never touches Ray does not wait for it.
``tests/house/test_startup.py`` says which modules each command may load.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class DeferredModule:
    """Stands in for a module; every attribute is the module's own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)

    def __repr__(self) -> str:
        return f"<{self._name}, imported when it is used>"


def deferred_module(name: str) -> Any:
    """The module of this absolute name; ``ImportError`` comes where it is first used."""
    return DeferredModule(name)


@contextmanager
def uncollected_loading(name: str) -> Iterator[None]:
    """While the module of this name is first loaded, with all that it needs, nothing is collected.

    What is there then stays to the end, so the collector never looks through it again: both take
    a tenth of a short command.
    """
    if name in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
