"""Links of the files that are not Python: one resolver, a row of rules for each family.

As for Python, only what the text settles is linked: a name is looked for in its own file, in what
the file imports, and then as far as the language sees without an import; a name that is defined
twice there means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from swe_router.codegraph.file_facts import MODULE, FileFacts
from swe_router.codegraph.grammar import FAMILY, PYTHON, grammar_of
from swe_router.codegraph.import_statements import WHOLE, ImportedName
from swe_router.codegraph.import_targets import ImportTargets
from swe_router.codegraph.resolve import BoundNames, Edge, Symbol, Token, module_node

MAX_TRAIL = 100
"""Names looked at before a chain of re-exports or base classes is given up."""
MAX_IMPORT_TARGETS = 50
"""Files of a package that an import of it is linked to."""


class ScopeRules(NamedTuple):
    """What a language family sees without an import."""

    folder_namespace: bool = False
    """The files of a folder share their names."""
    global_kinds: tuple[str, ...] = ()
    """Kinds of definitions that are seen in the whole tree, where their name is unique."""
    implicit_this: bool = False
    """A bare name may be a member of the class around it."""
    hands_on: bool = False
    """A file may export what it imports whole (``export *``, ``pub use``)."""


_RULES = {
    "javascript": ScopeRules(hands_on=True),
    "go": ScopeRules(folder_namespace=True),
    "rust": ScopeRules(hands_on=True),
    "java": ScopeRules(folder_namespace=True, implicit_this=True),
    "c": ScopeRules(global_kinds=("class", "function"), implicit_this=True),
    "ruby": ScopeRules(global_kinds=("class",), implicit_this=True),
    "php": ScopeRules(folder_namespace=True),
}


@lru_cache(maxsize=65536)
def family_of(path: str) -> str:
    """Name of the language family of a file; empty for Python and for no language."""
    grammar = grammar_of(path)
    if grammar is None or grammar is PYTHON:
        return ""
    return FAMILY.get(grammar.name, grammar.name)


def family_edges(family: str, facts: Mapping[str, FileFacts]) -> dict[str, list[Edge]]:
    """Import, inherit and call edges of all files of a family, by the file they start in."""
    linker = _Linker(family, facts)
    return {path: list(linker.edges(path)) for path in facts}


class _Linker:
    """Looks names up in the files of one family."""

    def __init__(self, family: str, facts: Mapping[str, FileFacts]) -> None:
        self._rules = _RULES[family]
        self._names = {path: BoundNames(found) for path, found in facts.items()}
        written = [one.module for found in facts.values() for one in found.imports]
        self._places = ImportTargets(family, facts, written)
        self._folders = self._shared(lambda path: path.rpartition("/")[0], ("class", "function"))
        self._tree = self._shared(lambda _: "", self._rules.global_kinds)

    def _shared(
        self, group: Callable[[str], str], kinds: tuple[str, ...]
    ) -> dict[tuple[str, str], Symbol | None]:
        """(group, name) -> the only definition of that name there, None where there are more."""
        table: dict[tuple[str, str], Symbol | None] = {}
        for path, names in self._names.items():
            for name, kind in names.kinds.items():
                if kind in kinds:
                    key = (group(path), name)
                    table[key] = None if key in table else Symbol(path, name, kind)
        return table

    def edges(self, path: str) -> Iterator[Edge]:
        """Edges that start in a file; may repeat."""
        names, source = self._names[path], module_node(path)
        for imported in names.facts.imports:
            for target in self._targets(path, imported):
                if target.path != path:
                    yield source, target.node, "import"
        for name, (scope, bases) in names.bases.items():
            for base in bases:
                found = self._look(path, scope, base)
                if found is not None and found.kind == "class":
                    yield f"{path}::{name}", found.node, "inherit"
        for scope, name, _ in names.facts.calls:
            found = None if name.startswith("?.") else self._look(path, scope, name)
            if found is not None and found.kind in ("class", "function"):
                start = source if scope == MODULE else f"{path}::{names.scopes[scope].name}"
                yield start, found.node, "call"

    def _targets(self, path: str, imported: ImportedName) -> Iterator[Symbol]:
        found = self._bound(path, imported, set())
        if found is not None and found.kind != "variable":
            yield found
            if found.kind == "module":
                return
        for file in self._homes(path, imported)[:MAX_IMPORT_TARGETS]:
            if found is None or file != found.path or found.kind == "variable":
                yield Symbol(file, "", "module")

    def _homes(self, path: str, imported: ImportedName) -> list[str]:
        return self._places.files(path, imported.module) if imported.module else []

    def _bound(self, path: str, imported: ImportedName, seen: set[Token]) -> Symbol | None:
        """What a named import means: a definition, or a file."""
        module, name, alias, _, _ = imported
        if name in ("", WHOLE):
            return None
        for file in self._homes(path, imported):
            found = self._exported(file, alias if name == "default" else name, seen)
            if found is not None:
                return found
        for file in self._places.files(path, f"{module}.{name}" if module else name):
            return self._exported(file, name, seen) or Symbol(file, "", "module")
        return None

    def _exported(self, path: str, name: str, seen: set[Token]) -> Symbol | None:
        """A definition of a file, or one that it hands on."""
        names = self._names[path]
        if name in names.kinds:
            return Symbol(path, name, names.kinds[name])
        if (path, name) in seen or len(seen) > MAX_TRAIL or not self._rules.hands_on:
            return None
        seen.add((path, name))
        if name in names.imports:
            return self._bound(path, names.imports[name], seen)
        for star in names.stars:
            for file in self._homes(path, star):
                found = self._exported(file, name, seen)
                if found is not None:
                    return found
        return None

    def _look(self, path: str, scope: int, name: str) -> Symbol | None:
        head, _, rest = name.partition(".")
        if head in ("self", "super()"):
            return self._own(path, scope, head, rest)
        found = self._bare(path, scope, name)
        if found is not None or not rest:
            return found
        module = self._names[path].imports.get(head)
        if module is not None and module.name == "":
            homes = self._homes(path, module)
            found_at = (self._exported(file, rest, set()) for file in homes)
            return next((found for found in found_at if found is not None), None)
        return self._inside(path, scope, name)

    def _own(self, path: str, scope: int, head: str, name: str) -> Symbol | None:
        """A member of the class around."""
        if not name or "." in name:
            return None
        near = None if head == "super()" else self._in_same_scope(path, scope, name)
        owner = self._owner(path, scope) if near is None else None
        if owner is None:
            return near
        return self._member(owner, name, set(), skip_own=head == "super()")

    def _inside(self, path: str, scope: int, name: str) -> Symbol | None:
        """The last part of a name, in the class or module that the rest of it is."""
        before, _, last = name.rpartition(".")
        around = self._bare(path, scope, before) or self._by_path(path, before)
        if around is None:
            return None
        if around.kind == "module":
            return self._exported(around.path, last, set())
        found = self._member(around, last, set())
        return around if found is None and last == "new" and around.kind == "class" else found

    def _by_path(self, path: str, module: str) -> Symbol | None:
        """A module written out where it is used (Rust's ``crate::a::f()``)."""
        if not module.startswith("crate."):
            return None
        files = self._places.files(path, module)
        if files:
            return Symbol(files[0], "", "module")
        before, _, last = module.rpartition(".")
        files = self._places.files(path, before)
        return self._exported(files[0], last, set()) if files else None

    def _bare(self, path: str, scope: int, name: str) -> Symbol | None:
        names = self._names[path]
        near = self._around(path, scope, name)
        if near is not None:
            return near
        if name in names.imports:
            return self._bound(path, names.imports[name], set())
        for star in names.stars:
            for file in self._homes(path, star)[:MAX_IMPORT_TARGETS]:
                found = self._exported(file, name, set())
                if found is not None:
                    return found
        if self._rules.folder_namespace:
            return self._folders.get((path.rpartition("/")[0], name))
        return self._tree.get(("", name))

    def _around(self, path: str, scope: int, name: str) -> Symbol | None:
        """A name of the enclosing scopes, of the file, or of the base classes."""
        names, at = self._names[path], scope
        while at != MODULE:
            around = names.scopes[at]
            inner = f"{around.name}.{name}"
            if inner in names.kinds and (around.kind == "function" or self._rules.implicit_this):
                return Symbol(path, inner, names.kinds[inner])
            at = around.scope
        if name in names.kinds:
            return Symbol(path, name, names.kinds[name])
        owner = self._owner(path, scope) if self._rules.implicit_this and "." not in name else None
        return self._member(owner, name, set()) if owner is not None else None

    def _owner(self, path: str, scope: int) -> Symbol | None:
        """The class around a scope, or the one that its qualified name begins with."""
        names = self._names[path]
        while scope != MODULE and names.scopes[scope].kind != "class":
            prefix = names.scopes[scope].name.rpartition(".")[0]
            if names.kinds.get(prefix) == "class":
                return Symbol(path, prefix, "class")
            abroad = self._bare(path, MODULE, prefix) if prefix else None
            if abroad is not None and abroad.kind == "class":
                return abroad
            scope = names.scopes[scope].scope
        return Symbol(path, names.scopes[scope].name, "class") if scope != MODULE else None

    def _in_same_scope(self, path: str, scope: int, name: str) -> Symbol | None:
        """A member that is defined, like the asking one, outside its class (C++)."""
        names = self._names[path]
        prefix = names.scopes[scope].name.rpartition(".")[0] if scope != MODULE else ""
        full = f"{prefix}.{name}"
        return Symbol(path, full, names.kinds[full]) if prefix and full in names.kinds else None

    def _member(
        self, of: Symbol, name: str, seen: set[Token], *, skip_own: bool = False
    ) -> Symbol | None:
        names = self._names[of.path]
        full = f"{of.name}.{name}"
        if full in names.kinds and not skip_own:
            return Symbol(of.path, full, names.kinds[full])
        if (of.path, of.name) in seen or len(seen) > MAX_TRAIL:
            return None
        seen.add((of.path, of.name))
        scope, bases = names.bases.get(of.name, (MODULE, ()))
        for base in bases:
            # A base is looked up outside its class, or its members would be asked for it.
            parent = self._bare(of.path, scope, base)
            if parent is not None and parent.kind == "class":
                found = self._member(parent, name, seen)
                if found is not None:
                    return found
        return None
