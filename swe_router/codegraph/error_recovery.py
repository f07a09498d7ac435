"""A slip that costs a file its definitions: what is broken is blanked, and the rest read again.

A bracket that is never closed swallows everything behind it. Where a line that begins a definition
was swallowed so, the pieces between such lines are parsed one by one, and of the broken ones what
does not parse is overwritten with blanks: every place in the file stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from tree_sitter import Node, Parser, Tree

ROUNDS = 3
_PYTHON = rb"^[ \t]*(?:@|async[ \t]+def\b|def\b|class\b)"
_BRACES = (
    rb"^(?:(?:export|default|declare|abstract|async|public|final|static|pub(?:\([^)\n]*\))?|unsafe)"
    rb" )*(?:function\b|class\b|interface\b|enum\b|namespace\b|func\b|fn\b|struct\b|impl\b|trait\b"
    rb"|mod\b|type \w+ struct\b|trait\b)"
)
_RUBY = rb"^[ \t]*(?:def|class|module)\b"
HEADS = {
    "python": re.compile(_PYTHON, re.MULTILINE),
    "ruby": re.compile(_RUBY, re.MULTILINE),
}
"""By language: what a line begins with that begins a definition."""
_ANY = re.compile(_BRACES, re.MULTILINE)
_WHOLE = re.compile(r"definition|declaration|_item|statement|class|module|method|decorat|export")
_TEXT = re.compile(r"string|comment|template|heredoc|regex")


def blank_broken_code(
    content: bytes, tree: Tree, language: str, parser: Parser
) -> tuple[bytes, Tree]:
    """The content with what is broken blanked, and its tree; both as given where nothing is won.

    ``content`` and the result are equal in length and in their line ends.
    """
    heads = [match.end() - len(match[0].lstrip()) for match in
             HEADS.get(language, _ANY).finditer(content)]  # fmt: skip
    swallowed = _swallowed(heads, tree.root_node)
    for _ in range(ROUNDS):
        if not swallowed:
            break
        first = max((head for head in heads if head < swallowed[0]), default=0)
        cuts = [0, *(head for head in heads if first <= head <= swallowed[-1]), len(content)]
        fresh = _blanked(content, cuts, parser)
        again = parser.parse(fresh)
        left = _swallowed(heads, again.root_node)
        if len(left) >= len(swallowed):
            break
        content, tree, swallowed = fresh, again, left
    return content, tree


def _swallowed(heads: Sequence[int], root: Node) -> list[int]:
    """Places at which a definition begins that the tree knows nothing of."""
    return [head for head in heads if not _known(head, root)]


def _known(head: int, root: Node) -> bool:
    node: Node | None = root.descendant_for_byte_range(head, head + 1)
    while node is not None:
        if _TEXT.search(node.type):
            return True
        whole = node.is_named and not node.is_error and _WHOLE.search(node.type)
        if node.start_byte == head and whole:
            return True
        if node.start_byte < head:
            above: Node | None = node
            while above is not None and not _TEXT.search(above.type):
                above = above.parent
            return above is not None
        node = node.parent
    return False


def _blanked(content: bytes, cuts: Sequence[int], parser: Parser) -> bytes:
    """The content, of whose pieces between the cuts what does not parse is blanked."""
    out = bytearray(content)
    for start, end in pairwise(cuts):
        piece = bytes(out[start:end])
        root = parser.parse(piece).root_node
        for begin, stop in _broken(root):
            part = re.sub(rb"[^\r\n]", b" ", piece[begin:stop])
            out[start + begin : start + stop] = part
    return bytes(out)


def _broken(root: Node) -> list[tuple[int, int]]:
    """Stretches that are errors, each to the end of its line; a missing token is its whole line."""
    found = []
    waiting = [root] if root.has_error else []
    while waiting:
        node = waiting.pop()
        if node.is_error:
            found.append((node.start_byte, node.end_byte))
        elif node.is_missing and node.parent is not None:
            found.append((node.parent.start_byte, node.parent.end_byte))
        elif node.has_error:
            waiting.extend(node.children)
    return found
