"""What one file says by itself: definitions, imports, calls. A function of its bytes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tree_sitter import Node, QueryCursor, Tree

from swe_router.codegraph.grammar import GRAMMARS, Grammar, tools

VERSION = "2/" + ",".join(grammar.version for grammar in GRAMMARS)
"""Facts made under another version are made again."""
MAX_BYTES = 512 * 1024
"""Larger sources are generated ones: skipped."""
MAX_BROKEN_BYTES = 32 * 1024
"""A broken file larger than this gives nothing: a query over one huge error is quadratic."""
MAX_DEPTH = 500
"""Levels of the syntax tree that are looked at; the query's time explodes on deeper chains."""
MAX_NAME = 200
"""Bytes of a called name; of a longer one only the last part is kept."""
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


class Import(NamedTuple):
    """One imported name: ``from {module} import {name} as {alias}`` or ``import {module}``."""

    module: str
    name: str
    """Empty for a plain ``import``; ``*`` for all."""
    alias: str
    """The name that it binds here."""
    level: int
    """Leading dots."""
    line: int


class Call(NamedTuple):
    """A name that is called (or decorates) within a scope; the first line of each."""

    scope: int
    name: str
    """Dotted as written; ``?.name`` where the receiver is an expression."""
    line: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one file says."""

    definitions: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()
    calls: tuple[Call, ...] = ()
    problem: str = ""
    """Why it is counted as skipped: ``binary``, ``encoding``, ``syntax`` (what parsed is kept)."""


def extract(content: bytes, grammar: Grammar) -> Facts:
    """Facts of one file; broken input gives fewer facts and a ``problem``, never an error."""
    if len(content) > MAX_BYTES:
        return Facts(problem="large")
    if b"\0" in content:
        return Facts(problem="binary")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return Facts(problem="encoding")
    parser, query = tools(grammar)
    tree: Tree = parser.parse(content)
    if tree.root_node.has_error and len(content) > MAX_BROKEN_BYTES:
        return Facts(problem="syntax")
    cursor = QueryCursor(query)
    cursor.set_max_start_depth(MAX_DEPTH)
    found = cursor.captures(tree.root_node)
    raw, spans = _scopes(found, content)
    bases = _in_scopes(found.get("base", ()), spans)
    definitions = _definitions(raw, bases, content)
    variables = _variables(_in_scopes(found.get("variable", ()), spans), definitions, content)
    return Facts(
        definitions=(*definitions, *variables),
        imports=tuple(
            imported
            for node in sorted(found.get("import", ()), key=lambda n: n.start_byte)
            for imported in _imports(node)
        ),
        calls=_calls(_in_scopes(found.get("call", ()), spans), content),
        problem="syntax" if tree.root_node.has_error else "",
    )


def _scopes(found: dict[str, list[Node]], content: bytes) -> tuple[list[Any], list[Any]]:
    """Definitions in file order as (kind, name, node), and their (start, end) spans."""
    raw: list[tuple[int, str, str, Node]] = []
    for kind in ("class", "function"):
        nodes = sorted(found.get(kind, ()), key=lambda n: n.start_byte)
        names = sorted(found.get(f"{kind}.name", ()), key=lambda n: n.start_byte)
        for node, name in zip(nodes, names, strict=False):
            text = content[name.start_byte : name.end_byte].decode()
            raw.append((node.start_byte, kind, text, node))
    raw.sort(key=lambda item: item[0])
    return raw, [(start, node.end_byte) for start, _, _, node in raw]


def _in_scopes(
    nodes: Sequence[Node], spans: Sequence[tuple[int, int]]
) -> list[tuple[int, int, int, Node]]:
    """(scope, start, end, node) of each node by one sweep over the sorted spans."""
    out: list[tuple[int, int, int, Node]] = []
    stack: list[int] = []
    upcoming, total = 0, len(spans)
    # tree-sitter gives nodes that begin alike (``super()`` in ``super().f()``) in any order.
    for start, end, node in sorted(
        ((n.start_byte, n.end_byte, n) for n in nodes), key=lambda found: found[:2]
    ):
        while upcoming < total and spans[upcoming][0] <= start:
            while stack and spans[stack[-1]][1] <= spans[upcoming][0]:
                stack.pop()
            stack.append(upcoming)
            upcoming += 1
        while stack and spans[stack[-1]][1] <= start:
            stack.pop()
        out.append((stack[-1] if stack else MODULE, start, end, node))
    return out


def _definitions(
    raw: Sequence[tuple[int, str, str, Node]],
    bases: Sequence[tuple[int, int, int, Node]],
    content: bytes,
) -> tuple[Definition, ...]:
    heirs: dict[int, list[str]] = {}
    for scope, start, end, _ in bases:
        heirs.setdefault(scope, []).append(content[start:end].decode())
    out: list[Definition] = []
    stack: list[tuple[int, int]] = []
    for index, (start, kind, name, node) in enumerate(raw):
        while stack and stack[-1][1] <= start:
            stack.pop()
        scope = stack[-1][0] if stack else MODULE
        full = f"{out[scope].name}.{name}" if scope != MODULE else name
        line, end = node.start_point[0] + 1, node.end_point[0] + 1
        out.append(Definition(full, kind, line, end, scope, tuple(heirs.get(index, ()))))
        stack.append((index, node.end_byte))
    return tuple(out)


def _variables(
    nodes: Sequence[tuple[int, int, int, Node]],
    definitions: Sequence[Definition],
    content: bytes,
) -> list[Definition]:
    """Module and class variables, the first assignment of each; locals are left out."""
    seen: dict[str, Definition] = {}
    for scope, start, end, node in nodes:
        if scope != MODULE and definitions[scope].kind != "class":
            continue
        name = content[start:end].decode()
        full = name if scope == MODULE else f"{definitions[scope].name}.{name}"
        line = node.start_point[0] + 1
        seen.setdefault(full, Definition(full, "variable", line, line, scope))
    return list(seen.values())


def _calls(nodes: Sequence[tuple[int, int, int, Node]], content: bytes) -> tuple[Call, ...]:
    seen: dict[tuple[int, str], int] = {}
    for scope, start, end, node in nodes:
        # A chain of n calls has receivers of up to n links: their whole text would be quadratic.
        name = content[max(start, end - MAX_NAME) : end].decode("utf-8", "replace")
        if end - start > MAX_NAME:
            name = f"?.{name.rpartition('.')[2].strip()}"
        elif not name.isidentifier():
            name = _dotted(name)
        key = (scope, name)
        if key not in seen:
            seen[key] = node.start_point[0] + 1
    return tuple(Call(scope, name, line) for (scope, name), line in seen.items())


def _dotted(text: str) -> str:
    if text.replace(".", "").isidentifier():
        return text
    head, _, last = text.rpartition(".")
    if head.startswith("super(") and head.endswith(")") and head.count("(") == 1:
        return f"super().{last.strip()}"
    return f"?.{last.strip()}"


def _imports(node: Node) -> list[Import]:
    line = node.start_point[0] + 1
    module, level = "", 0
    source = node.child_by_field_name("module_name")
    if source is not None:
        text = _text(source).replace(" ", "")
        module = text.lstrip(".")
        level = len(text) - len(module)
    out: list[Import] = []
    for child in node.children_by_field_name("name"):
        whole, alias = _aliased(child)
        if source is None:
            out.append(Import(whole, "", alias or whole, 0, line))
        else:
            out.append(Import(module, whole, alias or whole, level, line))
    if source is not None and any(child.type == "wildcard_import" for child in node.children):
        out.append(Import(module, "*", "*", level, line))
    return out


def _aliased(node: Node) -> tuple[str, str]:
    if node.type != "aliased_import":
        return _text(node), ""
    name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
    return (_text(name) if name else ""), (_text(alias) if alias else "")


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
