"""How the files of a commit hang together: counted links, without the weight of networkx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class FileLinks:
    """Files and how many links lead from one into another; read only."""

    def __init__(self, files: Iterable[str], links: Mapping[tuple[str, str], int]) -> None:
        """``links``: (from, into) -> how many."""
        self._after: dict[str, dict[str, float]] = {path: {} for path in files}
        self._before: dict[str, dict[str, float]] = {path: {} for path in self._after}
        for (a, b), number in sorted(links.items()):
            self._after[a][b] = self._before[b][a] = float(number)

    @property
    def after(self) -> Mapping[str, Mapping[str, float]]:
        """File -> the files that it leads into -> number of links."""
        return self._after

    def successors(self, path: str) -> Iterable[str]:
        """Files that this one leads into, sorted. Raises ``KeyError`` for none of the files."""
        return self._after[path]

    def predecessors(self, path: str) -> Iterable[str]:
        """Files that lead into this one, sorted. Raises ``KeyError`` for none of the files."""
        return self._before[path]

    def number(self, a: str, b: str) -> float:
        """Links from one path into another; 0 where there is none, or no such file."""
        return self._after.get(a, {}).get(b, 0.0)

    def __iter__(self) -> Iterator[tuple[str, str, float]]:
        """(from, into, number), sorted."""
        for a, into in self._after.items():
            for b, number in into.items():
                yield a, b, number
