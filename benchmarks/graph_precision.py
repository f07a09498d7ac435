"""Precision of call and import edges on a sample that was labelled by reading the code.

Usage: python benchmarks/graph_precision.py FOLDER

FOLDER holds bare repositories ``OWNER+NAME/repo`` or ``OWNER__NAME.git``. ``graph_labels.csv``
has names and positions only. Of each repository in FOLDER it prints how many labelled edges are
still found, and the share of right ones among them.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

from swe_router.codegraph.graph import build_graph

LABELS = Path(__file__).with_name("graph_labels.csv")


def main() -> None:
    """Print a line for each repository and kind of edge."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with LABELS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for repo, commit in sorted({(row["repository"], row["commit"]) for row in rows}):
        places = [repo.replace("/", "+") + "/repo", repo.replace("/", "__") + ".git"]
        found = [Path(sys.argv[1]) / one for one in places if (Path(sys.argv[1]) / one).is_dir()]
        if not found:
            print(f"{repo}: not in {sys.argv[1]}")
            continue
        edges = {(a, b, k) for a, b, k in build_graph(found[0], commit).nx.edges(data="kind")}
        seen: Counter[tuple[str, bool, bool]] = Counter()
        for row in rows:
            if row["repository"] == repo:
                source, kind = row["source"], row["kind"]
                ends = (source, f"module:{source}")
                there = any((end, row["target"], kind) in edges for end in ends)
                seen[kind, there, row["right"] == "1"] += 1
        for kind in ("call", "import"):
            right, wrong = seen[kind, True, True], seen[kind, True, False]
            lost = seen[kind, False, True]
            print(f"{repo} {kind}: {right} of {right + wrong} right, {lost} right ones lost")


if __name__ == "__main__":
    main()
