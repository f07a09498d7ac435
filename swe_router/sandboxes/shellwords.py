"""Shell text as the simple commands in it: good enough to see which program was asked for what."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_HEREDOC = re.compile(
    r"<<-?[ \t]*['\"\\]?(?P<tag>\w+)['\"]?(?P<rest>[^\n]*)\n"
    r"(?P<body>.*?)(?:\n[ \t]*(?P=tag)[ \t]*(?=\n|$)|\Z)",
    re.S,
)
_INNER = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)|`([^`]*)`")
_BREAKS = set(";|&()\n")
_PREFIXES = frozenset(
    [
        "sudo",
        "env",
        "time",
        "nohup",
        "exec",
        "command",
        "builtin",
        "then",
        "do",
        "else",
        "if",
        "while",
        "until",
        "!",
        "{",
        "xargs",
        "stdbuf",
        "nice",
    ]
)
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "eval"})
"""Programs whose arguments or input are shell text again."""
DEEPEST = 4
"""Levels of ``sh -c`` and ``$(…)`` that are looked into."""


@dataclass(frozen=True)
class Simple:
    """One simple command."""

    words: tuple[str, ...]
    body: str = ""
    """The here-documents of the script that it stands in."""

    @property
    def program(self) -> str:
        """Name of the program, without its folder."""
        return self.words[0].rpartition("/")[2]

    @property
    def text(self) -> str:
        """The words with blanks between."""
        return " ".join(self.words)


def simple_commands(script: str, depth: int = 0) -> Iterator[Simple]:
    """The simple commands of a script, those in ``sh -c`` and ``$(…)`` included."""
    if depth > DEEPEST:
        return
    bodies = "\n".join(match["body"] for match in _HEREDOC.finditer(script))
    bare = _HEREDOC.sub(lambda match: match["rest"] + "\n", script)
    for words in _split(bare):
        stripped = _without_prefix(words)
        if not stripped:
            continue
        simple = Simple(tuple(stripped), bodies)
        yield simple
        if simple.program in SHELLS:
            wanted = [w for w in stripped[1:] if not w.startswith("-")]
            yield from simple_commands(" ".join(wanted), depth + 1)
            if "<<" in script and bodies:
                yield from simple_commands(bodies, depth + 1)
    for match in _INNER.finditer(bare):
        yield from simple_commands(match[1] or match[2] or "", depth + 1)


def _split(script: str) -> Iterator[list[str]]:
    try:
        lexer = shlex.shlex(script, posix=True, punctuation_chars="();|&\n")
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        lexer.commenters = ""
        words = list(lexer)
    except ValueError:
        words = [word for word in re.split(r"([;|&()\n])|[ \t]+", script) if word]
    found: list[str] = []
    for word in words:
        if word and set(word) <= _BREAKS:
            yield found
            found = []
        else:
            found.append(word)
    yield found


def _without_prefix(words: list[str]) -> list[str]:
    rest = list(words)
    while rest:
        word = rest[0]
        if word in _PREFIXES or re.fullmatch(r"\w+=.*", word, re.S):
            rest.pop(0)
            while (
                rest
                and rest[0].startswith("-")
                and word in ("xargs", "env", "nice", "stdbuf", "sudo")
            ):
                rest.pop(0)
        elif word == "timeout":
            rest = rest[1:]
            while rest and re.fullmatch(r"-.*|[\d.]+[smhd]?", rest[0]):
                rest.pop(0)
        else:
            break
    if rest and rest[0].startswith("#"):
        return []
    return rest
