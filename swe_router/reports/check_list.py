"""What ``doctor`` shows: one row per check."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from swe_router.reports.view_parts import View

STATUS_COLOURS = {"ok": "green", "warning": "yellow", "no": "red"}
STATUS_LABELS = {"warning": "warn"}


def checks_view(checks: Iterable[tuple[str, str, str]]) -> View:
    """``checks``: (``ok``, ``warning`` or ``no``; name; detail) each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for level, name, detail in checks:
        table.add_row(Text(STATUS_LABELS.get(level, level), STATUS_COLOURS[level]), name, detail)
    return table
