"""How sharply an issue points into its repository, and how large and entangled that place is."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from statistics import fmean

from swe_router.codegraph.graph import CodeGraph, SourceLocation
from swe_router.features.graph_walk import defining_files, resolve_path, source_graph, walk_shares
from swe_router.features.issue_text import Mentions
from swe_router.features.pagerank import pagerank

PLAUSIBLE_MASS = 0.8
"""The plausible files are the fewest that hold this much of the walk."""
REGION = 5
"""Likeliest files that count as the region of the change."""
MANY_PLACES = 5
"""A name with more definitions than this does not say which one is meant."""
FAR = 5
"""Distance of two named files that no short way joins."""


def region_features(
    graph: CodeGraph,
    named: Mentions,
    weights: Mapping[str, float],
    rank: Sequence[tuple[str, float]],
) -> dict[str, float]:
    """Localisation, size and coupling, all from the files of the base commit.

    ``weights`` are the ``seeds`` of what is named, ``rank`` the files as ``ranked`` by them.
    """
    return {
        **_localisation(graph, named, weights, rank),
        **_coupling(graph, [path for path, _ in rank[:REGION]]),
        **_named(graph, named),
        "repo_files": float(len(graph.files)),
    }


def ranked_files(graph: CodeGraph, weights: Mapping[str, float]) -> list[tuple[str, float]]:
    """Source files with their share of the walk, the likeliest first."""
    shares = walk_shares(graph, weights)
    return sorted(shares.items(), key=lambda item: (-round(item[1], 9), item[0]))


def _localisation(
    graph: CodeGraph,
    named: Mentions,
    weights: Mapping[str, float],
    rank: Sequence[tuple[str, float]],
) -> dict[str, float]:
    found = [len(defining_files(graph, symbol)) for symbol in named.symbols]
    known = [count for count in found if count]
    frames = sum(bool(resolve_path(graph, path)) for path, _ in named.frames)
    mass = [share for _, share in rank]
    plausible = _plausible(rank)
    return {
        "seeds": float(len(weights)),
        "seed_weight": round(max(weights.values(), default=0.0), 6),
        "seed_distance": _distance(graph, weights),
        "frames_found": float(frames),
        "files_found": float(sum(bool(resolve_path(graph, file)) for file in named.files)),
        "symbols_found": float(len(known)),
        "unknown_share": round(1 - len(known) / len(found), 6) if found else 0.0,
        "ambiguity": round(sum(known) / len(known), 6) if known else 0.0,
        "ppr_entropy": _entropy(mass),
        "ppr_top1": round(sum(mass[:1]), 6),
        "ppr_top5": round(sum(mass[:5]), 6),
        "plausible_files": float(len(plausible)),
        "plausible_packages": float(len({path.rpartition("/")[0] for path in plausible})),
    }


def _coupling(graph: CodeGraph, files: list[str]) -> dict[str, float]:
    """Size and links of the likeliest file, and of the region."""
    links = graph.file_graph
    fan_in = {a for path in files for a in links.predecessors(path) if not graph.is_test(a)}
    tests = {a for path in files for a in links.predecessors(path) if graph.is_test(a)}
    fan_out = {b for path in files for b in links.successors(path)}
    central = [_centrality(graph)[path] for path in files]
    first = files[:1]
    return {
        "region_lines": float(sum(_lines(graph, path) for path in files)),
        "region_definitions": float(sum(len(graph.facts[path].definitions) for path in files)),
        "region_fan_in": float(len(fan_in - set(files))),
        "region_fan_out": float(len(fan_out - set(files))),
        "region_tests": float(len(tests)),
        "region_centrality": round(fmean(central), 6) if central else 0.0,
        "top_centrality": central[0] if central else 0.0,
        "top_lines": float(sum(_lines(graph, path) for path in first)),
        "top_fan_in": float(
            sum(not graph.is_test(a) for path in first for a in links.predecessors(path))
        ),
        "top_tests": float(
            sum(graph.is_test(a) for path in first for a in links.predecessors(path))
        ),
    }


def _named(graph: CodeGraph, named: Mentions) -> dict[str, float]:
    """The classes and functions that the issue names and that are unambiguous."""
    places = {place.node: place for symbol in named.symbols for place in _places(graph, symbol)}
    sizes = [math.log1p(place.end - place.line + 1) for place in places.values()]
    callers = [graph.callers[node] for node in places]
    return {
        "named_definitions": float(len(places)),
        "named_size": round(min(sizes, default=0.0), 6),
        "named_callers": round(fmean(map(math.log1p, callers)), 6) if callers else 0.0,
    }


def _places(graph: CodeGraph, symbol: str) -> list[SourceLocation]:
    parts = symbol.split(".")
    for name in dict.fromkeys((symbol, ".".join(parts[-2:]), parts[-1])):
        places = [
            place
            for place in graph.definitions(name)
            if place.kind in ("class", "function") and not graph.is_test(place.path)
        ]
        if places:
            return places if len(places) <= MANY_PLACES else []
    return []


def _distance(graph: CodeGraph, weights: Mapping[str, float]) -> float:
    """Mean links between the most named files, two by two; 0 for fewer than two."""
    joined = source_graph(graph)
    chosen = sorted(weights, key=lambda path: (-weights[path], path))[:8]
    files = [path for path in chosen if path in joined]
    gaps = []
    for number, path in enumerate(files):
        reach = _reach(joined, path, FAR - 1)
        gaps += [reach.get(other, FAR) for other in files[number + 1 :]]
    return round(fmean(gaps), 6) if gaps else 0.0


def _reach(joined: Mapping[str, Mapping[str, float]], path: str, most: int) -> dict[str, int]:
    """File -> links between it and ``path``, for all at most so many links away."""
    reach, last = {path: 0}, [path]
    for links in range(1, most + 1):
        last = [near for one in last for near in joined[one] if near not in reach]
        reach.update(dict.fromkeys(last, links))
    return reach


@lru_cache(maxsize=1)
def _centrality(graph: CodeGraph) -> dict[str, float]:
    """Share of the files whose PageRank is not above the file's own (1 is the most central)."""
    rank = pagerank(graph.file_graph.after) if graph.files else {}
    rounded = {path: round(share, 12) for path, share in rank.items()}
    ordered = sorted(rounded.values())
    return {
        path: round(bisect.bisect_right(ordered, share) / len(ordered), 6)
        for path, share in rounded.items()
    }


def _lines(graph: CodeGraph, path: str) -> int:
    return max((one.end for one in graph.facts[path].definitions), default=0)


def _plausible(rank: Sequence[tuple[str, float]]) -> list[str]:
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
