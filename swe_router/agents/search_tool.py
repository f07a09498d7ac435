"""Search: by the code graph on the host, kept in step with the sandbox, else by plain find."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from typing import Any

from swe_router.agents.edit_tool import EditRefused
from swe_router.agents.tool_paths import relative_path
from swe_router.seams import CodeSearch, Sandbox

MAX_FILES = 300
"""Changed files that are re-read before a search; more are build debris."""
MAX_BYTES = 1_000_000
_DIFF = "git -c core.fsmonitor=false diff --name-only --no-renames --no-ext-diff -z"
_GIT = "git rev-parse --verify HEAD"
_NO_GIT = "//"
"""Shown in place of paths; no path of git's begins with a slash."""
_BLIND = "(git is broken: files that commands changed may be shown here as they were before)"
_NEW = "git -c core.fsmonitor=false ls-files -z --others --exclude-standard"


class SearchTool:
    """The ``search`` tool of one attempt."""

    def __init__(
        self, sandbox: Sandbox, graph: CodeSearch | None, *, base: str, limit: int, timeout: float
    ) -> None:
        self._sandbox, self._graph = sandbox, graph
        self._base, self._limit, self._timeout = base, limit, timeout
        self._stale = False
        self._sent: dict[str, str] = {}
        self._blind = False

    def ran_command(self) -> None:
        """A command may have changed files: look before the next search."""
        self._stale = True

    def changed(self, path: str, content: bytes) -> None:
        """A file was edited; ``path`` from the root of the repository."""
        if self._graph is not None:
            self._sent[path] = _digest(content)
            self._graph.changed(path, content)

    def search(self, arguments: Mapping[str, Any]) -> str:
        """What was found, or that nothing was. Raises ``EditRefused`` for a bad query or path."""
        query, kind = arguments["query"], arguments.get("kind", "text")
        if not query.strip():
            raise EditRefused("The query is empty.")
        if kind == "regex":
            _check_regex(query)
        given = arguments.get("path", "")
        path = relative_path(given, self._sandbox.workdir) if given.strip() else "."
        found = self._by_graph(query, kind, path) if self._graph else self._plain(query, kind, path)
        found = found.strip("\n") or f"Nothing found for {query!r} ({kind})."
        return f"{found}\n{_BLIND}" if self._blind else found

    def _by_graph(self, query: str, kind: str, path: str) -> str:
        assert self._graph is not None
        self._sync(self._graph)
        if kind == "files":
            return self._graph.files(query, limit=self._limit)
        if kind in ("definition", "reference"):
            return self._graph.symbol(query.strip(), kind=kind, limit=self._limit)
        inside = "" if path == "." else path
        return self._graph.text(query, regex=kind == "regex", path=inside, limit=self._limit)

    def _sync(self, graph: CodeSearch) -> None:
        """Tell the graph of files that commands changed since the last search."""
        if not self._stale:
            return
        since = f"{_DIFF} {shlex.quote(self._base or 'HEAD')} -- || {_DIFF} HEAD --"
        names = f"{{ {since}; {_NEW}; }} 2>/dev/null | tr '\\0' '\\n' | head -n {MAX_FILES}"
        command = f"if {_GIT} >/dev/null 2>&1; then {names}; else echo {_NO_GIT}; fi"
        listing = self._sandbox.run(command, timeout=self._timeout).output.split("\n")
        self._blind = listing[0] == _NO_GIT
        paths = {path for path in listing if path.isprintable() and path.strip("/ ")}
        for path in sorted(paths | self._sent.keys()):
            content = self._read(path)
            stamp = "" if content is None else _digest(content)
            if self._sent.get(path) != stamp:
                self._sent[path] = stamp
                graph.changed(path, content)
        self._stale = False

    def _read(self, path: str) -> bytes | None:
        try:
            return self._sandbox.read(path, limit=MAX_BYTES)
        except (OSError, ValueError):
            return None

    def _plain(self, query: str, kind: str, path: str) -> str:
        """With nothing but a POSIX shell."""
        command = f"{_find(query, kind, path)} | cut -c1-300 | head -n {self._limit + 1}"
        result = self._sandbox.run(command, timeout=self._timeout)
        if result.timed_out:
            return f"The search was stopped after {self._timeout:g} s; give a path or use bash."
        lines = [line.removeprefix("./") for line in result.output.splitlines()]
        if len(lines) > self._limit:
            lines[self._limit :] = [f"… more than {self._limit} lines: make the query narrower."]
        return "\n".join(lines)


def _find(query: str, kind: str, path: str) -> str:
    start = shlex.quote("." if path == "." else f"./{path}")
    files = f"find {start} -name .git -prune -o -type f"
    if kind == "files":
        if re.search(r"[*?\[]", query):
            glob = query.strip().removeprefix("./")
            anywhere = shlex.quote(f"*/{glob}")
            return f"{files} -path {anywhere} -print | sort"
        return f"{files} -print | grep -iF -e {shlex.quote(query.strip())} | sort"
    option, pattern = "-F", query
    name = re.escape(query.strip().rsplit(".", 1)[-1])
    if kind == "regex":
        option = "-E"
    elif kind == "definition":
        option = "-E"
        pattern = (
            rf"^[[:space:]]*((async[[:space:]]+)?(def|class)[[:space:]]+{name}"
            rf"([^A-Za-z0-9_]|$)|{name}[[:space:]]*(:[^=]*)?=([^=]|$))"
        )
    elif kind == "reference":
        option, pattern = "-E", rf"(^|[^A-Za-z0-9_]){name}([^A-Za-z0-9_]|$)"
    return f"{files} -exec grep -n {option} -e {shlex.quote(pattern)} /dev/null {{}} + 2>/dev/null"


def _check_regex(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise EditRefused(f"The regular expression is not valid: {error}.") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
