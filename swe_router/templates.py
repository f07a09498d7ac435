"""Every text for a model lies in ``prompts/NAME.md.j2``; an unset variable is an error.

A template may come from a stranger, so it is data and no program: variables, conditions, loops
and a few filters and methods of texts and tables. Anything else is refused before it is compiled,
and what it may do is counted: no template runs code, reads an attribute that begins with ``_``,
goes on for ever or fills the memory.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from swe_router import assets
from swe_router.errors import UsageError

SUFFIX = ".md.j2"
MAX_SOURCE = 200_000
"""Characters of a template."""
MAX_TEXT = 20_000_000
"""Characters of what a template says."""
MAX_WORK = 300_000
"""Parts of a template that may be gone through, those in a loop once for each turn, and one more
for every thousand characters that a filter reads."""
STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For)
EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Add, nodes.Sub, nodes.Neg, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword,
)  # fmt: skip
FILTERS = frozenset((
    "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "indent", "int", "join",
    "last", "length", "list", "lower", "reverse", "round", "safe", "sort", "string", "title",
    "tojson", "trim", "truncate", "unique", "upper", "wordcount",
))  # fmt: skip
METHODS = frozenset((
    "capitalize", "count", "cycle", "endswith", "find", "get", "items", "keys", "lower", "lstrip",
    "partition", "removeprefix", "removesuffix", "rpartition", "rstrip", "split", "splitlines",
    "startswith", "strip", "title", "upper", "values",
))  # fmt: skip
_BUDGET = "_work"
_COUNTED = "_counted"


def document(
    name: str, filters: Mapping[str, Callable[..., Any]] | None = None, /, **variables: Any
) -> str:
    """A file for people from a template in ``pages/``; in one of HTML every variable is escaped."""
    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(assets.root() / "pages"),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters.update(filters or {})
    return made.get_template(f"{name}.j2").render(**variables)


def render(name: str, **variables: Any) -> str:
    """A prompt, filled in. Raises ``UsageError`` for an absent prompt or variable."""
    path = assets.find("prompts", name, SUFFIX)
    return filled(text(name), f"prompt {path}", **variables)


def text(name: str) -> str:
    """A prompt as it lies on the disk. Raises ``UsageError`` for an absent one."""
    path = assets.find("prompts", name, SUFFIX)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"prompt {path} cannot be read: {error}") from None


def fingerprint(name: str) -> str:
    """SHA-256 hex of a prompt's file. Raises ``UsageError`` for an absent one."""
    return digest(text(name))


def digest(source: str) -> str:
    """SHA-256 hex of a template's text."""
    return hashlib.sha256(source.encode()).hexdigest()


def filled(source: str, where: str, **variables: Any) -> str:
    """A template of a prompt, filled in; ``where`` names it in errors.

    Raises ``UsageError``: no template, one that does more than a prompt may, an unset variable.
    """
    rendered: list[str] = []
    size = 0
    try:
        template = _template(source)
        for piece in template.generate(**variables, **{_BUDGET: [MAX_WORK]}):
            size += len(piece)
            if size > MAX_TEXT:
                raise SecurityError(f"it says more than {MAX_TEXT:,} characters")
            rendered.append(piece)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise UsageError(f"{where}{f':{line}' if line else ''}: {error.message}") from None
    except RecursionError:
        raise UsageError(f"{where}: it is nested too deeply") from None
    except Exception as error:
        raise UsageError(f"{where}: {type(error).__name__}: {error}") from None
    return "".join(rendered)


class _Prompts(ImmutableSandboxedEnvironment):
    """The environment of prompts: they are Markdown for a model, so nothing is escaped."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False)
        self.globals = {"range": self.globals["range"]}
        known: Mapping[str, Any] = self.filters
        self.filters = {name: _charged(name, known[name]) for name in FILTERS}
        self.filters[_COUNTED] = _counted


@functools.lru_cache(maxsize=64)
def _template(source: str) -> Template:
    if len(source) > MAX_SOURCE:
        raise SecurityError(f"a prompt has at most {MAX_SOURCE:,} characters")
    tree = _ENVIRONMENT.parse(source)
    _check(tree)
    code = _ENVIRONMENT.compile(tree)
    return Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.make_globals(None))


def _check(tree: nodes.Template) -> None:
    """Refuse all but text with variables, conditions and loops; have every loop counted."""
    for node in tree.find_all(nodes.Node):
        fault = _fault(node)
        if fault:
            raise SecurityError(f"line {getattr(node, 'lineno', '?')}: a prompt {fault}")
    for loop in tree.find_all(nodes.For):
        size = sum(1 for part in loop.body for _ in part.find_all(nodes.Node))
        weight = nodes.Const(1 + size, lineno=loop.lineno)
        iterable = loop.iter
        loop.iter = nodes.Filter(iterable, _COUNTED, [weight], [], None, None, lineno=loop.lineno)


def _fault(node: nodes.Node) -> str:
    if not isinstance(node, STATEMENTS + EXPRESSIONS):
        kinds = "text, variables, conditions, loops and simple filters"
        return f"holds {kinds} only, no {type(node).__name__.lower()}"
    faults = {
        "has no recursive loops": isinstance(node, nodes.For) and node.recursive,
        "may not look at names that begin with _ and at self": _private(node),
        f"has no filters but {', '.join(sorted(FILTERS))}": isinstance(node, nodes.Filter)
        and node.name not in FILTERS,
        "gives every argument by itself": isinstance(node, nodes.Filter | nodes.Call | nodes.Test)
        and (node.dyn_args is not None or node.dyn_kwargs is not None),
        f"calls nothing but range and {', '.join(sorted(METHODS))}": isinstance(node, nodes.Call)
        and not _callable(node.node),
    }
    return next((fault for fault, found in faults.items() if found), "")


def _private(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name.startswith("_") or node.name == "self"
    return isinstance(node, nodes.Getattr) and node.attr.startswith("_")


def _callable(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name == "range"
    return isinstance(node, nodes.Getattr) and node.attr in METHODS


def _spend(context: Context, work: int) -> None:
    left = context[_BUDGET]
    left[0] -= work
    if left[0] < 0:
        raise SecurityError("it does not come to an end")


@pass_context
def _counted(context: Context, items: Iterable[Any], weight: int) -> list[Any]:
    """What a loop goes over, paid for before its first turn."""
    found = list(islice(items, MAX_WORK // weight + 1))
    _spend(context, len(found) * weight)
    return found


def _charged(name: str, kind: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is paid for by the length of what it reads and of what it will say."""
    passed = getattr(kind, "jinja_pass_arg", None)

    @pass_context
    def charged(context: Context, value: Any, *args: Any, **named: Any) -> Any:
        size = len(value) if hasattr(value, "__len__") else 1
        if name in {"indent", "join", "tojson", "truncate"}:
            size = _longest(name, value, args, named)
        if size > MAX_TEXT:
            raise SecurityError(f"the filter {name!r} would say too much")
        _spend(context, 1 + size // 1000)
        first = {"context": context, "eval_context": context.eval_ctx}
        given = first.get(passed.name) if passed is not None and passed.name in first else None
        if passed is None:
            return kind(value, *args, **named)
        return kind(_ENVIRONMENT if given is None else given, value, *args, **named)

    return charged


def _longest(name: str, value: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> int:
    """Characters that a filter may come to say. Numbers stand for widths, texts for themselves."""
    given = [*args, *named.values()]
    most = max((abs(a) if isinstance(a, int) else len(str(a)) for a in given), default=4)
    if name == "truncate":
        return len(str(value)) + most
    if name == "join":
        parts = list(islice(value, MAX_WORK))
        return sum(len(str(part)) + most for part in parts)
    whole = str(value)
    lines = whole.count("\n") + 1 if name == "indent" else len(whole)
    return len(whole) + lines * most


_ENVIRONMENT = _Prompts()
