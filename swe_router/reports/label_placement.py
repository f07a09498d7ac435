"""Labels of points, placed by adjustText without overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from adjustText import adjust_text
from matplotlib.text import Text
from matplotlib.transforms import Bbox

ADJUST_TEXT_OPTIONS = {
    "iter_lim": 120, "expand": (1.4, 1.8), "force_text": (1.0, 1.2), "force_static": (0.8, 1.0),
    "force_pull": (0.02, 0.02), "force_explode": (0.5, 1.0), "max_move": (15, 15),
}  # fmt: skip
"""How texts are moved. Turns, not seconds, so that the same facts give the same picture."""
MIN_LEADER_PIXELS = 4.0
"""Pixels between a point and its label from which a line joins them."""


def place_labels(
    axes: Any,
    texts: Sequence[Text],
    points: Sequence[tuple[float, float]] = (),
    obstacles: Sequence[Any] = (),
) -> list[Text]:
    """Move texts off the points that they stand on, and join each to its own by a line.

    Args:
        axes: Drawn once, and not resized any more.
        texts: In data coordinates, at their points, of which the first are kept first.
        dots: Further points to keep clear of, in data coordinates.
        taken: Artists that hold places already, as texts placed before and the legend.

    Returns the texts that found a place inside the axes, clear of those before; others are removed.
    """
    if not texts:
        return []
    renderer = axes.figure.canvas.get_renderer()
    spots = [axes.transData.transform(text.get_position()) for text in texts]
    if len(texts) + len(obstacles) + len(points) > 1:
        clear = np.reshape(np.asarray(points, dtype=float), (-1, 2))
        adjust_text(
            list(texts),
            clear[:, 0],
            clear[:, 1],
            objects=list(obstacles) or None,
            ax=axes,
            **ADJUST_TEXT_OPTIONS,
        )
    frame = axes.get_window_extent(renderer)
    used = [artist.get_window_extent(renderer) for artist in obstacles]
    placed = []
    for text, spot in zip(texts, spots, strict=True):
        rectangle = text.get_window_extent(renderer)
        inside = (
            frame.x0 <= rectangle.x0
            and rectangle.x1 <= frame.x1
            and frame.y0 <= rectangle.y0 <= frame.y1 - 1
        )
        if not inside or any(_overlap(rectangle, other) for other in used):
            text.remove()
            continue
        used.append(rectangle)
        placed.append(text)
        _draw_leader(axes, text, spot, rectangle)
    return placed


def _overlap(one: Bbox, other: Bbox) -> bool:
    """Whether two rectangles share any area; matplotlib's ``overlaps`` counts a shared edge."""
    return bool(one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


def _draw_leader(axes: Any, text: Text, point: Sequence[float], rectangle: Bbox) -> None:
    near = (
        min(max(point[0], rectangle.x0), rectangle.x1),
        min(max(point[1], rectangle.y0), rectangle.y1),
    )
    if np.hypot(near[0] - point[0], near[1] - point[1]) < MIN_LEADER_PIXELS:
        return
    axes.annotate(
        "", xy=point, xytext=near, xycoords="figure pixels", textcoords="figure pixels",
        arrowprops={"arrowstyle": "-", "lw": 0.5, "color": text.get_color(), "alpha": 0.7,
                    "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
