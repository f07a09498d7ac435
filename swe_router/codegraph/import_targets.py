"""Which files an import means, in the languages whose modules are not Python's."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import cached_property

from swe_router.codegraph.test_paths import is_test

_SCRIPTS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".d.ts")
_ROOTS = ("mod", "lib", "main")


class ImportTargets:
    """Finds files by what imports write, among the files of one language family."""

    def __init__(self, family: str, paths: Collection[str], written: Collection[str]) -> None:
        """``written`` are all modules that the files import (Go's common prefix is read off)."""
        self._paths, self._written = frozenset(paths), written
        self._find = self._FINDERS[family]

    def files(self, importer: str, module: str) -> list[str]:
        """The files of a module, sorted; empty when it is not of this tree."""
        return self._find(self, importer, module)

    def _script(self, importer: str, module: str) -> list[str]:
        if not module.startswith("."):
            return []
        base = _join(importer, module)
        stem = base.rpartition(".")[0] if base.endswith((".js", ".jsx", ".mjs", ".cjs")) else base
        tried = [base, *(stem + end for end in _SCRIPTS), *(f"{base}/index{e}" for e in _SCRIPTS)]
        return [path for path in tried if path in self._paths][:1]

    def _package(self, _: str, module: str) -> list[str]:
        """Go: a folder below the module's prefix, as its files write it."""
        prefix = self._prefix
        if prefix is None or not f"{module}/".startswith(prefix):
            return []
        return self._folders.get(module[len(prefix) :], [])

    def _crate(self, importer: str, module: str) -> list[str]:
        crate, own = self._rust[importer]
        head, _, rest = module.partition(".")
        tried: list[tuple[str, str]] = []
        if head == "self":
            tried = [(crate, _dots(own, rest))]
        elif head == "super":
            around = own.rpartition(".")[0]
            while rest.partition(".")[0] == "super":
                around, rest = around.rpartition(".")[0], rest.partition(".")[2]
            tried = [(crate, _dots(around, rest))]
        elif head == "crate":
            tried = [(crate, rest)]
        else:
            named = [c for c in self._crates if _crate_name(c) == head]
            tried = [(c, rest) for c in named] or [(crate, _dots(own, module)), (crate, module)]
        found = [self._crate_files[key] for key in tried if key in self._crate_files]
        return found[:1]

    def _class_file(self, _: str, module: str) -> list[str]:
        """Java: ``a.b.C`` is ``…/a/b/C.java``; ``a.b`` (of ``a.b.*``) all files of that folder."""
        wanted = module.replace(".", "/")
        found = self._ending(f"{wanted}.java")
        if found:
            return found[:1]
        folders = [f for f in self._folders if f == wanted or f.endswith(f"/{wanted}")]
        return [path for folder in folders for path in self._folders[folder]]

    def _header(self, importer: str, module: str) -> list[str]:
        near = _join(importer, module)
        if near in self._paths:
            return [near]
        found = self._ending(posixpath.normpath(module))
        return found if len(found) == 1 else []

    def _script_of_ruby(self, importer: str, module: str) -> list[str]:
        name = module if module.endswith(".rb") else f"{module}.rb"
        if module.startswith("."):
            near = _join(importer, name)
            return [near] if near in self._paths else []
        found = [p for p in self._ending(name) if p == name or p.endswith(f"lib/{name}")]
        return found if len(found) == 1 else []

    def _namespaced(self, importer: str, module: str) -> list[str]:
        if module.startswith("./"):
            return self._header(importer, module)
        parts = module.split(".")
        least = min(2, len(parts))
        for cut in range(len(parts) - least + 1):
            found = self._ending("/".join(parts[cut:]) + ".php")
            if found:
                return found if len(found) == 1 else []
        return []

    def _ending(self, wanted: str) -> list[str]:
        """Files whose path is or ends in ``wanted``; tests only when nothing else does."""
        name = wanted.rpartition("/")[2]
        found = [p for p in self._by_file.get(name, ()) if f"/{p}".endswith(f"/{wanted}")]
        return [path for path in found if not is_test(path)] or found

    @cached_property
    def _by_file(self) -> Mapping[str, list[str]]:
        table: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            table.setdefault(path.rpartition("/")[2], []).append(path)
        return table

    @cached_property
    def _folders(self) -> Mapping[str, list[str]]:
        table: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            if not path.endswith("_test.go"):
                table.setdefault(path.rpartition("/")[0], []).append(path)
        return table

    @cached_property
    def _prefix(self) -> str | None:
        """What Go import paths of this tree begin with: the commonest rest before a folder."""
        votes: Counter[str] = Counter()
        for module in self._written:
            parts = module.split("/")
            for cut in range(1, len(parts)):
                if "/".join(parts[cut:]) in self._folders:
                    votes["/".join(parts[:cut]) + "/"] += 1
                    break
        return min(votes, key=lambda prefix: (-votes[prefix], prefix)) if votes else None

    @cached_property
    def _rust(self) -> Mapping[str, tuple[str, str]]:
        return {path: _rust_module(path) for path in sorted(self._paths)}

    @cached_property
    def _crate_files(self) -> Mapping[tuple[str, str], str]:
        return {key: path for path, key in sorted(self._rust.items(), reverse=True)}

    @cached_property
    def _crates(self) -> list[str]:
        return sorted({crate for crate, _ in self._rust.values()})

    _FINDERS: Mapping[str, Callable[[ImportTargets, str, str], list[str]]] = {
        "javascript": _script, "go": _package, "rust": _crate, "java": _class_file,
        "c": _header, "ruby": _script_of_ruby, "php": _namespaced,
    }  # fmt: skip


def _join(importer: str, module: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), module))


def _dots(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _crate_name(crate: str) -> str:
    return crate.rpartition("/")[2].replace("-", "_")


def _rust_module(path: str) -> tuple[str, str]:
    """Folder of the crate, and the dotted module within it."""
    parts = path.removesuffix(".rs").split("/")
    if "src" in parts[:-1]:
        at = len(parts) - 2 - parts[:-1][::-1].index("src")
        crate, inner = "/".join(parts[:at]), parts[at + 1 :]
    else:
        crate, inner = "/".join(parts[:-1]), parts[-1:]
    if inner[-1] == "mod" or (len(inner) == 1 and inner[0] in _ROOTS):
        inner = inner[:-1]
    return crate, ".".join(inner)
