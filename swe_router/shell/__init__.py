"""Shell text as its simple commands: which program is run with what, and which files it writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from swe_router.shell.program import Program, program
from swe_router.shell.script import Command, Script

__all__ = ["SHELLS", "Command", "Program", "all_commands", "commands", "program"]

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "eval"})
"""Programs whose arguments or input are shell text again."""
MAX_LEVELS = 4
"""Levels of ``sh -c`` that are looked into."""


def commands(script: str) -> list[Command]:
    """The simple commands of a script in order, without those in ``$(...)`` and the like."""
    return [one for one in Script(script).commands() if not one.inner]


def all_commands(script: str, level: int = 0) -> Iterator[Command]:
    """The simple commands of a script, those in ``$(...)`` and of shells that it starts included.

    Those of a shell come after it: of ``sh -c TEXT``, of ``eval TEXT`` and of a here-document.
    """
    for command in Script(script).commands():
        yield command
        words = program(command.words).words
        if level >= MAX_LEVELS or not words or words[0].rpartition("/")[2] not in SHELLS:
            continue
        for text in (_given(words), command.body):
            yield from all_commands(text, level + 1) if text else ()


def _given(words: Sequence[str]) -> str:
    """The shell text among the arguments of a shell."""
    if words[0] == "eval":
        return " ".join(words[1:])
    for place, word in enumerate(words[1:], 1):
        if re.fullmatch(r"-[a-z]*c", word):
            return " ".join(words[place + 1 : place + 2])
        if not word.startswith("-"):
            break
    return ""
