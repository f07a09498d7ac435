"""What every file contributes to the graph; after a change only what the change touches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from swe_router.codegraph import other_languages, test_paths
from swe_router.codegraph.file_facts import FileFacts
from swe_router.codegraph.grammar import PYTHON, grammar_of
from swe_router.codegraph.python_modules import PythonModules
from swe_router.codegraph.resolve import (
    BoundNames,
    Edge,
    Question,
    Resolution,
    Resolver,
    Token,
    carry_over,
    module_node,
)
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = deferred_module("networkx")

_KINDS = {kind: {"kind": kind} for kind in ("define", "import", "call", "inherit", "test-covers")}
"""Attributes of the edges of a kind: one dictionary for all of them."""


class FileNodes(NamedTuple):
    """One file's nodes and the edges that start in it."""

    nodes: list[tuple[str, dict[str, Any]]]
    defines: list[tuple[str, str]]
    links: dict[tuple[str, str], str]
    """(source, target) -> kind, the first kind found."""
    covers: list[tuple[str, str]]
    asked: frozenset[Question] = frozenset()
    seen: frozenset[Token] = frozenset()


@dataclass
class GraphLinks:
    """All files of a commit, linked."""

    facts: Mapping[str, FileFacts]
    modules: PythonModules
    names: dict[str, BoundNames] = field(default_factory=dict)
    answers: dict[Question, Resolution] = field(default_factory=dict)
    parts: dict[str, FileNodes] = field(default_factory=dict)
    """By path, sorted."""
    relinked: int = 0
    """Files whose edges were worked out rather than taken over."""


def link_files(facts: Mapping[str, FileFacts], before: GraphLinks | None = None) -> GraphLinks:
    """Nodes and edges of all files, sorted by path; ``before``: those of a near commit."""
    python = [path for path in facts if grammar_of(path) is PYTHON]
    links = GraphLinks(facts, PythonModules(python))
    for path in python:
        known = before.names.get(path) if before is not None else None
        links.names[path] = (
            known if known is not None and known.facts == facts[path] else BoundNames(facts[path])
        )
    resolver = Resolver(links.names, links.modules)
    dirty = _dirty(before, links, resolver) if before is not None else set(python)
    abroad = _foreign_edges(facts, before.facts if before is not None else None)
    for path, found in facts.items():
        if before is not None and path not in dirty and path not in abroad:
            links.parts[path] = before.parts[path]
            continue
        links.relinked += 1
        if path in abroad:
            links.parts[path] = _part(path, found, "", abroad[path])
        else:
            edges, asked, seen = resolver.edges(path)
            part = _part(path, found, links.modules.name_of[path], edges)
            links.parts[path] = part._replace(asked=asked, seen=seen)
    links.answers = resolver.answers
    return links


def frozen_graph(parts: Mapping[str, FileNodes]) -> nx.DiGraph:
    """The parts as one frozen graph.

    The three dictionaries of networkx are filled directly, which takes a third of the time of
    its own ``add_edges_from``; edges of one kind share their attributes.
    """
    graph = nx.DiGraph()
    node, after, before = graph._node, graph._succ, graph._pred
    for part in parts.values():
        for name, attributes in part.nodes:
            node[name] = attributes
            after[name] = {}
            before[name] = {}
    define, covers = _KINDS["define"], _KINDS["test-covers"]
    for part in parts.values():
        for source, target in part.defines:
            after[source][target] = before[target][source] = define
    for part in parts.values():
        for (source, target), kind in part.links.items():
            if target not in after[source]:
                after[source][target] = before[target][source] = _KINDS[kind]
        for source, target in part.covers:
            after[source][target] = before[target][source] = covers
    return nx.freeze(graph)


def cross_file_edges(parts: Mapping[str, FileNodes]) -> Iterator[Edge]:
    """(source, target, kind) of every import, call and inheritance that ``network`` has.

    An edge that also defines, or that a test covers its subject by, counts as that there.
    """
    for part in parts.values():
        other = {*part.defines, *part.covers}
        for edge, kind in part.links.items():
            if edge not in other:
                yield *edge, kind


def path_of(node: str) -> str:
    """The file that a node belongs to."""
    return node.removeprefix("module:").partition("::")[0]


def _dirty(before: GraphLinks, links: GraphLinks, resolver: Resolver) -> set[str]:
    """Python files whose edges may differ from those they had; answers that hold are kept."""
    old, new = before.names, links.names
    modules, renamed = before.modules.moved(links.modules)
    changed: set[Token] = {("", name) for name in modules}
    dirty = renamed & new.keys()
    for path in old.keys() | new.keys():
        was, now = old.get(path), new.get(path)
        if was is now and path not in renamed:
            continue
        if was is None or now is None or path in renamed:
            names = {name for one in (was, now) if one is not None for name in one.all()}
        else:
            names = was.changed(now)
        changed.update((path, name) for name in names)
        if now is not None:
            dirty.add(path)
    if not changed:
        resolver.answers.update(before.answers)
        return dirty
    off = carry_over(before.answers, changed, resolver)
    for path, part in before.parts.items():
        if path in new and not (changed.isdisjoint(part.seen) and off.isdisjoint(part.asked)):
            dirty.add(path)
    return dirty


def _foreign_edges(
    facts: Mapping[str, FileFacts], old: Mapping[str, FileFacts] | None
) -> dict[str, list[Edge]]:
    """Edges of all files of each language family of which any file changed."""
    families: dict[str, dict[str, FileFacts]] = {}
    for path, found in facts.items():
        family = other_languages.family_of(path)
        if family:
            families.setdefault(family, {})[path] = found
    had: dict[str, dict[str, FileFacts]] = {}
    for path, found in (old or {}).items():
        had.setdefault(other_languages.family_of(path), {})[path] = found
    out: dict[str, list[Edge]] = {}
    for family, files in families.items():
        if old is None or had.get(family) != files:
            out.update(other_languages.family_edges(family, files))
    return out


def _part(path: str, facts: FileFacts, module_name: str, edges: Iterable[Edge]) -> FileNodes:
    module = module_node(path)
    nodes: list[tuple[str, dict[str, Any]]] = [
        (path, {"kind": "file", "test": test_paths.is_test(path)}),
        (module, {"kind": "module", "name": module_name or path}),
    ]
    defines = {(path, module): None}
    kept = {module}
    for one in facts.definitions:
        if one.kind == "variable":
            continue
        node = f"{path}::{one.name}"
        around = f"{path}::{one.name.rpartition('.')[0]}"
        nodes.append((node, {"kind": one.kind, "line": one.line, "end": one.end}))
        defines[around if around in kept else module, node] = None
        kept.add(node)
    links: dict[tuple[str, str], str] = {}
    for source, target, kind in edges:
        if source != target:
            links.setdefault((source, target), kind)
    covers: dict[tuple[str, str], None] = {}
    if test_paths.is_test(path):
        for _, target in links:
            subject = path_of(target)
            if subject != path and not test_paths.is_test(subject):
                covers[path, subject] = None
    return FileNodes(nodes, list(defines), links, list(covers))


__all__ = ["FileNodes", "GraphLinks", "cross_file_edges", "frozen_graph", "link_files", "path_of"]
