"""The table of languages: what tree-sitter needs to find the symbols of a file."""

from __future__ import annotations

import hashlib
import importlib
import threading
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from tree_sitter import Language, Parser, Query

from swe_router import assets


@dataclass(frozen=True)
class Grammar:
    """One language. Its query is ``queries/NAME.scm``; the captures are the contract with facts.

    ``@class``/``@class.name``, ``@function``/``@function.name``: definitions. ``@scope``/
    ``@scope.name``: a block that names its inside but defines nothing (Rust's ``impl``).
    ``@owner``: the class of a function that stands outside it (Go's receiver). ``@base``,
    ``@import`` (a statement), ``@variable``. ``@call``: the whole text that is called;
    ``@method``: a called name whose receiver is the text before it in the same node.
    A language leaves out what it does not have.
    """

    name: str
    extensions: tuple[str, ...]
    package: str
    """Python package of the wheel."""
    entry: str = "language"
    """Its function that gives the language."""
    queries: tuple[str, ...] = ()
    """Query files whose texts are joined; its own name when empty."""

    @property
    def query(self) -> str:
        """Text of the query; read at the first need."""
        return _query(self.queries or (self.name,))

    @property
    def version(self) -> str:
        """Changes whenever facts of this language must be made again."""
        return _digest(self.query)


class LanguageTools(NamedTuple):
    """What reads one language."""

    parser: Parser
    query: Query


PYTHON = Grammar("python", (".py", ".pyi"), "tree_sitter_python")
GRAMMARS: tuple[Grammar, ...] = (
    PYTHON,
    Grammar("javascript", (".js", ".jsx", ".mjs", ".cjs"), "tree_sitter_javascript",
            queries=("ecmascript", "javascript")),
    Grammar("typescript", (".ts", ".mts", ".cts"), "tree_sitter_typescript", "language_typescript",
            ("ecmascript", "typescript")),
    Grammar("tsx", (".tsx",), "tree_sitter_typescript", "language_tsx",
            ("ecmascript", "typescript")),
    Grammar("go", (".go",), "tree_sitter_go"),
    Grammar("rust", (".rs",), "tree_sitter_rust"),
    Grammar("java", (".java",), "tree_sitter_java"),
    Grammar("c", (".c",), "tree_sitter_c"),
    Grammar("cpp", (".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx"), "tree_sitter_cpp",
            queries=("c", "cpp")),
    Grammar("ruby", (".rb",), "tree_sitter_ruby"),
    Grammar("php", (".php",), "tree_sitter_php", "language_php"),
)  # fmt: skip
"""Add a language here: its wheel, a query file, and how its imports read (``imports``)."""
_BY_ENDING = {end.removeprefix("."): grammar for grammar in GRAMMARS for end in grammar.extensions}
FAMILY = {"tsx": "javascript", "typescript": "javascript", "cpp": "c"}
"""Languages whose files import each other, under the name of one of them."""


def grammar_of(path: str) -> Grammar | None:
    """The grammar for a path by its extension, or None."""
    stem, dot, ending = path.rpartition(".")
    return _BY_ENDING.get(ending) if dot and stem and stem[-1] != "/" else None


_OF_THREAD = threading.local()


def language_tools(grammar: Grammar) -> LanguageTools | None:
    """Parser and compiled query of a grammar, made once a thread; None without its wheel."""
    # A parser has a state of its own while it parses, so threads must not share it.
    made = _OF_THREAD.__dict__.setdefault("tools", {})
    if grammar not in made:
        made[grammar] = _made(grammar)
    found: LanguageTools | None = made[grammar]
    return found


def _made(grammar: Grammar) -> LanguageTools | None:
    try:
        wheel = importlib.import_module(grammar.package)
    except ImportError:
        return None
    language = Language(getattr(wheel, grammar.entry)())
    return LanguageTools(Parser(language), Query(language, grammar.query))


@cache
def _query(names: tuple[str, ...]) -> str:
    return "\n".join(
        (assets.assets_root() / "queries" / f"{name}.scm").read_text() for name in names
    )


@cache
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
