"""Here-documents: where one begins in a script, the word that ends it, and what is read of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node, Tree

OPERATOR = re.compile(rb"<<(-?)[ \t]*((?:\\.|'[^'\n]*'|\"[^\"\n]*\"|[^\s;|&()<>\\'\"])+)", re.S)
"""The operator with its word: whether tabs are stripped, and the word with its quotes."""
_EXPANDS = re.compile(r"(?<!\\)(?:\\\\)*(\$[\w({!?@#*$-]|`)")
_ESCAPED = re.compile(r"\\([$`\\\n])")


@dataclass
class Document:
    """A here-document that was taken out of the script."""

    body: str
    literal: bool
    operator: str
    """As it stood: ``<<'EOF'``."""

    @property
    def text(self) -> str | None:
        """What the command reads; None when an expansion decides it."""
        if self.literal:
            return self.body
        return None if _EXPANDS.search(self.body) else _ESCAPED.sub(unescaped, self.body)


def first_operator(tree: Tree) -> Node | None:
    """The first operator of a script that begins a here-document."""
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        following = node.next_sibling
        begins = following is not None and following.type == "heredoc_start"
        if begins and node.type in ("<<", "<<-"):
            return node
        waiting.extend(reversed(node.children))
    return None


def end_word(word: str) -> tuple[str, bool]:
    """The line that ends a here-document, and whether its text is taken as it stands."""
    return re.sub(r"\\(.)|['\"]", r"\1", word), bool(re.search(r"[\\'\"]", word))


def taken_out(lines: list[bytes], end: bytes, *, strip_tabs: bool) -> tuple[bytes, bytes]:
    """The text up to the line that ends it, or to the end of the script, and what follows."""
    body: list[bytes] = []
    for number, line in enumerate(lines):
        text = line.lstrip(b"\t") if strip_tabs else line
        if text == end:
            return b"".join(body), b"\n".join(lines[number + 1 :])
        if text or number < len(lines) - 1:
            body.append(text + b"\n")
    return b"".join(body), b""


def unescaped(match: re.Match[str]) -> str:
    """A character without the backslash before it; nothing for a line that goes on."""
    return "" if match[1] == "\n" else match[1]
