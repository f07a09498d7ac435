"""Who meets whom when the winners go on: a single-elimination bracket, drawn by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence


def matches(
    entrants: Sequence[str], seed: str, winner: Callable[[str, str], str]
) -> Iterator[tuple[str, str, str]]:
    """Each match as (one, other, winner), round by round; who has no opponent goes on.

    ``winner`` is asked as the matches are taken, so that the caller may stop between two.
    """
    order = sorted(entrants)
    # No secret: the same bracket is drawn again by a resume and a replay.
    random.Random(seed).shuffle(order)  # noqa: S311
    while len(order) > 1:
        ahead = []
        for one, other in zip(order[::2], order[1::2], strict=False):
            won = winner(one, other)
            yield one, other, won
            ahead.append(won)
        order = ahead + order[len(order) - len(order) % 2 :]
