"""Graph of a commit against the raw tree-sitter parse of the same files, and the next commit.

Usage: python benchmarks/graph_speed.py REPO COMMIT [NEXT_COMMIT]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from swe_router.codegraph.facts import MAX_BYTES
from swe_router.codegraph.grammar import grammar_of, tools
from swe_router.codegraph.graph import Graph, build
from swe_router.codegraph.objects import Objects
from swe_router.codegraph.store import FactStore


def raw_parse(repo: Path, commit: str) -> tuple[int, float]:
    """Files, and seconds that tree-sitter alone takes on them, bytes already in memory."""
    objects = Objects(repo)
    entries = [e for e in objects.tree(commit) if grammar_of(e.path) and e.mode.startswith("100")]
    entries = [e for e in entries if e.size <= MAX_BYTES]
    grammars = {e.sha: grammar_of(e.path) for e in entries}
    contents = list(objects.blobs(grammars))
    start = time.perf_counter()
    for sha, content in contents:
        grammar = grammars[sha]
        assert grammar is not None
        tools(grammar).parser.parse(content)
    return len(entries), time.perf_counter() - start


def timed(repo: Path, commit: str, store: FactStore) -> tuple[Graph, float]:
    """The graph, and seconds that it took: reading, parsing, resolution, networkx."""
    start = time.perf_counter()
    graph = build(repo, commit, store)
    return graph, time.perf_counter() - start


def main() -> None:
    """Print figures for one or two commits."""
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    repo, commits = Path(sys.argv[1]), sys.argv[2:]
    files, raw = raw_parse(repo, commits[0])
    print(f"{files} files, raw parse {raw:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        store = FactStore(Path(folder) / "facts.sqlite")
        graph, first = timed(repo, commits[0], store)
        print(f"whole graph    {first:.2f} s = {first / raw:.2f} x raw parse")
        if len(commits) == 2:
            graph, second = timed(repo, commits[1], store)
            print(
                f"next commit    {second:.2f} s = {second / first:.2f} x the whole graph, "
                f"{second / raw:.2f} x raw parse"
            )
    for what, kinds in graph.counts().items():
        print(what, " ".join(f"{kind}={number}" for kind, number in kinds.items()))
    print("skipped", graph.skipped)


if __name__ == "__main__":
    main()
