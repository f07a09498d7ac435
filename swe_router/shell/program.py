"""Which program a command runs, whatever stands before it: ``timeout 5 env A=b PROGRAM``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.S)
_WRAPPERS = {
    "sudo": "-u -g -h -p",
    "env": "-u -C -S",
    "nice": "-n",
    "xargs": "-I -n -P -L -d -a -E -s",
    "stdbuf": "-i -o -e",
    "timeout": "-s -k",
    "time": "-f -o",
    "exec": "-a",
    "nohup": "",
    "command": "",
    "builtin": "",
}
"""Programs that run another one, and those of their options that take a value."""
_KEYWORDS = frozenset({"then", "do", "else", "if", "while", "until", "!", "{"})
"""Words that a part of a script may begin with."""


@dataclass(frozen=True)
class Program:
    """What a command runs, without what stands before the program."""

    words: tuple[str, ...]
    variables: dict[str, str]
    """Set for this program."""
    wrappers: frozenset[str] = frozenset()
    """Programs that run it, as ``timeout`` and ``xargs``."""


def program(words: Sequence[str]) -> Program:
    """The program of a command and its arguments; no words where there is no program."""
    rest, variables, wrappers = list(words), dict[str, str](), set[str]()
    while rest:
        assigned, name = _ASSIGNED.match(rest[0]), rest[0].rpartition("/")[2]
        if assigned:
            variables[assigned[1]] = assigned[2]
            rest = rest[1:]
        elif rest[0] in _KEYWORDS:
            rest = rest[1:]
        elif name in _WRAPPERS:
            wrappers.add(name)
            rest = _after_options(rest[1:], _WRAPPERS[name].split())
            if name == "timeout" and rest and re.fullmatch(r"[\d.]+[smhd]?", rest[0]):
                rest = rest[1:]
        else:
            break
    return Program(tuple(rest), variables, frozenset(wrappers))


def _after_options(words: list[str], take_value: Sequence[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in take_value else 1 :]
    return words
