"""Shell text as commands with their here-documents: enough to see which file was written and run.

Quotes, here-documents, redirections, lists and pipes are read as a shell reads them; what is in
``$(...)`` and backquotes stays as it stands. Nothing is expanded: a word or document whose text
depends on an expansion is marked as not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_OPERATOR = re.compile(r"&&|\|\||;;|[;|&()\n]")
_REDIRECT = re.compile(r"(\d*|&)(<<<|<<-?|>>|>\||>&|<&|<>|>|<)")
_EXPANDS = re.compile(r"(?<!\\)(?:\\\\)*(\$[\w({!?@#*$-]|`)")
_UNESCAPED = re.compile(r"\\([$`\\\n])")


@dataclass
class Command:
    """One simple command."""

    words: list[str] = field(default_factory=list)
    """Quotes taken off."""
    known: bool = True
    """No word depends on an expansion."""
    document: str | None = None
    """Its standard input where that is a here-document or here-string of known text."""
    writes: list[tuple[str, bool]] = field(default_factory=list)
    """Files that its output goes to: path, and whether it is added to what is there."""
    piped: bool = False
    """Its standard input is the output of the command before it."""


@dataclass
class _Pending:
    """A here-document whose text comes after the line."""

    command: Command
    tag: str
    literal: bool
    indented: bool


def commands(script: str) -> list[Command]:
    """The simple commands of a script in order; text that no shell could read ends the list."""
    return list(_Reader(script).read())


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.pending: list[_Pending] = []
        self.command = Command()

    def read(self) -> Iterator[Command]:
        while self.at < len(self.text):
            char = self.text[self.at]
            operator = _OPERATOR.match(self.text, self.at)
            redirect = _REDIRECT.match(self.text, self.at)
            if char in " \t\r":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif redirect:
                self.at = redirect.end()
                self._redirect(redirect[1], redirect[2])
            elif operator:
                self.at = operator.end()
                yield from self._ended(operator[0])
            else:
                word, _ = self._word()
                self.command.words.append(word)
        self._documents()
        yield from self._ended("\n")

    def _ended(self, operator: str) -> Iterator[Command]:
        done, self.command = self.command, Command(piped=operator == "|")
        if operator == "\n":
            self._documents()
        if done.words or done.writes or done.document is not None:
            yield done

    def _redirect(self, handle: str, operator: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        word, literal = self._word()
        if operator in ("<<", "<<-"):
            self.pending.append(_Pending(self.command, word, literal, operator == "<<-"))
        elif operator == "<<<":
            self.command.document = f"{word}\n"
        elif operator in (">", ">>", ">|") and handle in ("", "1", "&"):
            self.command.writes.append((word, operator == ">>"))

    def _documents(self) -> None:
        for one in self.pending:
            lines: list[str] = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = min(len(self.text), end + 1)
                line = line.lstrip("\t") if one.indented else line
                if line == one.tag:
                    break
                lines.append(line)
            body = "".join(f"{line}\n" for line in lines)
            one.command.document = body if one.literal else _unescaped(body)
        self.pending = []

    def _word(self) -> tuple[str, bool]:
        """The word at this place without its quotes, and whether some of it was quoted."""
        parts: list[str] = []
        quoted = False
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r\n;|&()<>":
                break
            if char == "'":
                end = self.text.find("'", self.at + 1)
                end = len(self.text) if end < 0 else end
                parts.append(self.text[self.at + 1 : end])
                self.at, quoted = end + 1, True
            elif char == '"':
                parts.append(self._double())
                quoted = True
            elif char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                parts.append("" if following == "\n" else following)
                self.at, quoted = self.at + 2, True
            elif char in "$`":
                parts.append(self._expansion())
            else:
                parts.append(char)
                self.at += 1
        return "".join(parts), quoted

    def _double(self) -> str:
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            char = self.text[self.at]
            following = self.text[self.at + 1 : self.at + 2]
            if char == "\\" and following and following in '$`"\\\n':
                parts.append("" if following == "\n" else following)
                self.at += 2
            elif char in "$`":
                parts.append(self._expansion())
            else:
                parts.append(char)
                self.at += 1
        self.at += 1
        return "".join(parts)

    def _expansion(self) -> str:
        """What begins with ``$`` or a backquote, as it stands; marks the command when it counts."""
        start = self.at
        if self.text[start] == "`":
            end = self.text.find("`", start + 1)
            self.at = len(self.text) if end < 0 else end + 1
        elif self.text.startswith("$(", start):
            self.at = _closing(self.text, start + 1)
        else:
            self.at += 1
        found = self.text[start : self.at]
        bare = found == "$" and not re.match(r"[\w{!?@#*$'\"-]", self.text[self.at : self.at + 1])
        self.command.known &= bare
        return found


def _closing(text: str, start: int) -> int:
    """The place after the bracket that closes the one at ``start``, quotes aside."""
    depth = 0
    for match in re.finditer(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|[()]", text[start:], re.S):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return start + match.end()
    return len(text)


def _unescaped(body: str) -> str | None:
    """A here-document that the shell expands; None when its text depends on that."""
    return None if _EXPANDS.search(body) else _UNESCAPED.sub(_kept, body)


def _kept(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else match[1]
