"""What a terminal is given: text that it shows, and nothing that it obeys.

File names, model answers and errors of providers are other people's; a terminal takes orders from
whatever is written to it (colours, titles, the clipboard, the direction of text).
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich import console
from rich.segment import Segment

_CONTROL_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""C0 and C1 but for tab and newline, marks and overrides of direction, half surrogate pairs."""


def escaped_controls(text: str) -> str:
    r"""The text with every control character written out, as ``\x1b`` is."""
    return _CONTROL_CHARACTERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_message(line: str) -> None:
    """One line on stderr. Its reader may have gone: that ends no work."""
    if sys.stderr is None:  # print would take stdout
        return
    try:
        print(escaped_controls(line), file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        _discard_stderr(error)


def _discard_stderr(error: Exception) -> None:
    """Send later messages nowhere: stderr has no reader. A full disk may have room again.

    Else the interpreter would meet the same error when it ends, and end with a code of its own.
    """
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Console(console.Console):
    """Rich's console; what it is given to show is shown, its own colours are kept.

    An error of writing to stderr is ignored: a run goes on when its terminal, or the
    reader of its log, is gone. In a notebook it draws text, as anywhere: Rich would show each use
    of it as an output of the cell, an empty one for text that is only captured.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"force_jupyter": False, **options})

    def on_broken_pipe(self) -> None:
        """As any error of writing."""
        raise BrokenPipeError

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            if not self.stderr:
                raise
            del self._buffer[:]
            _discard_stderr(error)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(_escaped_segments(buffer))


def _escaped_segments(buffer: Iterable[Segment]) -> Iterable[Segment]:
    for one in buffer:
        yield one if one.control else Segment(escaped_controls(one.text), one.style)
