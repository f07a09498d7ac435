"""Where labels of points go so that no two lie over each other: greedy, in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def within(self, other: Box) -> bool:
        """Whether this lies inside the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


def placed(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    dots: Sequence[tuple[float, float]] = (),
    taken: Sequence[Box] = (),
    reach: float = 130.0,
) -> list[Box | None]:
    """A box of each size near its point, inside ``frame`` and clear of ``dots`` and ``taken``.

    The first points choose first; None where nothing within ``reach`` pixels is free.
    """
    used = [*taken, *(Box(x - 5, y - 5, x + 5, y + 5) for x, y in (*dots, *points))]
    out: list[Box | None] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        found = None
        for box in _around(x, y, width, height, reach):
            if box.within(frame) and not any(box.meets(other) for other in used):
                found = box
                used.append(box)
                break
        out.append(found)
    return out


def _around(x: float, y: float, width: float, height: float, reach: float) -> list[Box]:
    """Candidates by growing distance: right, above, below, left, and what lies between."""
    boxes = []
    for step in range(int(reach // 12)):
        away = 9 + 12 * step
        for turn in (0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180):
            angle = math.radians(turn)
            cx = x + math.cos(angle) * (away + width / 2)
            cy = y + math.sin(angle) * (away + height / 2)
            boxes.append(Box(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2))
    return boxes
