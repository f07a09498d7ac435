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

PROMPT_SUFFIX = ".md.j2"
MAX_TEMPLATE_CHARACTERS = 200_000
"""Characters of a template."""
MAX_OUTPUT_CHARACTERS = 20_000_000
"""Characters of what a template says."""
MAX_WORK_UNITS = 300_000
"""Parts of a template that may be gone through, those in a loop once for each turn, and one more
for every thousand characters that a filter reads."""
ALLOWED_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For)
ALLOWED_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Add, nodes.Sub, nodes.Neg, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword,
)  # fmt: skip
ALLOWED_FILTERS = frozenset((
    "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "indent", "int", "join",
    "last", "length", "list", "lower", "reverse", "round", "safe", "sort", "string", "title",
    "tojson", "trim", "truncate", "unique", "upper", "wordcount",
))  # fmt: skip
ALLOWED_METHODS = frozenset((
    "capitalize", "count", "cycle", "endswith", "find", "get", "items", "keys", "lower", "lstrip",
    "partition", "removeprefix", "removesuffix", "rpartition", "rstrip", "split", "splitlines",
    "startswith", "strip", "title", "upper", "values",
))  # fmt: skip
_WORK_VARIABLE = "_work"
_COUNTED = "_counted"


def render_page(
    name: str, filters: Mapping[str, Callable[..., Any]] | None = None, /, **variables: Any
) -> str:
    """A file for people from a template in ``pages/``; in one of HTML every variable is escaped."""
    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(assets.assets_root() / "pages"),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters.update(filters or {})
    return made.get_template(f"{name}.j2").render(**variables)


def render(name: str, **variables: Any) -> str:
    """A prompt, filled in. Raises ``UsageError`` for an absent prompt or variable."""
    path = assets.find_asset("prompts", name, PROMPT_SUFFIX)
    return render_source(prompt_source(name), f"prompt {path}", **variables)


def prompt_source(name: str) -> str:
    """A prompt as it lies on the disk. Raises ``UsageError`` for an absent one."""
    path = assets.find_asset("prompts", name, PROMPT_SUFFIX)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"prompt {path} cannot be read: {error}") from None


def prompt_digest(name: str) -> str:
    """SHA-256 hex of a prompt's file. Raises ``UsageError`` for an absent one."""
    return text_digest(prompt_source(name))


def text_digest(source: str) -> str:
    """SHA-256 hex of a template's text."""
    return hashlib.sha256(source.encode()).hexdigest()


def shared_length(text: str, other: str) -> int:
    """Characters that a prompt has in common with what it is for another case of the same issue."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((at for at, (one, two) in pairs if one != two), min(len(text), len(other)))


def render_source(source: str, origin: str, **variables: Any) -> str:
    """A template of a prompt, filled in; ``origin`` names it in errors.

    Raises ``UsageError``: no template, one that does more than a prompt may, an unset variable.
    """
    rendered: list[str] = []
    size = 0
    try:
        template = _parsed_template(source)
        for piece in template.generate(**variables, **{_WORK_VARIABLE: [MAX_WORK_UNITS]}):
            size += len(piece)
            if size > MAX_OUTPUT_CHARACTERS:
                raise SecurityError(f"it says more than {MAX_OUTPUT_CHARACTERS:,} characters")
            rendered.append(piece)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise UsageError(f"{origin}{f':{line}' if line else ''}: {error.message}") from None
    except RecursionError:
        raise UsageError(f"{origin}: it is nested too deeply") from None
    except Exception as error:
        raise UsageError(f"{origin}: {type(error).__name__}: {error}") from None
    return "".join(rendered)


class _PromptEnvironment(ImmutableSandboxedEnvironment):
    """The environment of prompts: they are Markdown for a model, so nothing is escaped."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False)
        self.globals = {"range": self.globals["range"]}
        known: Mapping[str, Any] = self.filters
        self.filters = {name: _charged_filter(name, known[name]) for name in ALLOWED_FILTERS}
        self.filters[_COUNTED] = _counted_items


@functools.lru_cache(maxsize=64)
def _parsed_template(source: str) -> Template:
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise SecurityError(f"a prompt has at most {MAX_TEMPLATE_CHARACTERS:,} characters")
    tree = _ENVIRONMENT.parse(source)
    _check_syntax(tree)
    code = _ENVIRONMENT.compile(tree)
    return Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.make_globals(None))


def _check_syntax(tree: nodes.Template) -> None:
    """Refuse all but text with variables, conditions and loops; have every loop counted."""
    for node in tree.find_all(nodes.Node):
        fault = _syntax_fault(node)
        if fault:
            raise SecurityError(f"line {getattr(node, 'lineno', '?')}: a prompt {fault}")
    for loop in tree.find_all(nodes.For):
        size = sum(1 for part in loop.body for _ in part.find_all(nodes.Node))
        weight = nodes.Const(1 + size, lineno=loop.lineno)
        iterable = loop.iter
        loop.iter = nodes.Filter(iterable, _COUNTED, [weight], [], None, None, lineno=loop.lineno)


def _syntax_fault(node: nodes.Node) -> str:
    if not isinstance(node, ALLOWED_STATEMENTS + ALLOWED_EXPRESSIONS):
        kinds = "text, variables, conditions, loops and simple filters"
        return f"holds {kinds} only, no {type(node).__name__.lower()}"
    faults = {
        "has no recursive loops": isinstance(node, nodes.For) and node.recursive,
        "may not look at names that begin with _ and at self": _is_private_access(node),
        f"has no filters but {', '.join(sorted(ALLOWED_FILTERS))}": isinstance(node, nodes.Filter)
        and node.name not in ALLOWED_FILTERS,
        "gives every argument by itself": isinstance(node, nodes.Filter | nodes.Call | nodes.Test)
        and (node.dyn_args is not None or node.dyn_kwargs is not None),
        f"calls nothing but range and {', '.join(sorted(ALLOWED_METHODS))}": isinstance(
            node, nodes.Call
        )
        and not _is_allowed_call(node.node),
    }
    return next((fault for fault, found in faults.items() if found), "")


def _is_private_access(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name.startswith("_") or node.name == "self"
    return isinstance(node, nodes.Getattr) and node.attr.startswith("_")


def _is_allowed_call(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name == "range"
    return isinstance(node, nodes.Getattr) and node.attr in ALLOWED_METHODS


def _spend_work(context: Context, work: int) -> None:
    left = context[_WORK_VARIABLE]
    left[0] -= work
    if left[0] < 0:
        raise SecurityError("it does not come to an end")


@pass_context
def _counted_items(context: Context, items: Iterable[Any], weight: int) -> list[Any]:
    """What a loop goes over, paid for before its first turn."""
    found = list(islice(items, MAX_WORK_UNITS // weight + 1))
    _spend_work(context, len(found) * weight)
    return found


def _charged_filter(name: str, filter_function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is paid for by the length of what it reads and of what it will say."""
    passed = getattr(filter_function, "jinja_pass_arg", None)

    @pass_context
    def charged(context: Context, value: Any, *args: Any, **named: Any) -> Any:
        size = len(value) if hasattr(value, "__len__") else 1
        if name in {"indent", "join", "tojson", "truncate"}:
            size = _max_filter_output(name, value, args, named)
        if size > MAX_OUTPUT_CHARACTERS:
            raise SecurityError(f"the filter {name!r} would say too much")
        _spend_work(context, 1 + size // 1000)
        first = {"context": context, "eval_context": context.eval_ctx}
        given = first.get(passed.name) if passed is not None and passed.name in first else None
        if passed is None:
            return filter_function(value, *args, **named)
        return filter_function(_ENVIRONMENT if given is None else given, value, *args, **named)

    return charged


def _max_filter_output(
    filter_name: str, value: Any, args: tuple[Any, ...], keyword_arguments: Mapping[str, Any]
) -> int:
    """Characters that a filter may come to say. Numbers stand for widths, texts for themselves."""
    given = [*args, *keyword_arguments.values()]
    most = max((abs(a) if isinstance(a, int) else len(str(a)) for a in given), default=4)
    if filter_name == "truncate":
        return len(str(value)) + most
    if filter_name == "join":
        parts = list(islice(value, MAX_WORK_UNITS))
        return sum(len(str(part)) + most for part in parts)
    whole = str(value)
    lines = whole.count("\n") + 1 if filter_name == "indent" else len(whole)
    return len(whole) + lines * most


_ENVIRONMENT = _PromptEnvironment()
