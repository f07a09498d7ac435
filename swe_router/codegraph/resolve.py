"""Names to definitions: what each import, base class and call of a Python file means.

Only what the text settles is linked: imports are followed through re-exports, ``self`` and
``super()`` through base classes. A call on a value of unknown type has no edge.

Every answer that crosses files is kept with the names that were looked at on the way (its
trail), so that after a change only the questions are asked again whose trail it touches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

from swe_router.codegraph.file_facts import MODULE, FileFacts
from swe_router.codegraph.import_statements import WHOLE, ImportedName
from swe_router.codegraph.python_modules import PythonModules

MAX_TRAIL = 400
"""Names looked at before a chain of re-exports or base classes is given up."""
MAX_HOPS = 100
"""Re-exports followed in a row."""

Token = tuple[str, str]
"""(path, name) of a name that was looked at; ("", module or path) for a file that was."""
Question = tuple[str, str, str]
"""(path, name, "") for a name of a module, (path, class, attribute) for a member of a class."""


Edge = tuple[str, str, str]
"""Source, target (node names) and kind of one edge."""


class Symbol(NamedTuple):
    """A definition somewhere; a module has no name."""

    path: str
    name: str
    kind: str
    """class | function | variable | module."""

    @property
    def node(self) -> str:
        """Its node name: ``module:PATH`` or ``PATH::Qualified.name``."""
        return f"{self.path}::{self.name}" if self.name else module_node(self.path)


class Resolution(NamedTuple):
    """What a question came to, and the trail."""

    symbol: Symbol | None
    trail: frozenset[Token]


class BoundNames:
    """Names bound in one file."""

    __slots__ = ("bases", "facts", "imports", "kinds", "scopes", "stars")

    def __init__(self, facts: FileFacts) -> None:
        self.facts = facts
        self.kinds = {d.name: d.kind for d in facts.definitions}
        self.bases = {d.name: (d.scope, d.bases) for d in facts.definitions if d.bases}
        # ``import a.b`` binds ``a``; an alias has no dot.
        self.imports = {i.alias.partition(".")[0]: i for i in facts.imports if i.name != WHOLE}
        self.stars = [i for i in facts.imports if i.name == WHOLE]
        self.scopes = facts.definitions

    def changed(self, after: BoundNames) -> set[str]:
        """Names whose meaning to other files may differ; ``*`` for the star imports."""
        out = _differ(self.kinds, after.kinds) | _differ(_heirs(self), _heirs(after))
        out |= _differ(_bound(self.imports), _bound(after.imports))
        if [i[:4] for i in self.stars] != [i[:4] for i in after.stars]:
            out.add(WHOLE)
        return out

    def all(self) -> set[str]:
        """Every name that is bound here, and ``*``."""
        return {*self.kinds, *self.imports, WHOLE}


class Resolver:
    """Links the facts of all Python files of one tree."""

    def __init__(self, files: Mapping[str, BoundNames], modules: PythonModules) -> None:
        """``answers`` may be filled with those of an earlier tree that still hold."""
        self._files = files
        self._modules = modules
        self.answers: dict[Question, Resolution] = {}
        self._lines: dict[Token, tuple[tuple[Symbol, ...], frozenset[Token]]] = {}
        self._here = ""
        self._bindings: dict[str, Symbol | None] = {}
        self._asked: set[Question] = set()
        self._seen: set[Token] = set()

    def edges(self, path: str) -> tuple[list[Edge], frozenset[Question], frozenset[Token]]:
        """Import, inherit and call edges that start in ``path``, and what they rest upon."""
        self._here, self._asked, self._seen, self._bindings = path, set(), set(), {}
        found = list(self._import_edges(path))
        names = self._files[path]
        for name, (scope, bases) in names.bases.items():
            for base in bases:
                target = self._look(path, scope, base)
                if target is not None and target.kind == "class":
                    found.append((f"{path}::{name}", target.node, "inherit"))
        scopes = names.scopes
        known: dict[tuple[int, str], Symbol | None] = {}
        for scope, name, _ in names.facts.calls:
            if name.startswith("?."):
                continue
            key = (scope, name)
            target = known[key] = known[key] if key in known else self._look(path, scope, name)
            if target is not None and target.kind in ("class", "function"):
                source = module_node(path) if scope == MODULE else f"{path}::{scopes[scope].name}"
                found.append((source, target.node, "call"))
        return found, frozenset(self._asked), frozenset(self._seen)

    def ask(self, question: Question) -> Resolution:
        """The answer to a question, from memory if it is known."""
        known = self.answers.get(question)
        if known is None:
            path, name, attribute = question
            seen: set[Token] = set()
            if attribute:
                found = self._find_attribute(path, name, attribute, seen)
            else:
                found = self._find(path, name, seen, 0)
            known = self.answers[question] = Resolution(found, frozenset(seen))
        return known

    def asks_sense(self, question: Question) -> bool:
        """The file, and the class whose member is asked for, are there."""
        path, name, attribute = question
        file = self._files.get(path)
        return file is not None and (not attribute or file.kinds.get(name) == "class")

    def _import_edges(self, path: str) -> Iterator[Edge]:
        source = module_node(path)
        for imported in self._files[path].facts.imports:
            for target in self._import_targets(path, imported):
                if target.path != path:
                    # Variables are no nodes: importing one imports its module.
                    variable = target.kind == "variable"
                    node = module_node(target.path) if variable else target.node
                    yield source, node, "import"

    def _import_targets(self, path: str, imported: ImportedName) -> Iterator[Symbol]:
        module, name, _, level, _ = imported
        home = self._module(path, module, level, self._seen)
        if name in ("", WHOLE):
            if home is not None:
                yield home
            return
        found = self._bound_at(home, path, imported)
        if home is not None and (found is None or found.path != home.path):
            yield home
        if found is not None:
            yield found

    def _bound(self, path: str, imported: ImportedName) -> Symbol | None:
        """What an import binds; ``_bindings`` knows it of the asking file."""
        here = path == self._here
        if here and imported.alias in self._bindings:
            return self._bindings[imported.alias]
        module, name, alias, level, _ = imported
        if name == "":
            bound = module.partition(".")[0] if alias == module else module
            found = self._module(path, bound, level, self._seen)
        else:
            found = self._bound_at(self._module(path, module, level, self._seen), path, imported)
        if here:
            self._bindings[alias] = found
        return found

    def _bound_at(self, home: Symbol | None, path: str, imported: ImportedName) -> Symbol | None:
        module, name, _, level, _ = imported
        found = self._member(home.path, name) if home is not None else None
        if found is not None:
            return found
        return self._module(path, f"{module}.{name}" if module else name, level, self._seen)

    def _module(self, importer: str, module: str, level: int, seen: set[Token]) -> Symbol | None:
        name = self._modules.absolute(importer, module, level) if level else module
        if not name:
            return None
        seen.add(("", name))
        file = self._modules.file(name, "" if level else importer)
        return Symbol(file, "", "module") if file is not None else None

    def _imported(
        self, path: str, imported: ImportedName, seen: set[Token], hops: int
    ) -> Symbol | None:
        """What an import binds: a submodule, a definition, or what that file re-exports."""
        module, name, alias, level, _ = imported
        if name == "":
            # ``import a.b`` binds ``a``
            bound = module.partition(".")[0] if alias == module else module
            return self._module(path, bound, level, seen)
        home = self._module(path, module, level, seen)
        if home is not None:
            found = self._find(home.path, name, seen, hops + 1)
            if found is not None:
                return found
        return self._module(path, f"{module}.{name}" if module else name, level, seen)

    def _find(self, path: str, name: str, seen: set[Token], hops: int) -> Symbol | None:
        """What ``name`` is in the namespace of a module; ``seen`` grows by the trail."""
        token, file = (path, name), self._files.get(path)
        if token in seen or file is None or hops > MAX_HOPS or len(seen) > MAX_TRAIL:
            return None
        seen.add(token)
        if name in file.kinds:
            return Symbol(path, name, file.kinds[name])
        if name in file.imports:
            return self._imported(path, file.imports[name], seen, hops)
        seen.add((path, WHOLE))
        for star in file.stars:
            home = self._module(path, star.module, star.level, seen)
            if home is not None and home.path != path:
                found = self._find(home.path, name, seen, hops + 1)
                if found is not None:
                    return found
        return None

    def _member(self, path: str, name: str) -> Symbol | None:
        question = (path, name, "")
        self._asked.add(question)
        return self.ask(question).symbol

    def _look(self, path: str, scope: int, name: str) -> Symbol | None:
        """What a dotted name means where it is written."""
        head, _, rest = name.partition(".")
        file = self._files[path]
        if head in ("self", "cls", "super()"):
            owner = _enclosing_class(file, scope)
            if owner is None or not rest or "." in rest:
                return None
            asked = f"super().{rest}" if head == "super()" else rest
            return self._attribute(Symbol(path, owner, "class"), asked)
        start = self._bare(path, file, scope, head)
        if not rest:
            return start
        for part in rest.split("."):
            if start is None:
                return None
            start = self._attribute(start, part)
        return start

    def _bare(self, path: str, file: BoundNames, scope: int, name: str) -> Symbol | None:
        abroad = path != self._here
        definitions = file.scopes
        while scope != MODULE:
            around = definitions[scope]
            if around.kind == "function":  # a class body's names are not seen by its methods
                inner = f"{around.name}.{name}"
                if abroad:
                    self._seen.add((path, inner))
                if inner in file.kinds:
                    return Symbol(path, inner, file.kinds[inner])
            scope = around.scope
        if abroad:
            self._seen.add((path, name))
        if name in file.kinds:
            return Symbol(path, name, file.kinds[name])
        if name in file.imports:
            return self._bound(path, file.imports[name])
        if abroad:
            self._seen.add((path, WHOLE))
        return self._member(path, name) if file.stars else None

    def _attribute(self, of: Symbol, name: str) -> Symbol | None:
        if of.kind == "module":
            return self._member(of.path, name) or self._submodule(of.path, name)
        if of.kind != "class":
            return None
        own = f"{of.name}.{name}"
        kind = self._files[of.path].kinds.get(own)
        if kind is not None:
            if of.path != self._here:
                self._seen.add((of.path, own))
            return Symbol(of.path, own, kind)
        question = (of.path, of.name, name)
        self._asked.add(question)
        return self.ask(question).symbol

    def _find_attribute(
        self, path: str, name: str, attribute: str, seen: set[Token]
    ) -> Symbol | None:
        line, trail = self._line(path, name)
        seen |= trail
        skipped = attribute.startswith("super().")
        attribute = attribute.removeprefix("super().")
        for one in line[1:] if skipped else line:
            full = f"{one.name}.{attribute}"
            seen.add((one.path, full))
            kind = self._files[one.path].kinds.get(full)
            if kind is not None:
                return Symbol(one.path, full, kind)
        return None

    def _line(self, path: str, name: str) -> tuple[tuple[Symbol, ...], frozenset[Token]]:
        """A class and its bases in the order of look-up (a base after all of its heirs)."""
        key = (path, name)
        if key not in self._lines:
            seen: set[Token] = set()
            order: list[Symbol] = []
            # A class whose base is looked up in the class itself ends here.
            self._lines[key] = (Symbol(path, name, "class"),), frozenset([key])
            self._descend(Symbol(path, name, "class"), order, set(), seen)
            order.reverse()
            self._lines[key] = tuple(order), frozenset(seen)
        return self._lines[key]

    def _descend(
        self, of: Symbol, order: list[Symbol], done: set[Symbol], seen: set[Token]
    ) -> None:
        """Post-order over the bases from last to first: reversed, it is Python's order."""
        done.add(of)
        seen.add((of.path, of.name))
        file = self._files[of.path]
        scope, bases = file.bases.get(of.name, (MODULE, ()))
        for base in reversed(bases):
            parent = self._base(of.path, scope, base, seen)
            if parent is not None and parent.kind == "class" and parent not in done:
                if len(done) > MAX_HOPS:
                    return
                self._descend(parent, order, done, seen)
        order.append(of)

    def _base(self, path: str, scope: int, name: str, seen: set[Token]) -> Symbol | None:
        """A base class as it is written; the trail goes to ``seen`` and not to the asking file."""
        before = self._here, self._asked, self._seen
        self._here, self._asked, self._seen = "", set(), seen
        try:
            found = self._look(path, scope, name)
            for question in self._asked:
                seen |= self.ask(question).trail
        finally:
            self._here, self._asked, self._seen = before
        return found

    def _submodule(self, path: str, name: str) -> Symbol | None:
        if not path.endswith("__init__.py"):
            return None
        folder = path.rpartition("/")[0]
        for inner in (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py"):
            self._seen.add(("", inner))
            if inner in self._files:
                return Symbol(inner, "", "module")
        return None


def carry_over(
    old: Mapping[Question, Resolution], changed: Set[Token], fresh: Resolver
) -> set[Question]:
    """Carry over the answers whose trail was not touched; those that came out otherwise."""
    stale = [question for question, answer in old.items() if not changed.isdisjoint(answer.trail)]
    fresh.answers.update(old)
    for question in stale:
        del fresh.answers[question]
    return {
        question
        for question in stale
        if not fresh.asks_sense(question) or fresh.ask(question).symbol != old[question].symbol
    }


def module_node(path: str) -> str:
    """Node of the module that a file is."""
    return f"module:{path}"


def _enclosing_class(file: BoundNames, scope: int) -> str | None:
    definitions = file.scopes
    while scope != MODULE and definitions[scope].kind != "class":
        scope = definitions[scope].scope
    return None if scope == MODULE else definitions[scope].name


def _differ(a: Mapping[str, object], b: Mapping[str, object]) -> set[str]:
    if a == b:
        return set()
    return {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def _heirs(names: BoundNames) -> dict[str, object]:
    """Bases by class, with the scope by its name: an index moves with every line."""
    return {
        name: (names.scopes[scope].name if scope != MODULE else "", bases)
        for name, (scope, bases) in names.bases.items()
    }


def _bound(imports: Mapping[str, ImportedName]) -> dict[str, object]:
    return {alias: one[:4] for alias, one in imports.items()}


__all__ = ["BoundNames", "Edge", "Question", "Resolution", "Resolver", "Symbol", "Token"]
