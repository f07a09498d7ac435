"""What one file says by itself: definitions, imports, calls. A function of its bytes only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tree_sitter import Node, QueryCursor

from swe_router.codegraph import dotted_names, error_recovery, import_statements
from swe_router.codegraph.grammar import PYTHON, Grammar, language_tools
from swe_router.codegraph.import_statements import ImportedName

VERSION = "5"
"""Facts made under another version (or another query) are made again."""
MAX_BYTES = 512 * 1024
"""Larger sources are generated ones: skipped."""
MAX_BROKEN_BYTES = 32 * 1024
"""Of a larger stretch of broken text only what stands whole in it or around it is asked for: a
query over one huge error is quadratic."""
MAX_ISLANDS = 5000
"""Pieces around broken stretches that are asked for one by one."""
MAX_NULS = 0.1
"""Share of NUL bytes from which a file is no text."""
KEPT = ("", "syntax", "encoding", "nul")
"""Problems with which what parsed is kept."""
MAX_LINE = 500
"""Mean bytes of a line from which a file of ``MIN_GENERATED`` bytes was not written by a person."""
MIN_GENERATED = 8 * 1024
MAX_DEPTH = 500
"""Levels of the syntax tree that are looked at; the query's time explodes on deeper chains."""
MAX_NAME = 200
"""Bytes of a called name; of a longer one only the last part is kept."""
_FAR = 1 << 62
MODULE = -1
"""Scope of what stands outside any definition."""


class Definition(NamedTuple):
    """A class, function or variable in a file."""

    name: str
    """Qualified within the file, e.g. ``Class.method``."""
    kind: str
    """class | function | variable."""
    line: int
    end: int
    scope: int
    """Index of the enclosing definition, or ``MODULE``."""
    bases: tuple[str, ...] = ()


class Call(NamedTuple):
    """A name that is called (or decorates) within a scope; the first line of each."""

    scope: int
    name: str
    """Dotted as written; ``?.name`` where the receiver is an expression or a local variable."""
    line: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Everything that one file says."""

    definitions: tuple[Definition, ...] = ()
    imports: tuple[ImportedName, ...] = ()
    calls: tuple[Call, ...] = ()
    problem: str = ""
    """Why it is counted as skipped: ``large``, ``binary``, ``generated``, ``no grammar``; or what
    kept it from being read whole, where what parsed is kept: ``syntax``, ``encoding``, ``nul``."""


class _Scope(NamedTuple):
    """A definition, or a block that only names what is in it, with its span in bytes."""

    start: int
    end: int
    kind: str
    name: str
    node: Node


_Found = tuple[int, int, int, Node]
"""Start, end, index of the innermost scope around it, and the captured node."""


def extract_facts(content: bytes, grammar: Grammar) -> FileFacts:
    """Facts of one file; broken input gives fewer facts and a ``problem``, never an error."""
    problem = _unreadable(content)
    if problem not in KEPT:
        return FileFacts(problem=problem)
    reading = language_tools(grammar)
    if reading is None:
        return FileFacts(problem="no grammar")
    content = content.replace(b"\0", b" ")  # as wide, and no end of the text to a scanner
    tree = reading.parser.parse(content)
    if tree.root_node.has_error:
        problem = problem or "syntax"
        content, tree = error_recovery.blank_broken_code(
            content, tree, grammar.name, reading.parser
        )
    root = tree.root_node
    cursor = QueryCursor(reading.query)
    cursor.set_max_start_depth(MAX_DEPTH)
    found = _captures(cursor, root)
    # Latin-1 keeps the offsets of bytes, and slices of a str are cheaper than decoded bytes.
    text = content.decode("latin-1")
    read = text.__getitem__ if content.isascii() else _wide(text)
    scopes = _scopes(found, read)
    definitions, index = _definitions(scopes, found, read)
    named = _within(found.get("variable", ()), scopes)
    calls = _within(found.get("call", ()), scopes)
    calls += _within(found.get("method", ()), scopes, from_parent=True)
    own = _locals(found, named, scopes, text) if grammar is PYTHON else {}
    return FileFacts(
        definitions=(*definitions, *_variables(named, definitions, index, read)),
        imports=tuple(
            imported
            for node in sorted(found.get("import", ()), key=lambda n: n.start_byte)
            for imported in import_statements.read_imports(grammar.name, node)
        ),
        calls=_calls(calls, index, own, text, read, dotted_names.dotted_form(grammar.name)),
        problem=problem,
    )


def _captures(cursor: QueryCursor, root: Node) -> dict[str, list[Node]]:
    """What the query finds; around a huge broken stretch, and in what stands whole in it."""
    huge = _huge(root) if root.has_error else set()
    if not huge:
        return cursor.captures(root)
    found: dict[str, list[Node]] = {}
    waiting, pieces = [root], 0
    while waiting and pieces < MAX_ISLANDS:
        node = waiting.pop()
        if node.id in huge:
            waiting.extend(reversed(node.children))
        elif node.child_count:
            pieces += 1
            for name, nodes in cursor.captures(node).items():
                found.setdefault(name, []).extend(nodes)
    return found


def _huge(root: Node) -> set[int]:
    """Ids of broken nodes over ``MAX_BROKEN_BYTES``, and of all nodes around them."""
    found: set[int] = set()
    trails: list[tuple[Node, tuple[int, ...]]] = [(root, ())]
    while trails:
        node, around = trails.pop()
        if not node.has_error or node.end_byte - node.start_byte <= MAX_BROKEN_BYTES:
            continue
        trail = (*around, node.id)
        if node.is_error:
            found.update(trail)
        trails.extend((child, trail) for child in node.children)
    return found


def _unreadable(content: bytes) -> str:
    """Why a file is not parsed at all, what is odd about its bytes (``KEPT``), or nothing."""
    if len(content) > MAX_BYTES:
        return "large"
    nuls = content.count(b"\0")
    if nuls > MAX_NULS * len(content):
        return "binary"
    if len(content) > MIN_GENERATED and len(content) > MAX_LINE * (content.count(b"\n") + 1):
        return "generated"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "encoding"
    return "nul" if nuls else ""


def _wide(text: str) -> Callable[[slice], str]:
    """A reader of bytes that were decoded as Latin-1 but are UTF-8."""
    return lambda part: text[part].encode("latin-1").decode("utf-8", "replace")


def _scopes(found: Mapping[str, list[Node]], read: Callable[[slice], str]) -> list[_Scope]:
    """Everything that encloses, in file order."""
    out: list[_Scope] = []
    for kind in ("class", "function", "scope"):
        nodes = sorted(((n.start_byte, i, n) for i, n in enumerate(found.get(kind, ()))))
        titles = sorted(n.start_byte for n in found.get(f"{kind}.name", ()))
        by_start = {n.start_byte: n for n in found.get(f"{kind}.name", ())}
        for (start, _, node), title in zip(nodes, titles, strict=False):
            name = dotted_names.plain_name(read(slice(title, by_start[title].end_byte)))
            out.append(_Scope(start, node.end_byte, kind, name, node))
    out.sort(key=lambda scope: (scope.start, -scope.end))
    return out


def _within(
    nodes: Sequence[Node], scopes: Sequence[_Scope], *, from_parent: bool = False
) -> list[_Found]:
    """Each node with its scope, by one sweep; ``from_parent``: its text begins with its parent."""
    out: list[_Found] = []
    stack: list[int] = []
    inner, until = MODULE, _FAR
    upcoming, total = 0, len(scopes)
    begins = scopes[0].start if scopes else _FAR
    # tree-sitter gives nodes that begin alike (``super()`` in ``super().f()``) in any order.
    if from_parent:
        rows = [((n.parent or n).start_byte, n.end_byte, i) for i, n in enumerate(nodes)]
    else:
        rows = [(n.start_byte, n.end_byte, i) for i, n in enumerate(nodes)]
    rows.sort()
    for start, end, at in rows:
        while begins <= start:
            while stack and scopes[stack[-1]].end <= begins:
                stack.pop()
            stack.append(upcoming)
            inner, until = upcoming, scopes[upcoming].end
            upcoming += 1
            begins = scopes[upcoming].start if upcoming < total else _FAR
        while until <= start:
            stack.pop()
            inner, until = (stack[-1], scopes[stack[-1]].end) if stack else (MODULE, _FAR)
        out.append((start, end, inner, nodes[at]))
    return out


def _definitions(
    scopes: Sequence[_Scope], found: Mapping[str, list[Node]], read: Callable[[slice], str]
) -> tuple[list[Definition], list[int]]:
    """Definitions, and for each scope the index of the definition that it is or lies in."""
    heirs: dict[int, list[str]] = {}
    for start, end, scope, _ in _within(found.get("base", ()), scopes):
        heirs.setdefault(scope, []).append(dotted_names.plain_name(read(slice(start, end))))
    owners = {
        scope: read(slice(start, end))
        for start, end, scope, _ in _within(found.get("owner", ()), scopes)
    }
    full: list[str] = []
    out: list[Definition] = []
    index: list[int] = []
    stack: list[int] = []
    for at, (start, _, kind, name, node) in enumerate(scopes):
        while stack and scopes[stack[-1]].end <= start:
            stack.pop()
        around = stack[-1] if stack else MODULE
        within = f"{owners[at]}." if at in owners else f"{full[around]}." if stack else ""
        full.append(f"{within}{name}")
        home = index[around] if stack else MODULE
        if kind == "scope":
            index.append(home)
        else:
            index.append(len(out))
            line, last = node.start_point[0] + 1, node.end_point[0] + 1
            out.append(Definition(full[at], kind, line, last, home, tuple(heirs.get(at, ()))))
        stack.append(at)
    return _with_foreign_bases(out, heirs, scopes, full), index


def _with_foreign_bases(
    definitions: list[Definition],
    heirs: Mapping[int, list[str]],
    scopes: Sequence[_Scope],
    full: Sequence[str],
) -> list[Definition]:
    """Bases that are named outside the class itself (``impl Trait for Type``) are added to it."""
    more: dict[str, list[str]] = {}
    for at, bases in heirs.items():
        if at != MODULE and scopes[at].kind == "scope":
            more.setdefault(full[at], []).extend(bases)
    if not more:
        return definitions
    return [
        one._replace(bases=tuple(dict.fromkeys((*one.bases, *more[one.name]))))
        if one.kind == "class" and one.name in more
        else one
        for one in definitions
    ]


def _variables(
    found: Sequence[_Found],
    definitions: Sequence[Definition],
    index: Sequence[int],
    read: Callable[[slice], str],
) -> list[Definition]:
    """Module and class variables, the first assignment of each; locals are left out."""
    seen: dict[str, Definition] = {}
    for start, end, scope, node in found:
        home = index[scope] if scope != MODULE else MODULE
        if home != MODULE and definitions[home].kind != "class":
            continue
        name = read(slice(start, end))
        full = name if home == MODULE else f"{definitions[home].name}.{name}"
        if full not in seen:
            line = node.start_point[0] + 1
            seen[full] = Definition(full, "variable", line, line, home)
    return list(seen.values())


def _locals(
    found: Mapping[str, list[Node]],
    assigned: Sequence[_Found],
    scopes: Sequence[_Scope],
    text: str,
) -> dict[int, tuple[set[str], str]]:
    """By function scope: names that it assigns, and the text of its parameters."""
    out: dict[int, tuple[set[str], str]] = {}
    for start, end, scope, _ in _within(found.get("parameters", ()), scopes):
        known, params = out.get(scope, (set(), ""))
        out[scope] = (known, f"{params},{text[start:end]}")
    for start, end, scope, _ in assigned:
        if scope != MODULE and scopes[scope].kind == "function":
            out.setdefault(scope, (set(), ""))[0].add(text[start:end])
    return out


def _calls(
    found: Sequence[_Found],
    index: Sequence[int],
    own: Mapping[int, tuple[set[str], str]],
    text: str,
    read: Callable[[slice], str],
    dotted: Callable[[str], str],
) -> tuple[Call, ...]:
    seen: dict[tuple[int, str], Call] = {}
    written: set[tuple[int, str]] = set()
    for start, end, scope, node in found:
        # A chain of n calls has receivers of up to n links: their whole text would be quadratic.
        raw = text[start:end] if end - start <= MAX_NAME else text[end - MAX_NAME : end]
        key = (scope, raw)
        if key in written:
            continue
        written.add(key)
        if raw.isascii() and raw.isidentifier():
            name = raw
        elif end - start > MAX_NAME:
            name = f"?.{dotted_names.last_identifier(read(slice(end - MAX_NAME, end)))}"
        else:
            name = dotted(raw if raw.isascii() else read(slice(start, end)))
        local = own.get(scope)
        if local is not None and raw[:5] != "self." and dotted_names.is_bound_locally(name, *local):
            name = f"?.{name.rpartition('.')[2]}"
        home = index[scope] if scope != MODULE else MODULE
        if (home, name) not in seen:
            seen[home, name] = Call(home, name, node.start_point[0] + 1)
    return tuple(seen.values())


__all__ = [
    "MAX_BYTES",
    "MODULE",
    "VERSION",
    "Call",
    "Definition",
    "FileFacts",
    "ImportedName",
    "extract_facts",
]
