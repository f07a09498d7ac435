"""Dotted module names of Python files, and which file an import means."""

from __future__ import annotations

from collections.abc import Iterable

from swe_router.codegraph.test_paths import is_test


class PythonModules:
    """The importable modules of a tree."""

    def __init__(self, paths: Iterable[str]) -> None:
        """``paths`` are the Python files of the tree."""
        ordered = sorted(paths, key=lambda path: (is_test(path), path.count("/"), path))
        packages = {path.rpartition("/")[0] for path in ordered if path.endswith("/__init__.py")}
        self.name_of = {path: _module_name(path, packages) for path in ordered}
        self._files: dict[str, str] = {}
        for path in ordered:
            self._files.setdefault(self.name_of[path], path)
        for path in ordered:
            self._files.setdefault(_full_name(path), path)

    def file(self, module: str, importer: str = "") -> str | None:
        """Path of a module; a script's neighbour wins over a far file of the same name."""
        folder = importer.rpartition("/")[0]
        if folder and "." not in module:
            near = f"{folder}/{module}.py"
            if self.name_of.get(near) == module:
                return near
        return self._files.get(module)

    def absolute(self, importer: str, module: str, level: int) -> str:
        """The absolute name of a (relative) import; empty when it leaves the tree."""
        if level == 0:
            return module
        parts = self.name_of[importer].split(".")
        if not importer.endswith("/__init__.py"):
            parts = parts[:-1]
        if level - 1 > len(parts):
            return ""
        kept = parts[: len(parts) - (level - 1)]
        return ".".join([*kept, module] if module else kept)

    def moved(self, after: PythonModules) -> tuple[set[str], set[str]]:
        """Module names and paths that may mean another file ``after``, and renamed files."""
        names = {
            name
            for name in self._files.keys() | after._files.keys()
            if self._files.get(name) != after._files.get(name)
        }
        renamed = {
            path
            for path in self.name_of.keys() | after.name_of.keys()
            if self.name_of.get(path) != after.name_of.get(path)
        }
        for path in renamed:
            names.update((path, path.rpartition("/")[2].partition(".")[0]))
        return names, renamed


def _module_name(path: str, packages: set[str]) -> str:
    folder, _, file = path.rpartition("/")
    stem = file.rpartition(".")[0]
    while folder and folder in packages:
        folder, _, last = folder.rpartition("/")
        stem = last if stem == "__init__" else f"{last}.{stem}"
    return stem


def _full_name(path: str) -> str:
    return path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")
