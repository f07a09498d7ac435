"""Where in the repository an issue points: a random walk over files from what it names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from swe_router.codegraph.graph import CodeGraph
from swe_router.features.issue_text import Mentions
from swe_router.features.pagerank import pagerank

DAMPING = 0.5
"""Chance that the walk goes on from a file rather than back to a named one."""
FILE_WEIGHT, FRAME_WEIGHT, SYMBOL_WEIGHT, WORD_WEIGHT = 4.0, 2.0, 1.0, 0.25
MANY_HOMES = 20
"""A name that is defined in more files than this points nowhere."""


def seed_weights(graph: CodeGraph, named: Mentions) -> dict[str, float]:
    """Weight of each source file that the issue names, by path, frame, symbol or bare word."""
    weights: Counter[str] = Counter()
    for file in named.files:
        _spread_weight(weights, _source_files(resolve_path(graph, file)), FILE_WEIGHT)
    for path, _ in named.frames:
        _spread_weight(weights, _source_files(resolve_path(graph, path)), FRAME_WEIGHT)
    for symbol in named.symbols:
        _spread_weight(weights, defining_files(graph, symbol), SYMBOL_WEIGHT)
    if not weights:
        for word in sorted(named.words):
            _spread_weight(weights, defining_files(graph, word), WORD_WEIGHT)
    return dict(sorted(weights.items()))


def resolve_path(graph: CodeGraph, written: str) -> list[str]:
    """Files of the graph that end in the path as it is written in a message or a traceback."""
    parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".")]
    by_name = _by_file_name(graph)
    found = by_name.get(parts[-1], ()) if parts else ()
    best, kept = 0, []
    for path in found:
        shared = _common_tail(path.split("/"), parts)
        if shared > best:
            best, kept = shared, [path]
        elif shared == best:
            kept.append(path)
    # ``/usr/lib/python3/json/decoder.py`` is no file of ours for its last part alone.
    foreign = written.startswith(("/", "<")) and best < min(2, len(parts))
    return [] if foreign or len(kept) > MANY_HOMES else kept


def walk_shares(graph: CodeGraph, weights: Mapping[str, float]) -> dict[str, float]:
    """Personalised PageRank of the source files; uniform restarts when nothing is named."""
    sources = source_graph(graph)
    if not sources:
        return {}
    known = {path: weight for path, weight in weights.items() if path in sources}
    return pagerank(sources, damping=DAMPING, restart=known, tolerance=1e-9)


@lru_cache(maxsize=1)
def source_graph(graph: CodeGraph) -> dict[str, dict[str, float]]:
    """Source files, joined either way; the first link counts most."""
    joined: dict[str, dict[str, float]] = {
        path: {} for path in graph.files if not graph.is_test(path)
    }
    both: Counter[tuple[str, str]] = Counter()
    for a, b, links in graph.file_graph:
        if a in joined and b in joined:
            both[min(a, b), max(a, b)] += int(links)
    for (a, b), n in sorted(both.items()):
        joined[a][b] = joined[b][a] = 1 + math.log(n)
    return joined


def defining_files(graph: CodeGraph, symbol: str) -> list[str]:
    """Source files that define a symbol; a dotted name falls back to its last parts."""
    parts = symbol.split(".")
    for name in dict.fromkeys((symbol, ".".join(parts[-2:]), parts[-1])):
        places = graph.definitions(name)
        homes = sorted({p.path for p in places if p.kind != "variable"} or {p.path for p in places})
        homes = _source_files(homes)
        if homes:
            return homes if len(homes) <= MANY_HOMES else []
    return []


def _spread_weight(weights: Counter[str], paths: list[str], weight: float) -> None:
    for path in paths:
        weights[path] += weight / len(paths)  # type: ignore[assignment]


def _source_files(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not CodeGraph.is_test(path)]


@lru_cache(maxsize=1)
def _by_file_name(graph: CodeGraph) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for path in graph.files:
        index.setdefault(path.rpartition("/")[2], []).append(path)
    return index


def _common_tail(a: list[str], b: list[str]) -> int:
    shared = 0
    while shared < min(len(a), len(b)) and a[-1 - shared] == b[-1 - shared]:
        shared += 1
    return shared
