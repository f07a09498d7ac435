"""What a terminal is given: text that it shows, and nothing that it obeys.

File names, model answers and errors of providers are other people's; a terminal takes orders from
whatever is written to it (colours, titles, the clipboard, the direction of text).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich import console
from rich.segment import Segment

_ORDERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""C0 and C1 but for tab and newline, marks and overrides of direction, half surrogate pairs."""


def visible(text: str) -> str:
    r"""The text with every control character written out, as ``\x1b`` is."""
    return _ORDERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Console(console.Console):
    """Rich's console; what it is given to show is shown, its own colours are kept."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(_shown(buffer))


def _shown(buffer: Iterable[Segment]) -> Iterable[Segment]:
    for one in buffer:
        yield one if one.control else Segment(visible(one.text), one.style)
