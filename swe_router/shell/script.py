"""The simple commands of a script, as tree-sitter's grammar of Bash reads them.

Here-documents are taken out first, one at a time, since the grammar misreads a second one of a line
and one without an end. Nothing is expanded: a word or document whose text depends on an expansion
is marked as not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from swe_router.shell.documents import (
    OPERATOR,
    Document,
    end_word,
    first_operator,
    taken_out,
    unescaped,
)

_BASH = Language(tree_sitter_bash.language())
_MAX_DOCUMENTS = 200
"""Here-documents that are taken out of one script; each costs a parse."""
_INNER = frozenset({"command_substitution", "process_substitution"})
_EXPANSIONS = _INNER | {
    "simple_expansion",
    "expansion",
    "arithmetic_expansion",
    "ansi_c_string",
    "translated_string",
}
_ASSIGNMENTS = frozenset({"variable_assignment", "variable_assignments"})
_SIMPLE = _ASSIGNMENTS | {"command", "test_command", "declaration_command", "unset_command"}
_COMMANDS = _SIMPLE | {"for_statement", "ERROR"}
_PASSES_ON = frozenset({"redirected_statement", "pipeline", "list", "negated_command"})
"""A redirection at their end is that of their last command."""
_ENDS_HEAD = frozenset({";", "do_group", "\n"})
_REDIRECTS = frozenset({"file_redirect", "herestring_redirect"})
_WRITING = frozenset({">", ">>", ">|", "&>", "&>>"})
_LOOSE = frozenset({"word", "string", "raw_string", "concatenation", "string_content", "number"})
"""Words that stand alone where the grammar understood no command."""
_PLACE = "__here_document_%d__"
_PLAIN = re.compile(rb"\S+")
_MISREAD = re.compile(r"\\.|(?<![\w{$])\d+#", re.S)
_SIGNS = {"\\ ": "\ufdd0", "\\\t": "\ufdd1", "#": "\ufdd2"}
"""Escaped blanks and the ``#`` of ``1#``, which the grammar misreads; what stands for them."""
_QUOTED = re.compile(r"\\(.?)", re.S)
_DOUBLE_QUOTED = re.compile(r"\\([$`\"\\\n])")


@dataclass
class Command:
    """One simple command."""

    words: list[str] = field(default_factory=list)
    """Quotes taken off; assignments before the program among them."""
    known: bool = True
    """No word and no file depends on an expansion."""
    document: str | None = None
    """Its standard input where that is a here-document or here-string of known text."""
    body: str = ""
    """Its here-document as it stands, known or not; of a piped command also the one piped to it."""
    writes: list[tuple[str, bool]] = field(default_factory=list)
    """Files that its output goes to: path, and whether it is added to what is there."""
    reads: list[str] = field(default_factory=list)
    """Files that its standard input comes from."""
    piped: bool = False
    """Its standard input is the output of the command before it."""
    inner: bool = False
    """It stands in ``$(...)``, backquotes or ``<(...)``."""


class Script:
    """A script, parsed."""

    def __init__(self, text: str) -> None:
        self.signs = {} if any(sign in text for sign in _SIGNS.values()) else _SIGNS
        text = _MISREAD.sub(self._signed, text)
        self.source = text.encode("utf-8", "surrogatepass")
        self.documents: dict[str, Document] = {}
        self.redirects: dict[int, list[Node]] = {}
        """Of a simple command, by the id of its node: those that the tree keeps outside of it."""
        self.parser = Parser(_BASH)
        self.tree = self.parser.parse(self.source)
        while b"<<" in self.source and len(self.documents) < _MAX_DOCUMENTS:
            operator = first_operator(self.tree)
            if operator is None or not self._take_out(operator):
                break
            self.tree = self.parser.parse(self.source)

    def commands(self) -> Iterator[Command]:
        """Those of the script in order; inner ones follow the one that they stand in."""
        body = ""
        for node, piped, inner in self._nodes():
            command = self._command(node, piped, inner)
            if piped and not command.body:
                command.body = body
            body = command.body
            if command.words or command.writes or command.document is not None:
                yield command

    def _take_out(self, operator: Node) -> bool:
        """Put a name in the place of a here-document, as of a file; whether there was one."""
        match = OPERATOR.match(self.source, operator.start_byte)
        if match is None:
            return False
        end, literal = end_word(self._plain(match[2]))
        line = self._end_of_line(match.end())
        lines = self.source[line:].split(b"\n")
        body, rest = taken_out(lines, end.encode("utf-8", "replace"), strip_tabs=bool(match[1]))
        name = _PLACE % len(self.documents)
        whole = self._plain(body)
        self.documents[name] = Document(whole, literal, self._plain(match[0]))
        head = self.source[: match.start()] + f"< {name} ".encode()
        self.source = head + self.source[match.end() : line] + rest
        return True

    def _end_of_line(self, at: int) -> int:
        """The place after the first line end from ``at`` on that stands in no quoted text."""
        while (end := self.source.find(b"\n", at)) >= 0:
            node = self.tree.root_node.descendant_for_byte_range(end, end + 1)
            while node is not None and node.type not in ("string", "raw_string"):
                node = node.parent
            if node is None or node.start_byte < at or node.end_byte <= end + 1:
                return end + 1
            at = node.end_byte
        return len(self.source)

    def _nodes(self) -> Iterator[tuple[Node, bool, bool]]:
        """Nodes that make a command, whether it is piped to, and whether it is an inner one.

        Each is a command, the head of a loop, words that the grammar understood no command in, or
        a statement whose redirections belong to no simple command.
        """
        waiting = [_Visit(self.tree.root_node)]
        while waiting:
            visit = waiting.pop()
            node, inner, within = visit.node, visit.inner, visit.within
            if node.type in _INNER:
                inner, within = True, False
            below = [child for child in node.children if child.child_count]
            if visit.over:
                yield node, False, inner
                continue
            if node.type == "redirected_statement" and self._redirected(node):
                waiting.append(_Visit(node, inner=inner, over=True))
            elif not within and node.type in _COMMANDS:
                yield node, visit.piped, inner
                within = node.type in _SIMPLE
            for number, child in enumerate(reversed(below)):
                first = number == len(below) - 1 and node.type in _PASSES_ON
                piped = (visit.piped and first) or _is_pipe(child.prev_sibling)
                words = within or child.type in _REDIRECTS
                waiting.append(_Visit(child, piped, inner, words))

    def _redirected(self, node: Node) -> bool:
        """Note the redirections of a statement for its last command; True if they stay its own."""
        mine = [child for child in node.children if child.type in _REDIRECTS]
        last: Node | None = node
        while last is not None and last.type in _PASSES_ON:
            named = [c for c in last.named_children if c.type not in {*_REDIRECTS, "ERROR"}]
            last = named[-1] if named else None
        owner = last if last is not None and last.type in _SIMPLE else node
        self.redirects[owner.id] = [*self.redirects.get(owner.id, ()), *mine]
        return owner is node

    def _command(self, node: Node, piped: bool, inner: bool) -> Command:
        command = Command(piped=piped, inner=inner)
        redirects = list(self.redirects.get(node.id, ()))
        words: list[Node] = []
        if node.type == "test_command":
            words = _test_words(node)
        elif node.type in _SIMPLE or node.type == "for_statement":
            for child in node.children:
                if child.type in _ENDS_HEAD:
                    break
                (redirects if child.type in _REDIRECTS else words).append(child)
        elif node.type == "ERROR":
            words = [child for child in node.children if child.type in _LOOSE]
        for one in sorted(redirects, key=lambda redirect: redirect.start_byte):
            words += self._redirect(one, command)
        command.words += self._joined(sorted(words, key=lambda word: word.start_byte), command)
        return command

    def _joined(self, nodes: Sequence[Node], command: Command) -> list[str]:
        """The words of nodes; those without a blank between them are one."""
        words: list[str] = []
        end = -1
        parts = (part for node in nodes for part in self._parts_of(node, command))
        for start, stop, text in parts:
            if start == end:
                words[-1] += text
            else:
                words.append(text)
            end = stop
        return words

    def _parts_of(self, node: Node, command: Command) -> Iterator[tuple[int, int, str]]:
        """Those of one node. Where the grammar errs, a word may hold blanks and text of no node."""
        if node.type not in ("concatenation", "ERROR") or not node.children:
            yield node.start_byte, node.end_byte, self._text(node, command)
            return
        at = node.start_byte
        for child in node.children:
            for match in _PLAIN.finditer(self.source, at, child.start_byte):
                yield match.start(), match.end(), _QUOTED.sub(unescaped, self._plain(match[0]))
            yield from self._parts_of(child, command)
            at = child.end_byte

    def _redirect(self, node: Node, command: Command) -> list[Node]:
        """Note where input comes from or output goes to; the words that the node takes too many."""
        operator = next((c.type for c in node.children if c.type[0] in "<>&"), "")
        handle = next((c for c in node.children if c.type == "file_descriptor"), None)
        targets = [c for c in node.named_children if c.type != "file_descriptor"]
        if not targets:
            return []
        target = self._text(targets[0], command)
        if operator == "<<<":
            command.document = command.body = f"{target}\n"
        elif operator == "<" and target in self.documents:
            document = self.documents[target]
            command.document, command.body = document.text, document.body
        elif operator == "<":
            command.reads.append(target)
        elif operator in _WRITING and (handle is None or handle.text == b"1"):
            command.writes.append((target, operator.endswith(">>")))
        return targets[1:]

    def _text(self, node: Node, command: Command) -> str:
        """A word without its quotes; an expansion stays as it stands and is noted."""
        source = self._slice(node.start_byte, node.end_byte)
        if node.type in _EXPANSIONS:
            command.known = False
            for name, document in self.documents.items():
                source = source.replace(f"< {name} ", document.operator)
            return source
        if node.type == "raw_string":
            return source[1:-1]
        unquoted = _DOUBLE_QUOTED if node.type == "string" else _QUOTED
        parts, at = [], node.start_byte
        for child in node.children:
            parts.append(unquoted.sub(unescaped, self._slice(at, child.start_byte)))
            at = child.end_byte
            if child.type == "string_content":
                parts.append(_DOUBLE_QUOTED.sub(unescaped, self._slice(child.start_byte, at)))
            elif child.type == '"':  # the closing one takes blanks before it with it
                parts.append(self._slice(child.start_byte, at).strip('"'))
            else:
                parts.append(self._text(child, command))
        return "".join(parts) if node.children else _QUOTED.sub(unescaped, source)

    def _slice(self, start: int, end: int) -> str:
        return self._plain(self.source[start:end])

    def _signed(self, match: re.Match[str]) -> str:
        digits, sign = match[0][:-1], self.signs.get(match[0][-1])
        return f"{digits}{sign}" if sign else self.signs.get(match[0], match[0])

    def _plain(self, data: bytes) -> str:
        """Text as it stands in the script."""
        text = data.decode("utf-8", "surrogatepass")
        for plain, sign in self.signs.items():
            text = text.replace(sign, plain)
        return text


@dataclass(frozen=True)
class _Visit:
    """A node that waits to be looked at."""

    node: Node
    piped: bool = False
    inner: bool = False
    within: bool = False
    """It is part of a word of a command."""
    over: bool = False
    """What is below it was looked at."""


def _is_pipe(node: Node | None) -> bool:
    return node is not None and node.type in ("|", "|&")


def _test_words(test: Node) -> list[Node]:
    """The words of a test, operators and brackets among them, in order."""
    words: list[Node] = []
    waiting = [test]
    while waiting:
        node = waiting.pop()
        if node is test or (node.child_count and node.type.endswith("_expression")):
            waiting.extend(reversed(node.children))
        else:
            words.append(node)
    return words
