"""A rating on the scale A (best) to T (worst), read from the probabilities of one token.

Letters, since numbers of two digits are two tokens; the mean over the probabilities, since the
likeliest letter alone ties too often (arXiv 2607.05391). The text of the answer is never read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

LETTERS = "ABCDEFGHIJKLMNOPQRST"
MAX_TOP_LOGPROBS = len(LETTERS)
MIN_LETTER_MASS = 0.02
"""Probability of all letters together under which a rating says nothing."""
KEPT_DIGITS = 6


def letter_probabilities(top: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Letter -> probability, of one token's likeliest others; white space around it is of none."""
    found: dict[str, float] = {}
    for token, logprob in dict(top).items():
        letter = token.strip()
        if len(letter) == 1 and letter in LETTERS:
            found[letter] = found.get(letter, 0.0) + math.exp(min(0.0, logprob))
    rounded = {letter: round(found[letter], KEPT_DIGITS) for letter in LETTERS if letter in found}
    return {letter: p for letter, p in rounded.items() if p > 0}


def expected_rating(probabilities: Mapping[str, float]) -> float | None:
    """The mean rating, 0 (T) to 1 (A); None where the letters have next to no probability."""
    whole = math.fsum(probabilities.values())
    if whole < MIN_LETTER_MASS:
        return None
    last = len(LETTERS) - 1
    return (
        math.fsum(p * (last - LETTERS.index(letter)) / last for letter, p in probabilities.items())
        / whole
    )
