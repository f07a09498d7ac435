"""Which pairs are compared: a ring, then everybody with the best of it, until the best is settled.

The probabilistic pivot tournament of arXiv 2607.05391: N + k(N - k) + k(k - 1)/2 comparisons in the
place of all pairs. No pair is compared twice (each comparison is asked in both orders), and what
cannot change the best any more is not asked.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

Pair = tuple[str, str]
Compare = Callable[[str, str], float | None]
"""Two entrants -> the probability that the first is better; None where it cannot be known."""
MIN_WIN, MAX_WIN = 1 / (1 + math.e), math.e / (1 + math.e)
"""What one comparison of ratings between 0 and 1 can come to: see ``win_probability``."""


def win_probability(mine: float, theirs: float) -> float:
    """P(the first is better) by Bradley and Terry, of two ratings between 0 and 1."""
    return 1 / (1 + math.exp(theirs - mine))


@dataclass
class Standing:
    """What the comparisons of one entrant come to."""

    wins: float = 0.0
    """Sum of the probabilities."""
    compared: int = 0

    @property
    def mean(self) -> float:
        """Mean preference; even odds before any comparison."""
        return self.wins / self.compared if self.compared else 0.5


@dataclass
class Played:
    """A tournament, as far as it went."""

    standings: dict[str, Standing]
    compared: list[Pair] = field(default_factory=list)
    planned: int = 0
    settled_early: bool = False

    @property
    def best(self) -> str:
        """The entrant of the highest mean preference; of equals the first by name."""
        return min(self.standings, key=lambda name: (-self.standings[name].mean, name))


def ring(entrants: Sequence[str], seed: str) -> list[Pair]:
    """Neighbours on a circle in an order drawn by the seed; each pair once."""
    order = sorted(entrants)
    # No secret: the same tournament is drawn again by a resume and a replay.
    random.Random(seed).shuffle(order)  # noqa: S311
    if len(order) < 3:
        return [(order[0], order[1])] if len(order) == 2 else []
    return [(one, order[(n + 1) % len(order)]) for n, one in enumerate(order)]


def pivot_pairs(standings: dict[str, Standing], pivots: int, known: Sequence[Pair]) -> list[Pair]:
    """Pivots with each other, then all others with them; those that were compared are left out."""
    order = sorted(standings, key=lambda name: (-standings[name].mean, name))
    best, rest = order[:pivots], order[pivots:]
    pairs = [*combinations(best, 2), *((one, pivot) for one in rest for pivot in best)]
    seen = {frozenset(pair) for pair in known}
    return [pair for pair in pairs if frozenset(pair) not in seen]


def play(
    entrants: Sequence[str], compare: Compare, *, pivots: int, seed: str, stop: bool = True
) -> Played:
    """Compare by the plan; errors of ``compare`` end it.

    ``stop``: end once the best is settled.
    """
    played = Played({name: Standing() for name in sorted(entrants)})
    first = ring(entrants, seed)
    played.planned = len(first)
    for pair in first:
        _compare(played, pair, compare)
    pairs = pivot_pairs(played.standings, pivots, first)
    played.planned += len(pairs)
    for number, pair in enumerate(pairs):
        if stop and is_settled(played.standings, pairs[number:]):
            played.settled_early = True
            break
        _compare(played, pair, compare)
    return played


def is_settled(standings: dict[str, Standing], left: Sequence[Pair]) -> bool:
    """Whether the best stays the best, whatever the comparisons that are left come to."""
    counts = {name: sum(name in pair for pair in left) for name in standings}
    leader = min(standings, key=lambda name: (-standings[name].mean, name))

    def bound(name: str, each: float) -> float:
        one = standings[name]
        compared = one.compared + counts[name]
        return (one.wins + each * counts[name]) / compared if compared else 0.5

    floor = bound(leader, MIN_WIN)
    return all(bound(name, MAX_WIN) < floor for name in standings if name != leader)


def _compare(played: Played, pair: Pair, compare: Compare) -> None:
    chance = compare(*pair)
    played.compared.append(pair)
    if chance is None:
        return
    for name, won in zip(pair, (chance, 1 - chance), strict=True):
        played.standings[name].wins += won
        played.standings[name].compared += 1
