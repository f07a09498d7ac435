"""Names to definitions: what each import, base class and call of a file means.

Only what the text settles is linked: imports are followed through re-exports, ``self`` and
``super()`` through base classes. A call on a value of unknown type has no edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from swe_router.codegraph.facts import MODULE, Facts, Import
from swe_router.codegraph.modules import Modules

MAX_HOPS = 12
"""Re-exports or base classes followed before a chain is given up (circles end here too)."""


class Edge(NamedTuple):
    """One edge of the graph, by node names."""

    source: str
    target: str
    kind: str


class Symbol(NamedTuple):
    """A definition somewhere: its file and its index in that file's facts; MODULE: the module."""

    path: str
    at: int


class _File:
    """Names bound in one file."""

    __slots__ = ("by_name", "facts", "imports", "stars")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.by_name = {d.name: i for i, d in enumerate(facts.definitions)}
        self.imports = {i.alias: i for i in facts.imports if i.name != "*"}
        self.stars = [i for i in facts.imports if i.name == "*"]


class Resolver:
    """Links the facts of all files of one tree."""

    def __init__(self, facts: Mapping[str, Facts], modules: Modules) -> None:
        self._files = {path: _File(found) for path, found in facts.items()}
        self._modules = modules
        self._members: dict[tuple[str, str], Symbol | None] = {}

    def edges(self, path: str) -> Iterator[Edge]:
        """Import, inherit and call edges that start in ``path``; may repeat."""
        yield from self._import_edges(path)
        facts = self._files[path].facts
        for index, definition in enumerate(facts.definitions):
            for base in definition.bases:
                target = self._look(path, definition.scope, base)
                if target is not None and self._kind(target) == "class":
                    yield Edge(self.node(Symbol(path, index)), self.node(target), "inherit")
        known: dict[tuple[int, str], Symbol | None] = {}
        for call in facts.calls:
            target = known.setdefault(
                (call.scope, call.name), self._look(path, call.scope, call.name)
            )
            if target is not None and self._kind(target) in ("class", "function"):
                yield Edge(self.node(Symbol(path, call.scope)), self.node(target), "call")

    def node(self, symbol: Symbol) -> str:
        """Node name of a symbol: ``module:a.b`` or ``path::Qualified.name``."""
        if symbol.at == MODULE:
            return module_node(symbol.path)
        return f"{symbol.path}::{self._files[symbol.path].facts.definitions[symbol.at].name}"

    def _kind(self, symbol: Symbol) -> str:
        if symbol.at == MODULE:
            return "module"
        return self._files[symbol.path].facts.definitions[symbol.at].kind

    def _import_edges(self, path: str) -> Iterator[Edge]:
        source = module_node(path)
        for imported in self._files[path].facts.imports:
            for target in self._import_targets(path, imported):
                if target.path != path:
                    yield Edge(source, self._importable(target), "import")

    def _importable(self, target: Symbol) -> str:
        """Variables are no nodes: importing one imports its module."""
        if self._kind(target) == "variable":
            return module_node(target.path)
        return self.node(target)

    def _import_targets(self, path: str, imported: Import) -> Iterator[Symbol]:
        if imported.name in ("", "*"):
            found = self._module(path, imported.module, imported.level)
        else:
            found = self._imported(path, imported, 0)
            home = self._module(path, imported.module, imported.level)
            if home is not None and (found is None or found.path != home.path):
                yield home
        if found is not None:
            yield found

    def _module(self, importer: str, module: str, level: int) -> Symbol | None:
        name = self._modules.absolute(importer, module, level)
        file = self._modules.file(name, importer if level == 0 else "") if name else None
        return Symbol(file, MODULE) if file is not None else None

    def _imported(self, path: str, imported: Import, hops: int) -> Symbol | None:
        """What an import binds: a submodule, a definition, or what that file re-exports."""
        if imported.name == "":
            bound = imported.module
            if imported.alias == imported.module:  # ``import a.b`` binds ``a``
                bound = imported.module.partition(".")[0]
            return self._module(path, bound, imported.level)
        home = self._module(path, imported.module, imported.level)
        if home is not None:
            found = self._member(home.path, imported.name, hops + 1)
            if found is not None:
                return found
        inner = f"{imported.module}.{imported.name}" if imported.module else imported.name
        return self._module(path, inner, imported.level)

    def _member(self, path: str, name: str, hops: int) -> Symbol | None:
        """What ``name`` is in the namespace of a module."""
        key = (path, name)
        if key in self._members:
            return self._members[key]
        if hops > MAX_HOPS:
            return None
        found = self._find_member(path, name, hops)
        if hops <= 1 or found is not None:  # a give-up deep in a chain is not the whole truth
            self._members[key] = found
        return found

    def _find_member(self, path: str, name: str, hops: int) -> Symbol | None:
        file = self._files.get(path)
        if file is None:
            return None
        if name in file.by_name:
            return Symbol(path, file.by_name[name])
        if name in file.imports:
            return self._imported(path, file.imports[name], hops)
        for star in file.stars:
            home = self._module(path, star.module, star.level)
            if home is not None and home.path != path:
                found = self._member(home.path, name, hops + 1)
                if found is not None:
                    return found
        return None

    def _look(self, path: str, scope: int, name: str) -> Symbol | None:
        """What a dotted name means where it is written."""
        head, _, rest = name.partition(".")
        if head == "?":
            return None
        file = self._files[path]
        if head in ("self", "cls", "super()"):
            owner = self._enclosing_class(file, scope)
            if owner is None or not rest or "." in rest:
                return None
            found = Symbol(path, owner)
            return self._attribute(found, rest, 0, skip_own=head == "super()")
        start = self._bare(path, file, scope, head)
        if start is None and rest and head in file.imports:
            return None
        for hop, part in enumerate(rest.split(".") if rest else ()):
            if start is None:
                return None
            start = self._attribute(start, part, hop)
        return start

    def _bare(self, path: str, file: _File, scope: int, name: str) -> Symbol | None:
        definitions = file.facts.definitions
        while scope != MODULE:
            around = definitions[scope]
            if around.kind == "function":  # a class body's names are not seen by its methods
                inner = file.by_name.get(f"{around.name}.{name}")
                if inner is not None:
                    return Symbol(path, inner)
            scope = around.scope
        return self._member(path, name, 0)

    def _enclosing_class(self, file: _File, scope: int) -> int | None:
        definitions = file.facts.definitions
        while scope != MODULE and definitions[scope].kind != "class":
            scope = definitions[scope].scope
        return None if scope == MODULE else scope

    def _attribute(
        self, of: Symbol, name: str, hops: int, *, skip_own: bool = False
    ) -> Symbol | None:
        if hops > MAX_HOPS:
            return None
        if of.at == MODULE:
            return self._member(of.path, name, 0) or self._submodule(of.path, name)
        file = self._files[of.path]
        definition = file.facts.definitions[of.at]
        if definition.kind != "class":
            return None
        own = file.by_name.get(f"{definition.name}.{name}")
        if own is not None and not skip_own:
            return Symbol(of.path, own)
        for base in definition.bases:
            parent = self._look(of.path, definition.scope, base)
            if parent is not None and parent != of:
                found = self._attribute(parent, name, hops + 1)
                if found is not None:
                    return found
        return None

    def _submodule(self, path: str, name: str) -> Symbol | None:
        if not path.endswith("__init__.py"):
            return None
        folder = path.rpartition("/")[0]
        for inner in (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py"):
            if inner in self._files:
                return Symbol(inner, MODULE)
        return None


def module_node(path: str) -> str:
    """Node of the module that a file is."""
    return f"module:{path}"
