"""The graph of one commit: files, modules, classes, functions and what links them."""

from __future__ import annotations

import contextlib
import gc
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from swe_router.codegraph import test_paths
from swe_router.codegraph.fact_store import FactStore
from swe_router.codegraph.file_facts import KEPT, MAX_BYTES, VERSION, FileFacts, extract_facts
from swe_router.codegraph.file_links import FileLinks
from swe_router.codegraph.git_objects import GitObjects, TreeEntry
from swe_router.codegraph.grammar import Grammar, grammar_of
from swe_router.codegraph.linking import (
    GraphLinks,
    cross_file_edges,
    frozen_graph,
    link_files,
    path_of,
)
from swe_router.codegraph.resolve import Edge
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = deferred_module("networkx")

GRAPHS = 2
"""Repositories of which a process keeps the latest graph, for the next commit to begin from."""
_LATEST: dict[tuple[Path, Path], CodeGraph] = {}
"""By store and repository."""


class SourceLocation(NamedTuple):
    """Where a name is defined or used."""

    path: str
    line: int
    end: int
    kind: str
    """class | function | variable | module | call | import."""
    name: str
    """Qualified name of the definition, or the name as it is used."""

    @property
    def node(self) -> str:
        """Node of a definition."""
        return f"{self.path}::{self.name}"


class CodeGraph:
    """What the files of one commit define and how they hang together; read only.

    Nodes (attribute ``kind``): ``file`` (its path), ``module`` (``module:PATH``), ``class`` and
    ``function`` (``PATH::Qualified.name``). Edges (attribute ``kind``): ``define``, ``import``,
    ``inherit``, ``call``, and ``test-covers`` from a test file to a source file.
    """

    def __init__(
        self,
        facts: Mapping[str, FileFacts],
        skipped: Mapping[str, int],
        commit: str,
        before: CodeGraph | None = None,
    ) -> None:
        """``facts`` by path; ``skipped`` counts by reason. Use ``build``.

        ``before``: the graph of a near commit; the outcome is the same with it and without.
        """
        self.commit = commit
        self.facts: dict[str, FileFacts] = dict(sorted(facts.items()))
        self.files: tuple[str, ...] = tuple(self.facts)
        """Source files in the graph, sorted."""
        self.skipped: dict[str, int] = dict(sorted(skipped.items()))
        """Reason -> files: symlink, submodule, large, binary, encoding, generated,
        no grammar (its wheel is not installed); ``syntax`` files are
        broken in places, what parsed of them is kept."""
        self.known: dict[str, FileFacts] = {}
        """Facts by blob and grammar, those of skipped files too."""
        self.links: GraphLinks = link_files(
            self.facts, before.links if before is not None else None
        )
        self.modules = self.links.modules

    @staticmethod
    def is_test(path: str) -> bool:
        """The path is test code, helpers included."""
        return test_paths.is_test(path)

    def counts(self) -> dict[str, dict[str, int]]:
        """``{"nodes": {kind: n}, "edges": {kind: n}}``."""
        nodes = Counter(kind for _, kind in self.nx.nodes(data="kind"))
        edges = Counter(kind for _, _, kind in self.nx.edges(data="kind"))
        return {"nodes": dict(sorted(nodes.items())), "edges": dict(sorted(edges.items()))}

    def definitions(self, name: str) -> list[SourceLocation]:
        """Definitions of ``name``: bare, qualified (``Class.method``) or dotted by its module."""
        places = list(self._by_name.get(name, ()))
        if not places and "." in name:
            places = self._by_module(name)
        return sorted(places)

    def tests_reaching(self, paths: Iterable[str], limit: int = 0) -> list[str]:
        """Test files that can reach ``paths`` through imports and calls, nearest first.

        Changed test files themselves, then direct importers (with those that carry the name of
        a changed file before the others), then namesakes, then by distance. 0 is no limit.
        """
        changed = sorted(set(paths))
        distance = self._distances([path for path in changed if path in self.facts])
        subjects = {test_paths.tested_name(path) for path in changed} - {"__init__"}
        ranked = []
        for path in self.files:
            if not test_paths.is_runnable_test(path):
                continue
            namesake = test_paths.tested_name(path) in subjects
            steps = distance.get(path)
            if steps is None and not namesake:
                continue
            near = 0 if path in changed else 1 if steps == 1 else 2 if namesake else 3
            ranked.append((near, steps or 99, not namesake, _apart(path, changed), path))
        found = [row[-1] for row in sorted(ranked)]
        return found[:limit] if limit else found

    @cached_property
    def nx(self) -> nx.DiGraph:
        """The graph itself, made when it is first asked for: nothing of a run asks."""
        return frozen_graph(self.links.parts)

    @cached_property
    def file_graph(self) -> FileLinks:
        """Files only, with the number of links from one file into another."""
        links: Counter[tuple[str, str]] = Counter()
        for source, target, _ in cross_file_edges(self.links.parts):
            pair = (path_of(source), path_of(target))
            if pair[0] != pair[1]:
                links[pair] += 1
        return FileLinks(self.files, links)

    @cached_property
    def callers(self) -> Counter[str]:
        """Node -> how many others call it or inherit from it."""
        found = cross_file_edges(self.links.parts)
        return Counter(target for _, target, kind in found if kind in ("call", "inherit"))

    def _distances(self, targets: list[str]) -> dict[str, int]:
        """Links between each file and the nearest of ``targets``, against the arrows."""
        distance = dict.fromkeys(targets, 0)
        queue = deque(targets)
        while queue:
            path = queue.popleft()
            for near in self.file_graph.predecessors(path):
                if near not in distance:
                    distance[near] = distance[path] + 1
                    queue.append(near)
        return distance

    @cached_property
    def _by_name(self) -> dict[str, list[SourceLocation]]:
        index: dict[str, list[SourceLocation]] = {}
        for path, facts in self.facts.items():
            for one in facts.definitions:
                place = SourceLocation(path, one.line, one.end, one.kind, one.name)
                parts = one.name.split(".")
                for start in range(len(parts)):
                    index.setdefault(".".join(parts[start:]), []).append(place)
        return index

    def _by_module(self, name: str) -> list[SourceLocation]:
        parts = name.split(".")
        for cut in range(len(parts), 0, -1):
            file = self.modules.file(".".join(parts[:cut]))
            if file is not None:
                rest = ".".join(parts[cut:])
                if not rest:
                    return [SourceLocation(file, 1, 1, "module", name)]
                return [p for p in self._by_name.get(rest, ()) if p.path == file and p.name == rest]
        return []


def build_graph(repo_path: Path, commit: str, cache: FactStore | None = None) -> CodeGraph:
    """The graph of a commit, from git objects; ``cache`` spares parsing of known blobs.

    With a cache, the latest graph of the repository in this process is begun from: only what
    changed since is read and linked. Raises ``RepoError`` when the repository or the commit
    cannot be read.
    """
    objects = GitObjects(repo_path)
    wanted, skipped = _choose(objects.tree(commit))
    place = (cache.path, objects.git_dir) if cache is not None else None
    before = _LATEST.get(place) if place is not None else None
    with _uncollected():
        known = _known(objects, wanted, cache, before)
        facts: dict[str, FileFacts] = {}
        for entry, grammar in wanted:
            found = known[_key(entry, grammar)]
            if found.problem:
                skipped[found.problem] += 1
            if found.problem in KEPT:
                facts[entry.path] = found
        graph = CodeGraph(facts, skipped, commit, before)
    graph.known = known
    if place is not None:
        _LATEST.pop(place, None)
        _LATEST[place] = graph
        for old in list(_LATEST)[:-GRAPHS]:
            _LATEST.pop(old, None)
    return graph


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No cyclic garbage is made here, and looking for it in a million new objects costs 20%."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _known(
    objects: GitObjects,
    wanted: Iterable[tuple[TreeEntry, Grammar]],
    cache: FactStore | None,
    before: CodeGraph | None,
) -> dict[str, FileFacts]:
    """Facts of all wanted blobs by key: of the graph before, of the cache, or parsed now."""
    asked = {_key(entry, grammar): (entry.sha, grammar) for entry, grammar in wanted}
    had = before.known if before is not None else {}
    known = {key: had[key] for key in asked if key in had}
    if cache is not None and len(known) < len(asked):
        known.update(cache.get(key for key in asked if key not in known))
    fresh = _parse(objects, {k: v for k, v in sorted(asked.items()) if k not in known})
    if cache is not None:
        # Another process may have the wheel that is missing in this one.
        cache.put({key: one for key, one in fresh.items() if one.problem != "no grammar"})
    known.update(fresh)
    return known


def _choose(entries: Iterable[TreeEntry]) -> tuple[list[tuple[TreeEntry, Grammar]], Counter[str]]:
    wanted: list[tuple[TreeEntry, Grammar]] = []
    skipped: Counter[str] = Counter()
    for entry in entries:
        if entry.mode == "160000":
            skipped["submodule"] += 1
        elif entry.mode == "120000":
            skipped["symlink"] += 1
        elif (grammar := grammar_of(entry.path)) is not None:
            if entry.size > MAX_BYTES:
                skipped["large"] += 1
            else:
                wanted.append((entry, grammar))
    return wanted, skipped


def _key(entry: TreeEntry, grammar: Grammar) -> str:
    return f"{entry.sha}:{grammar.name}:{grammar.version}"


def _parse(objects: GitObjects, missing: Mapping[str, tuple[str, Grammar]]) -> dict[str, FileFacts]:
    shas = dict.fromkeys(sha for sha, _ in missing.values())
    asked: dict[str, list[tuple[str, Grammar]]] = {}
    for key, (sha, grammar) in missing.items():
        asked.setdefault(sha, []).append((key, grammar))
    return {
        key: extract_facts(content, grammar)
        for sha, content in objects.blobs(shas)
        for key, grammar in asked[sha]
    }


def _apart(path: str, others: Iterable[str]) -> int:
    """Folders between a path and the nearest of ``others``."""
    mine = path.split("/")[:-1]
    best = 99
    for other in others:
        theirs = other.split("/")[:-1]
        shared = 0
        while shared < min(len(mine), len(theirs)) and mine[shared] == theirs[shared]:
            shared += 1
        best = min(best, len(mine) + len(theirs) - 2 * shared)
    return best


__all__ = ["VERSION", "CodeGraph", "Edge", "SourceLocation", "build_graph", "path_of"]
