"""The walk over files says what networkx says, and needs none of it."""

from __future__ import annotations

import json
import subprocess
import sys

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.codegraph.file_links import FileLinks
from swe_router.codegraph.graph import build_graph, path_of
from swe_router.features.graph_walk import source_graph
from swe_router.features.pagerank import pagerank
from tests.unit.test_codegraph import PROJECT, commit

NAMES = [f"f{number}" for number in range(9)]
links_of = st.dictionaries(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), st.integers(1, 9)
)


@given(links_of, st.dictionaries(st.sampled_from(NAMES), st.floats(0.25, 4)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_shares_are_those_of_networkx(links, restart, far):
    theirs = nx.DiGraph()
    theirs.add_nodes_from(NAMES)
    theirs.add_weighted_edges_from((a, b, float(n)) for (a, b), n in sorted(links.items()))
    damping, tolerance = (0.5, 1e-9) if far else (0.85, 1e-6)
    ours = pagerank(
        FileLinks(NAMES, links).after, damping=damping, restart=restart, tolerance=tolerance
    )
    wanted = nx.pagerank(theirs, alpha=damping, personalization=restart or None, tol=tolerance)
    assert list(ours) == list(wanted)
    assert ours == pytest.approx(wanted, abs=1e-12)


def test_files_are_linked_as_their_parts_are_in_the_whole_graph(tmp_path):
    more = {
        "app/a.ts": "import { b } from './b'\nexport class A extends b {}\n",
        "app/b.ts": "export class b {}\n",
        "app/a.test.ts": "import { A } from './a'\nnew A()\n",
    }
    graph = build_graph(*commit(tmp_path, {**PROJECT, **more}))
    counted: dict[tuple[str, str], float] = {}
    callers: dict[str, int] = {}
    for a, b, kind in graph.nx.edges(data="kind"):
        pair = path_of(a), path_of(b)
        if kind in ("import", "call", "inherit") and pair[0] != pair[1]:
            counted[pair] = counted.get(pair, 0) + 1
        callers[b] = callers.get(b, 0) + (kind in ("call", "inherit"))
    assert counted == {(a, b): number for a, b, number in graph.file_graph}
    assert len(counted) > 4
    assert all(graph.callers[node] == number for node, number in callers.items())
    assert sum(graph.callers.values()) == sum(callers.values()) > 3
    joined = source_graph(graph)
    assert all(joined[b][a] == weight for a, near in joined.items() for b, weight in near.items())
    assert not any(graph.is_test(path) for path in joined)


FEATURES = """
import json, sys
from pathlib import Path
from swe_router.codegraph.graph import build_graph
from swe_router.features.extraction_steps import extract_features
from swe_router.records import Instance
found = extract_features(
    Instance(id="one", repo="o/n", base_commit="a" * 40, problem="Cart.total() is wrong"),
    build_graph(Path(sys.argv[1]), sys.argv[2]),
)
heads = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([found.values["seeds"], sorted(heads & {"networkx", "scipy", "numpy"})]))
"""


def test_features_of_an_issue_are_made_without_what_takes_long_to_load(tmp_path):
    folder, made = commit(tmp_path, PROJECT)
    words = [sys.executable, "-c", FEATURES, str(folder), made]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1.0, []]
