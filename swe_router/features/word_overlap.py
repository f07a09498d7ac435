"""Which files use the words of an issue: BM25 over paths and names of definitions, no model."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

from swe_router.codegraph.graph import CodeGraph

K1, B = 1.2, 0.75
"""Robertson and Zaragoza 2009, section 3.4: saturation of a repeated word, share of length."""
MAX_REPEATS = 3
"""A word of the issue counts at most this often: a pasted log must not drown its prose."""
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=200_000)
def word_parts(name: str) -> tuple[str, ...]:
    """Lower-case words of three letters or more in a name, a path or a text."""
    return tuple(word.lower() for word in _PART.findall(name) if len(word) > 2)


def word_features(graph: CodeGraph, text: str) -> dict[str, float]:
    """How well, and how clearly, one file matches the words of the issue.

    ``word_match`` is the best BM25 score per word of the issue, ``word_lead`` the best score over
    the fifth best (1 is no lead).
    """
    asked = {word: min(n, MAX_REPEATS) for word, n in Counter(_PART.findall(text)).items()}
    query: Counter[str] = Counter()
    for word, count in asked.items():
        if len(word) > 2:
            query[word.lower()] += count
    scores = sorted(_scores(graph, query), reverse=True)
    if not scores or scores[0] <= 0:
        return {"word_match": 0.0, "word_lead": 1.0}
    fifth = scores[min(4, len(scores) - 1)]
    lead = scores[0] / fifth if fifth > 0 else 5.0
    return {
        "word_match": round(scores[0] / sum(query.values()), 6),
        "word_lead": round(min(5.0, lead), 6),
    }


def _scores(graph: CodeGraph, query: Counter[str]) -> list[float]:
    documents = _documents(graph)
    count = len(documents)
    if not count:
        return []
    mean = sum(sum(one.values()) for one in documents) / count or 1.0
    found = Counter(word for one in documents for word in one.keys() & query.keys())
    rare = {
        word: query[word] * math.log(1 + (count - n + 0.5) / (n + 0.5))
        for word, n in sorted(found.items())
    }
    scores = []
    for one in documents:
        norm = K1 * (1 - B + B * sum(one.values()) / mean)
        hits = (rare[w] * one[w] * (K1 + 1) / (one[w] + norm) for w in rare if w in one)
        scores.append(math.fsum(hits))
    return scores


@lru_cache(maxsize=1)
def _documents(graph: CodeGraph) -> list[Counter[str]]:
    """Words of each source file: its path and what it defines."""
    return [
        Counter([
            *word_parts(path),
            *(w for one in facts.definitions for w in word_parts(one.name.rpartition(".")[2])),
        ])
        for path, facts in graph.facts.items()
        if not graph.is_test(path)
    ]  # fmt: skip
