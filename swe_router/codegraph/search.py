"""The search tool's view of a project: text, file names, definitions and references."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tree_sitter import Node

from swe_router.codegraph import regex_process
from swe_router.codegraph.file_facts import Definition, FileFacts, extract_facts
from swe_router.codegraph.grammar import grammar_of, language_tools
from swe_router.codegraph.graph import CodeGraph, SourceLocation
from swe_router.codegraph.overlay import Overlay

LINE_CAP = 300
"""Characters of a line that are searched by a regex and shown."""

Hit = tuple[str, int, str]
"""Path, line number from 1, text of the line."""


class GraphSearch:
    """``seams.CodeSearch`` over a graph and the git objects of its commit."""

    def __init__(
        self, repo: Path, graph: CodeGraph, *, workdir: str = "", seconds: float = 10.0
    ) -> None:
        """``workdir``: where the sandbox holds the project, which absolute paths begin with.

        ``seconds`` is the most that one regex may take before it is cut off.
        """
        self._graph, self._seconds, self._root = graph, seconds, f"{workdir}/"
        self._snapshot = Overlay(repo, graph.commit)
        self._facts: dict[str, FileFacts | None] = {}

    def text(self, pattern: str, *, regex: bool, path: str, limit: int) -> str:
        """Lines that match, as ``file:line: text``; a faulty or runaway regex is reported."""
        if not pattern:
            return "Nothing to search for: the pattern is empty."
        files = [
            (name, content) for name, content in self._snapshot.texts() if self._under(name, path)
        ]
        if not files:
            return f"No file at {path!r}."
        if not regex:
            hits, more = _plain(pattern, files, limit)
            return _show(hits, more, f"No line contains {pattern!r}.", self._footnote())
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            return f"Bad regular expression {pattern!r}: {error}. Or search as plain text."
        hits, more, late = _regex(pattern, files, limit, self._seconds)
        note = self._footnote()
        if late:
            note = (
                f"(stopped after {self._seconds:g} s: the pattern backtracks too much or matches "
                f"too slowly; simplify it or give a path){note}"
            )
        searched = "in the part that was searched" if late else ""
        return _show(hits, more, f"No line matches {pattern!r} {searched}".rstrip() + ".", note)

    def files(self, pattern: str, *, limit: int) -> str:
        """Paths that match a glob (``*.py``, ``src/**/io.py``) or contain the text."""
        wanted = self._relative(pattern)
        paths = self._snapshot.paths()
        if any(sign in wanted for sign in "*?["):
            found = [path for path in paths if _globs(path, wanted)]
        else:
            found = [path for path in paths if wanted.lower() in path.lower()]
        if not found:
            return f"No file name matches {pattern!r}."
        lines = [_printable(path) for path in found[:limit]]
        if len(found) > limit:
            lines.append(f"({len(found) - limit} more left out; narrow the pattern)")
        return "\n".join(lines)

    def symbol(self, name: str, *, kind: str, limit: int) -> str:
        """Definitions or references of a name, as ``file:line: text``."""
        wanted = name.strip().removesuffix("()")
        if not wanted:
            return "Nothing to search for: the name is empty."
        if kind not in ("definition", "reference"):
            return f"No such kind {kind!r}: ask for definition or reference."
        if kind == "definition":
            places = sorted(self._definitions(wanted), key=_sources_first)
            hits = [(place.path, place.line, self._line(place)) for place in places]
        else:
            hits = self._references(wanted)
        return _show(hits[:limit], max(0, len(hits) - limit), f"No {kind} of {wanted!r} found.", "")

    def changed(self, path: str, content: bytes | None) -> None:
        """Lay a file that the agent wrote over the base, and parse it again."""
        path = self._relative(path)
        self._snapshot.change(path, content)
        grammar = grammar_of(path)
        if grammar is not None:
            self._facts[path] = extract_facts(content, grammar) if content is not None else None

    def _relative(self, path: str) -> str:
        cleaned = path.strip()
        if cleaned.rstrip("/") == self._root.rstrip("/"):
            return ""
        cleaned = cleaned.removeprefix(self._root)
        while cleaned.startswith("./"):
            cleaned = cleaned[2:]
        return cleaned

    def _under(self, name: str, path: str) -> bool:
        """A file, a folder or a glob; empty or ``.`` is everything."""
        wanted = self._relative(path).rstrip("/")
        if wanted in ("", "."):
            return True
        if any(sign in wanted for sign in "*?["):
            return _globs(name, wanted)
        return name == wanted or name.startswith(wanted + "/")

    def _definitions(self, name: str) -> list[SourceLocation]:
        kept = [p for p in self._graph.definitions(name) if p.path not in self._facts]
        for path, facts in self._facts.items():
            for one in facts.definitions if facts else ():
                if _named(one, name):
                    kept.append(SourceLocation(path, one.line, one.end, one.kind, one.name))
        return kept

    def _references(self, name: str) -> list[Hit]:
        """Identifiers of that name in code, definitions left out; strings and comments too."""
        last = name.rpartition(".")[2]
        sought, hits = last.encode(), []
        for path, content in self._snapshot.texts():
            grammar = grammar_of(path)
            reading = language_tools(grammar) if grammar is not None and sought in content else None
            if reading is None:
                continue
            root = reading.parser.parse(content).root_node
            lines = content.decode("utf-8", "replace").split("\n")
            for row in sorted(_used_on(root, content, sought)):
                hits.append((path, row + 1, lines[row][:LINE_CAP]))
        return sorted(hits, key=lambda hit: (self._graph.is_test(hit[0]), hit))

    def _line(self, place: SourceLocation) -> str:
        content = self._snapshot.text(place.path) or b""
        lines = content.decode("utf-8", "replace").split("\n")
        return lines[place.line - 1][:LINE_CAP] if place.line <= len(lines) else ""

    def _footnote(self) -> str:
        left = self._snapshot.left_out
        return f"({left} files too large to search were left out)" if left else ""


def _named(one: Definition, name: str) -> bool:
    return one.name == name or one.name.endswith(f".{name}")


def _sources_first(place: SourceLocation) -> tuple[bool, SourceLocation]:
    return CodeGraph.is_test(place.path), place


def _used_on(root: Node, content: bytes, name: bytes) -> set[int]:
    """Rows (from 0) on which ``name`` is an identifier that is not being defined."""
    rows: set[int] = set()
    start = content.find(name)
    while start != -1:
        end = start + len(name)
        node = root.descendant_for_byte_range(start, end)
        exact = node is not None and (node.start_byte, node.end_byte) == (start, end)
        if exact and node is not None and node.type == "identifier" and not _defines(node):
            rows.add(node.start_point[0])
        start = content.find(name, end)
    return rows


def _defines(node: Node) -> bool:
    parent = node.parent
    if parent is None or parent.type not in ("class_definition", "function_definition"):
        return False
    return parent.child_by_field_name("name") == node


def _plain(pattern: str, files: Sequence[tuple[str, bytes]], limit: int) -> tuple[list[Hit], int]:
    sought = pattern.encode("utf-8", "surrogateescape")
    hits: list[Hit] = []
    more = 0
    for path, content in files:
        if sought not in content:
            continue
        for number, line in enumerate(content.split(b"\n"), 1):
            if sought not in line:
                continue
            if len(hits) < limit:
                hits.append((path, number, _window(line, sought)))
            else:
                more += 1
    return hits, more


def _window(line: bytes, sought: bytes) -> str:
    """The part of a long line that holds the match."""
    start = max(0, line.find(sought) - LINE_CAP // 2) if len(line) > LINE_CAP else 0
    return line[start : start + LINE_CAP].decode("utf-8", "replace")


def _regex(
    pattern: str, files: Sequence[tuple[str, bytes]], limit: int, seconds: float
) -> tuple[list[Hit], int, bool]:
    """Hits, count left out, and whether the time ran out."""
    head = {
        "pattern": pattern, "limit": limit, "cap": LINE_CAP,
        "files": [(path, len(content)) for path, content in files],
    }  # fmt: skip
    with tempfile.TemporaryFile() as job, tempfile.TemporaryFile() as output:
        job.write(json.dumps(head).encode() + b"\n")
        job.writelines(content for _, content in files)
        job.seek(0)
        command = [sys.executable, "-I", "-S", str(Path(regex_process.__file__))]
        late = False
        with subprocess.Popen(
            command, stdin=job, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True
        ) as child:
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                late = True
        output.seek(0)
        hits, more = _read_hits(output)
    return hits, more, late


def _read_hits(lines: Iterable[bytes]) -> tuple[list[Hit], int]:
    hits: list[Hit] = []
    more = 0
    for raw in lines:
        with contextlib.suppress(ValueError):  # a kill may cut the last line
            found = json.loads(raw)
            if isinstance(found, dict):
                more = found["more"]
            else:
                hits.append((found[0], found[1], found[2]))
    return hits, more


def _show(hits: Sequence[Hit], more: int, nothing: str, note: str) -> str:
    lines: list[str] = []
    for path, group in itertools.groupby(hits, key=lambda hit: hit[0]):
        lines += [f"{_printable(path)}:{line}: {text.rstrip()}" for _, line, text in group]
    if not lines:
        lines.append(nothing)
    if more:
        lines.append(f"({more} more matching lines left out; narrow the search)")
    if note:
        lines.append(note)
    return "\n".join(lines)


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _globs(path: str, pattern: str) -> bool:
    """``fnmatch`` on the whole path or on its last parts, at any depth."""
    forms = dict.fromkeys((pattern, pattern.replace("**/", "")))
    return any(
        fnmatch.fnmatchcase(path, form) or fnmatch.fnmatchcase(path, f"*/{form}") for form in forms
    )
