"""Graph of a commit against the raw tree-sitter parse of the same bytes, and the next commit.

Usage: python benchmarks/graph_speed.py REPO COMMIT [NEXT_COMMIT]

All in one process: raw parses stand before and after the build, so that a busy machine shows.
"cpu" counts this process and the git processes it starts, and compares better than the wall
where other work runs. The graph is read, parsed, linked and made a networkx graph. The last
line builds the next commit from the fact store alone, as another process would.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from swe_router.codegraph.fact_store import FactStore
from swe_router.codegraph.file_facts import MAX_BYTES
from swe_router.codegraph.git_objects import GitObjects
from swe_router.codegraph.grammar import grammar_of, language_tools
from swe_router.codegraph.graph import build_graph

T = TypeVar("T")


class Took(NamedTuple):
    """Seconds."""

    cpu: float
    wall: float

    def over(self, other: Took) -> str:
        return f"{self.cpu / other.cpu:.2f} x (wall {self.wall / other.wall:.2f} x)"

    def __str__(self) -> str:
        return f"cpu {self.cpu:5.2f} s, wall {self.wall:5.2f} s"


def took(work: Callable[[], T]) -> tuple[T, Took]:
    gc.collect()
    before, start = os.times(), time.perf_counter()
    outcome = work()
    wall, after = time.perf_counter() - start, os.times()
    return outcome, Took(sum(after[:4]) - sum(before[:4]), wall)


def sources(repo: Path, commit: str) -> tuple[int, list[tuple[str, bytes]]]:
    """Number of source files, and the distinct contents with a path of each."""
    objects = GitObjects(repo)
    entries = [e for e in objects.tree(commit) if grammar_of(e.path) and e.mode.startswith("100")]
    entries = [e for e in entries if e.size <= MAX_BYTES]
    paths = {e.sha: e.path for e in entries}
    return len(entries), [(paths[sha], content) for sha, content in objects.blobs(paths)]


def parse(contents: list[tuple[str, bytes]]) -> None:
    """What tree-sitter alone does, bytes already in memory."""
    for path, content in contents:
        grammar = grammar_of(path)
        reading = language_tools(grammar) if grammar is not None else None
        if reading is not None:
            reading.parser.parse(content)


def main() -> None:
    """Print figures for one or two commits."""
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    repo, commits = Path(sys.argv[1]), sys.argv[2:]
    files, contents = sources(repo, commits[0])
    parse(contents[:50])
    size = sum(len(content) for _, content in contents)
    _, raw = took(lambda: parse(contents))
    print(f"{files} files, {len(contents)} distinct, {size / 1e6:.1f} MB")
    print(f"raw parse    {raw}")
    with tempfile.TemporaryDirectory() as folder:
        store = FactStore(Path(folder) / "facts.sqlite")
        graph, first = took(lambda: build_graph(repo, commits[0], store))
        _, again = took(lambda: parse(contents))
        mean = Took((raw.cpu + again.cpu) / 2, (raw.wall + again.wall) / 2)
        print(f"raw again    {again}")
        print(f"whole graph  {first} = {first.over(mean)} raw parse")
        if len(commits) == 2:
            graph, second = took(lambda: build_graph(repo, commits[1], store))
            print(f"next commit  {second} = {second.over(first)} whole graph")
            print(f"             {graph.links.relinked} files linked again")
            alias = Path(folder) / "other.sqlite"
            alias.write_bytes(store.path.read_bytes())
            _, third = took(lambda: build_graph(repo, commits[1], FactStore(alias)))
            print(f"store alone  {third} = {third.over(first)} whole graph")
    for what, kinds in graph.counts().items():
        print(what, " ".join(f"{kind}={number}" for kind, number in kinds.items()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("skipped", graph.skipped, f"\npeak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
