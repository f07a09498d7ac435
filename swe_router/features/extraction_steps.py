"""``Instance``, graph and past to ``Features``: pure, deterministic, each value with its source."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from swe_router.codegraph.commits import PastCommit
from swe_router.codegraph.file_facts import VERSION as FACTS
from swe_router.codegraph.graph import CodeGraph
from swe_router.estimates.complexity.score import ComplexityScore, complexity_score, model_version
from swe_router.features.graph_walk import seed_weights
from swe_router.features.issue_text import MAX_CHARACTERS, find_mentions, text_features
from swe_router.features.past_changes import history_features
from swe_router.features.predicted_region import REGION, ranked_files, region_features
from swe_router.features.word_overlap import word_features
from swe_router.records import Features, Instance, digest_of
from swe_router.records.known_features import require_values

VERSION = "features/2"
"""Changes whenever the same input would give other values; see ``version`` for the score."""
COMPLEXITY = "complexity"


def extract_features(
    instance: Instance,
    graph: CodeGraph | None,
    past: Sequence[PastCommit] = (),
    *,
    scored: bool = True,
) -> Features:
    """What is known of an instance before anything is spent on it.

    ``past`` are ancestors of the base commit (``codegraph.history.past``). Without a graph only
    the issue text speaks. ``scored`` adds the complexity, whose provenance is the widest of what
    it is made from.
    """
    sources = {"issue": text_features(instance.problem)}
    if graph is not None:
        named, text = find_mentions(instance.problem), instance.problem[:MAX_CHARACTERS]
        weights = seed_weights(graph, named)
        rank = ranked_files(graph, weights)
        sources["repo"] = {
            **region_features(graph, named, weights, rank),
            **word_features(graph, text),
        }
        sources["history"] = history_features(past, text, dict(rank[:REGION]))
    values = {
        name: value if math.isfinite(value) else 0.0
        for found in sources.values()
        for name, value in found.items()
    }
    bare = Features(
        instance_id=instance.id,
        repo=instance.repo,
        text=instance.problem,
        values=values,
        provenance={name: source for source, found in sources.items() for name in found},
        version=VERSION,
    )
    return with_score(bare) if scored else bare


def with_score(features: Features) -> Features:
    """The same features with their complexity."""
    values = {k: v for k, v in require_values(features).items() if k != COMPLEXITY}
    used = {features.provenance.get(name, "issue") for name in values}
    widest = next((one for one in ("history", "repo") if one in used), "issue")
    return features.model_copy(
        update={
            "version": features_version(),
            "values": {**values, COMPLEXITY: complexity_of(values, features.repo)},
            "provenance": {**features.provenance, COMPLEXITY: widest},
        }
    )


def features_version() -> str:
    """Version of scored features: that of the values, and of the model that scores them."""
    return f"{VERSION}+{model_version()}"


def complexity_of(values: Mapping[str, float], repo: str) -> float:
    """The complexity that these values of an issue of ``repo`` give; for replay."""
    return complexity_score(values, repo).complexity


def score_of(features: Features) -> ComplexityScore:
    """The complexity of an issue with what moved it."""
    return complexity_score(require_values(features), features.repo)


def input_key(instance: Instance) -> str:
    """SHA-256 that names what features are made from, and the code that makes them."""
    text = hashlib.sha256(instance.problem.encode("utf-8", "surrogatepass")).hexdigest()
    return digest_of([text, instance.repo, instance.base_commit, VERSION, FACTS])
