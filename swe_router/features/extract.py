"""``Instance`` and graph to ``Features``: pure, deterministic, each value with its provenance."""

from __future__ import annotations

import math

from swe_router.codegraph.graph import Graph
from swe_router.features.issue import mentions, text_features
from swe_router.features.region import region_features
from swe_router.features.score import complexity
from swe_router.records import Features, Instance

VERSION = "features/1"
"""Changes whenever the same input would give other values."""


def extract(instance: Instance, graph: Graph | None) -> Features:
    """What is known of an instance before anything is spent on it.

    Without a graph only the issue text speaks, and the provenance of ``complexity`` is ``issue``.
    """
    values = text_features(instance.problem)
    provenance = dict.fromkeys(values, "issue")
    if graph is not None:
        found = region_features(graph, mentions(instance.problem))
        values.update(found)
        provenance.update(dict.fromkeys(found, "repo"))
    values["complexity"] = complexity(values)
    provenance["complexity"] = "issue" if graph is None else "repo"
    finite = {name: value if math.isfinite(value) else 0.0 for name, value in values.items()}
    return Features(
        instance_id=instance.id,
        repo=instance.repo,
        text=instance.problem,
        values=finite,
        provenance=provenance,
        version=VERSION,
    )
