"""The table of languages: what tree-sitter needs to find the symbols of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import tree_sitter_python
from tree_sitter import Language, Parser, Query

PYTHON_QUERY = """
(class_definition name: (identifier) @class.name) @class
(function_definition name: (identifier) @function.name) @function
(class_definition superclasses: (argument_list [(identifier) (attribute)] @base))
(import_statement) @import
(import_from_statement) @import
(future_import_statement) @ignored
(call function: [(identifier) (attribute)] @call)
(decorator [(identifier) (attribute)] @call)
(expression_statement (assignment left: (identifier) @variable))
"""


@dataclass(frozen=True)
class Grammar:
    """One language; the captures of its query are the contract with ``facts``.

    They are ``@class``/``@class.name``, ``@function``/``@function.name``, ``@base``, ``@import``,
    ``@call`` and ``@variable``; a language leaves out what it does not have.
    """

    name: str
    extensions: tuple[str, ...]
    language: Callable[[], Any]
    query: str

    @property
    def version(self) -> str:
        """Changes whenever facts of this language must be made again."""
        return f"{self.name}:{hash_text(self.query)}"


def hash_text(text: str) -> str:
    """A short stable digest of a text (not for security)."""
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return f"{value:08x}"


PYTHON = Grammar("python", (".py", ".pyi"), tree_sitter_python.language, PYTHON_QUERY)
GRAMMARS: tuple[Grammar, ...] = (PYTHON,)
"""Add a language here: its wheel's ``language`` function and a query."""


def grammar_of(path: str) -> Grammar | None:
    """The grammar for a path by its extension, or None."""
    return _by_extension().get(PurePosixPath(path).suffix)


@cache
def _by_extension() -> dict[str, Grammar]:
    return {extension: grammar for grammar in GRAMMARS for extension in grammar.extensions}


@cache
def tools(grammar: Grammar) -> tuple[Parser, Query]:
    """Parser and compiled query of a grammar, made once a process."""
    language = Language(grammar.language())
    return Parser(language), Query(language, grammar.query)
