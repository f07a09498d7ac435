"""Where in the repository an issue points: a random walk over files from what it names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import networkx as nx

from swe_router.codegraph.graph import Graph
from swe_router.features.issue import Mentions

DAMPING = 0.5
"""Chance that the walk goes on from a file rather than back to a named one."""
FILE_WEIGHT, FRAME_WEIGHT, SYMBOL_WEIGHT, WORD_WEIGHT = 4.0, 2.0, 1.0, 0.25
MANY_HOMES = 20
"""A name that is defined in more files than this points nowhere."""
PLAUSIBLE_MASS = 0.8
"""The plausible files are the fewest that hold this much of the walk."""


def seeds(graph: Graph, named: Mentions) -> dict[str, float]:
    """Weight of each source file that the issue names, by path, frame, symbol or bare word."""
    weights: Counter[str] = Counter()
    for file in named.files:
        _share(weights, _sources(resolve_path(graph, file)), FILE_WEIGHT)
    for path, _ in named.frames:
        _share(weights, _sources(resolve_path(graph, path)), FRAME_WEIGHT)
    for symbol in named.symbols:
        _share(weights, _homes(graph, symbol), SYMBOL_WEIGHT)
    if not weights:
        for word in sorted(named.words):
            _share(weights, _homes(graph, word), WORD_WEIGHT)
    return dict(sorted(weights.items()))


def resolve_path(graph: Graph, written: str) -> list[str]:
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


def walk(graph: Graph, weights: Mapping[str, float]) -> dict[str, float]:
    """Personalised PageRank of the source files; uniform restarts when nothing is named."""
    sources = source_graph(graph)
    if not sources:
        return {}
    known = {path: weight for path, weight in weights.items() if path in sources}
    rank: dict[str, float] = nx.pagerank(
        sources, alpha=DAMPING, personalization=known or None, weight="weight", tol=1e-9
    )
    return rank


@lru_cache(maxsize=1)
def source_graph(graph: Graph) -> nx.Graph:
    """Source files, joined either way; the first link counts most."""
    joined = nx.Graph()
    joined.add_nodes_from(path for path in graph.files if not graph.is_test(path))
    both: Counter[tuple[str, str]] = Counter()
    for a, b, links in graph.file_graph.edges(data="weight"):
        if a in joined and b in joined:
            both[min(a, b), max(a, b)] += links
    joined.add_weighted_edges_from((a, b, 1 + math.log(n)) for (a, b), n in sorted(both.items()))
    return joined


def region_features(graph: Graph, named: Mentions) -> dict[str, float]:
    """How sharply the issue points, and how large and entangled that place is."""
    weights = seeds(graph, named)
    rank = sorted(walk(graph, weights).items(), key=lambda item: (-round(item[1], 9), item[0]))
    plausible = _plausible(rank)
    homes = [len(_homes(graph, symbol)) for symbol in named.symbols]
    found = [count for count in homes if count]
    frames = sum(bool(resolve_path(graph, path)) for path, _ in named.frames)
    mass = [share for _, share in rank]
    return {
        "seeds": float(len(weights)),
        "frames_resolved": float(frames),
        "files_resolved": float(sum(bool(resolve_path(graph, file)) for file in named.files)),
        "symbols_resolved": float(len(found)),
        "ambiguity": round(sum(found) / len(found), 6) if found else 0.0,
        "ppr_entropy": _entropy(mass),
        "ppr_top1": round(sum(mass[:1]), 6),
        "ppr_top5": round(sum(mass[:5]), 6),
        "plausible_files": float(len(plausible)),
        "plausible_packages": float(len({path.rpartition("/")[0] for path in plausible})),
        "repo_files": float(len(graph.files)),
        **_coupling(graph, [path for path, _ in rank[:5]]),
    }


def _coupling(graph: Graph, region: Iterable[str]) -> dict[str, float]:
    """Size and links of the five likeliest files."""
    files = list(region)
    links = graph.file_graph
    fan_in = {a for path in files for a in links.predecessors(path) if not graph.is_test(a)}
    tests = {a for path in files for a in links.predecessors(path) if graph.is_test(a)}
    fan_out = {b for path in files for b in links.successors(path)}
    ends = [max((d.end for d in graph.facts[path].definitions), default=0) for path in files]
    return {
        "region_lines": float(sum(ends)),
        "region_definitions": float(sum(len(graph.facts[path].definitions) for path in files)),
        "region_fan_in": float(len(fan_in - set(files))),
        "region_fan_out": float(len(fan_out - set(files))),
        "region_tests": float(len(tests)),
    }


def _plausible(rank: list[tuple[str, float]]) -> list[str]:
    total, kept = 0.0, []
    for path, share in rank:
        if total >= PLAUSIBLE_MASS:
            break
        total += share
        kept.append(path)
    return kept


def _entropy(mass: Iterable[float]) -> float:
    """Bits of the distribution over those of a uniform one: 0 is one file, 1 is all alike."""
    shares = [share for share in mass if share > 0]
    if len(shares) < 2:
        return 0.0
    bits = -sum(share * math.log2(share) for share in shares)
    return round(min(1.0, max(0.0, bits / math.log2(len(shares)))), 6)


def _homes(graph: Graph, symbol: str) -> list[str]:
    """Source files that define a symbol; a dotted name falls back to its last two parts."""
    parts = symbol.split(".")
    for name in dict.fromkeys((symbol, ".".join(parts[-2:]), parts[-1])):
        places = graph.definitions(name)
        homes = sorted({p.path for p in places if p.kind != "variable"} or {p.path for p in places})
        homes = _sources(homes)
        if homes:
            return homes if len(homes) <= MANY_HOMES else []
    return []


def _share(weights: Counter[str], paths: list[str], weight: float) -> None:
    for path in paths:
        weights[path] += weight / len(paths)  # type: ignore[assignment]


def _sources(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not Graph.is_test(path)]


@lru_cache(maxsize=1)
def _by_file_name(graph: Graph) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for path in graph.files:
        index.setdefault(path.rpartition("/")[2], []).append(path)
    return index


def _common_tail(a: list[str], b: list[str]) -> int:
    shared = 0
    while shared < min(len(a), len(b)) and a[-1 - shared] == b[-1 - shared]:
        shared += 1
    return shared
