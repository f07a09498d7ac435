"""Where a Python source does not parse, whatever Python version it was written for."""

from __future__ import annotations

import symtable
from collections.abc import Iterator

import tree_sitter_python
from tree_sitter import Language, Node, Parser

from swe_router.silent_warnings import no_warnings

_PYTHON = Language(tree_sitter_python.language())
SUFFIXES = (".py", ".pyi")


def syntax_errors(source: bytes, path: str) -> list[tuple[int, int]]:
    """Places (line, column), both from 1, of the syntax errors in ``source``.

    Empty for a file that is not Python. tree-sitter knows the syntax of every version, but
    forgives wrong indentation; that is the same in all versions, so this Python looks for it.
    """
    if not path.endswith(SUFFIXES):
        return []
    root = Parser(_PYTHON).parse(source).root_node
    if root.has_error:
        nodes = list(_broken(root))
        found = {(n.start_point[0] + 1, n.start_point[1] + 1) for n in nodes if not _default(n)}
        if found or not nodes:
            return sorted(found) or [(1, 1)]
    return _misindented(source)


def _broken(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            waiting.extend(node.children)


def _default(node: Node) -> bool:
    """Whether it is a default of a type parameter (Python 3.13), which the grammar lacks."""
    around, text = node.parent, node.text or b""
    while around is not None and around.type in ("type", "constrained_type"):
        around = around.parent
    typed = around is not None and around.type == "type_parameter"
    return typed and node.is_error and b"=" in text and b"\n" not in text


def _misindented(source: bytes) -> list[tuple[int, int]]:
    try:
        # Not by ``ast.parse``: making its objects is not safe in threads (a SystemError of Python
        # 3.11, "recursion depth mismatch"), and here nobody wants them.
        with no_warnings():
            symtable.symtable(source, "<source>", "exec")  # type: ignore[arg-type]  # takes bytes
    except IndentationError as error:
        return [(error.lineno or 1, max(1, error.offset or 1))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Not of this Python's version, or not to be read by it: tree-sitter's word stands.
        return []
    return []
