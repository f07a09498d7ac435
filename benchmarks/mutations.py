"""Small faults that are put into a Python file one at a time, each in one expression."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
CHOICES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One fault."""

    file: str
    """Path below the root."""
    first_line: int
    """Of the statement it stands in: what ran this line ran the fault."""
    line: int
    last_line: int
    function: str
    """Outermost function and the classes around it, as ``Class.method``; empty at module level."""
    kind: str
    before: str
    after: str
    source: str
    """The whole file with the fault."""
    column: int = 0
    """Of the expression, in bytes: two faults of one line can read alike."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}: {self.before!r} -> {self.after!r}"


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every fault that is known for a file, in the order of its lines."""
    tree = ast.parse(source)
    starts = _line_starts(source)
    data = source.encode()
    found = []
    for node, function, line in _nodes(tree):
        for kind, made in _faults(node):
            begin = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
            text = ast.unparse(made)
            if isinstance(made, ast.expr):
                text = f"({text})"
            changed = (data[:begin] + text.encode() + data[end:]).decode()
            before = " ".join(data[begin:end].decode().split())
            last = node.end_lineno or node.lineno
            found.append(
                Mutant(
                    file,
                    line,
                    node.lineno,
                    last,
                    function,
                    kind,
                    before,
                    text,
                    changed,
                    node.col_offset,
                )
            )
    return sorted(found, key=lambda one: (one.line, one.kind, one.before, one.after))


def _line_starts(source: str) -> list[int]:
    """Byte offset of each line."""
    starts = [0]
    for line in source.split("\n"):
        starts.append(starts[-1] + len(line.encode()) + 1)
    return starts


SKIPPED = {"annotation", "returns", "decorator_list", "type_params", "msg"}
"""Fields of a node that say nothing of what a function does."""


def _nodes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str, int]]:
    """Everything that runs, the outermost function it stands in, the line of its statement."""
    todo: list[tuple[ast.AST, tuple[str, ...], bool, int]] = [(tree, (), False, 1)]
    while todo:
        node, path, inside, line = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside:
            path, inside = (*path, node.name), True
        elif isinstance(node, ast.ClassDef) and not inside:
            path = (*path, node.name)
        if isinstance(node, ast.JoinedStr) or _is_type_checking(node):
            continue
        if isinstance(node, ast.stmt):
            line = node.lineno
        if isinstance(node, ast.expr | ast.stmt):
            yield node, ".".join(path) if inside else "", line
        for name, value in ast.iter_fields(node):
            if name not in SKIPPED:
                children = value if isinstance(value, list) else [value]
                todo += [(one, path, inside, line) for one in children if isinstance(one, ast.AST)]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _faults(node: ast.AST) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    """(kind, the node with one fault)."""
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.BoolOp):
        yield from _conditions(node)
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        other = copy.deepcopy(node)
        other.ops[0] = COMPARED[type(node.ops[0])]()
        yield "comparison", other
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not dropped", node.operand
    elif isinstance(node, ast.IfExp):
        yield "branch", node.body
        yield "branch", node.orelse
    else:
        yield from _computed(node)


def _statements(node: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    if isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "nothing returned", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield "statement dropped", ast.Pass()


def _conditions(node: ast.BoolOp) -> Iterator[tuple[str, ast.expr]]:
    turned = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
    yield "and/or", ast.BoolOp(turned, node.values)
    for at in range(len(node.values)):
        rest = [one for k, one in enumerate(node.values) if k != at]
        yield "condition dropped", rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _computed(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        if not _is_text(node.left) and not _is_text(node.right):
            yield "arithmetic", ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in CHOICES:
        other = ast.Name(CHOICES[ast.unparse(node.func)])
        yield "choice", ast.Call(other, node.args, node.keywords)


def _constants(node: ast.Constant) -> Iterator[tuple[str, ast.expr]]:
    value = node.value
    if isinstance(value, bool):
        yield "truth", ast.Constant(not value)
    elif isinstance(value, int):
        yield "number", ast.Constant(value + 1)
    elif isinstance(value, float):
        yield "number", ast.Constant(value * 1.5 + 0.1)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
