"""PageRank of a few thousand files: the power iteration of networkx, step for step.

Its own takes longer to be imported, with NumPy and SciPy, than a repository's files take here.
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_ROUNDS = 100


def pagerank(
    links: Mapping[str, Mapping[str, float]],
    *,
    damping: float = 0.85,
    restart: Mapping[str, float] | None = None,
    tolerance: float = 1e-6,
) -> dict[str, float]:
    """Share of each node in a random walk that follows ``links`` by their weights.

    ``links`` has every node as a key. With 1 - ``damping`` the walk begins anew, at the nodes of
    ``restart`` by their weights (each weight > 0, nodes of the graph) or anywhere. It ends when a
    round moves less than ``tolerance`` a node, or after 100 rounds.
    """
    names = list(links)
    place = {name: number for number, name in enumerate(names)}
    begin = [1.0 / len(names)] * len(names)
    if restart:
        total = sum(restart.values())
        begin = [restart.get(name, 0.0) / total for name in names]
    rows = []
    for name in names:
        scale = sum(links[name].values())
        rows.append([(place[to], 1.0 / scale * weight) for to, weight in links[name].items()])
    ends = [number for number, row in enumerate(rows) if not row]
    share = [1.0 / len(names)] * len(names)
    for _ in range(MAX_ROUNDS):
        came = [0.0] * len(names)
        for mine, row in zip(share, rows, strict=True):
            for number, weight in row:
                came[number] += weight * mine
        lost = sum(share[number] for number in ends)
        before, share = (
            share,
            [
                damping * (one + lost * home) + (1 - damping) * home
                for one, home in zip(came, begin, strict=True)
            ],
        )
        if sum(map(abs, map(float.__sub__, share, before))) < len(names) * tolerance:
            break
    return dict(zip(names, share, strict=True))
