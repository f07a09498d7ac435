"""What every picture shares: arms of intervals, and PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.figure import Figure


def arms(middle: float, low: float | None, high: float | None) -> list[list[float]]:
    """Lengths of one interval's two arms, as ``errorbar`` takes them; never below 0.

    An end that is unknown has no arm. The interval of a rate of 0 (or 1) may lie a rounding error
    beside it.
    """
    return [
        [0.0 if low is None else max(0.0, middle - low)],
        [0.0 if high is None else max(0.0, high - middle)],
    ]


@contextmanager
def literal() -> Iterator[None]:
    """Text as it stands: a name with two dollar signs is a name, no formula."""
    with rc_context({"text.parse_math": False}):
        yield


def png(figure: Figure) -> bytes:
    """The picture as bytes; without metadata, so that the same facts give the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
