"""Wilson's interval by another way than the product's."""

from __future__ import annotations

import math

Z = 1.959963984540054


def by_bisection(k: int, n: int, upward: bool) -> float:
    """The rate at which the score test of k in n is just not rejected."""
    inside, outside = k / n, 1.0 if upward else 0.0
    for _ in range(200):
        middle = (inside + outside) / 2
        spread = math.sqrt(middle * (1 - middle) / n)
        far = spread == 0 or abs(k / n - middle) / spread > Z
        inside, outside = (inside, middle) if far else (middle, outside)
    return inside
