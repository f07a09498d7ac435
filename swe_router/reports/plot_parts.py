"""What every picture shares: arms of intervals, and PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def error_bar_lengths(middle: float, low: float | None, high: float | None) -> list[list[float]]:
    """Lengths of one interval's two arms, as ``errorbar`` takes them; never below 0.

    An end that is unknown has no arm. The interval of a rate of 0 (or 1) may lie a rounding error
    next to it.
    """
    return [
        [0.0 if low is None else max(0.0, middle - low)],
        [0.0 if high is None else max(0.0, high - middle)],
    ]


@contextmanager
def text_without_math() -> Iterator[None]:
    """Text as it stands: a name with two dollar signs is a name, no formula."""
    with rc_context({"text.parse_math": False}):
        yield


def freeze_layout(figure: Figure) -> None:
    """Lay the figure out, for good: what is placed by its pixels afterwards stays where it is."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def png_bytes(figure: Figure) -> bytes:
    """The picture as bytes; without metadata, so that the same facts give the same bytes.

    ``savefig`` would lay it out and draw it once more before it draws it.
    """
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return out.getvalue()
