"""Where modules and names of earlier versions went: an old import says what to write instead.

The table is ``moved.txt``: ``old new`` per line, ``module`` or ``module:Name``;
several new ones with commas. It is read only
when an import failed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "swe_router"


@cache
def moved_names() -> dict[str, str]:
    """Old name -> new name."""
    text = Path(__file__).with_name("moved.txt").read_text(encoding="utf-8")
    return dict(line.split(" ") for line in text.splitlines())


class MovedFinder:
    """Finds the modules of this package, which tell where an old name went; and moved ones."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for a name that never was; raises ``ModuleNotFoundError`` for one that moved."""
        if not name.startswith(f"{PACKAGE}."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            _tell_old_names(spec)
            return spec
        new = moved_names().get(name)
        if new is not None and new != name:
            where = new.replace(",", ", ")
            # Without ``name=``: ``from package import module`` swallows an error that bears it.
            raise ModuleNotFoundError(f"{name} is now {where}: change the import")
        return None


def _tell_old_names(spec: ModuleSpec) -> None:
    """Give the module, once it is loaded, a ``__getattr__`` that knows its old names."""
    loader = spec.loader
    if loader is None:
        return
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        vars(module).setdefault("__getattr__", renamed_getattr(spec.name))

    loader.exec_module = exec_module  # type: ignore[method-assign]


def install_finder() -> None:
    """Put the finder first, once."""
    if MovedFinder not in sys.meta_path:
        sys.meta_path.insert(0, MovedFinder)


def renamed_getattr(module: str) -> Callable[[str], Any]:
    """``__getattr__`` of a public module whose names changed."""

    def missing(name: str) -> Any:
        if name.startswith("__"):  # each import from a module asks for its ``__path__``
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
        new = moved_names().get(f"{module}:{name}")
        note = f": it is now {new.replace(':', '.')}" if new else ""
        error = ImportError if new and not name.startswith("_") else AttributeError
        raise error(f"{module} has no {name!r}{note}", name=name)

    return missing


def new_place_of_import(error: BaseException) -> str:
    """The new place of a name that an import of another package looked for; empty for none."""
    found = re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))
    new = moved_names().get(f"{found[2]}:{found[1]}") if found else None
    return new.replace(":", ".") if new else ""
