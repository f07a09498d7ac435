"""What a command shows: a view, and the small parts that most views are made of."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

View = RenderableType
"""Anything that a terminal of ``terminal.Console`` shows."""


def text_view(text: str, *, bold: bool = False) -> View:
    """Plain text; a newline begins a line."""
    return Text(text, "bold" if bold else "")


def lines_view(first: str, lines: Iterable[str], style: str) -> View:
    """A bold first line, then each line in ``style`` (a color)."""
    return Group(Text(first, "bold"), *(Text(line, style) for line in lines))


def stacked_views(*views: View) -> View:
    """One below the other."""
    return Group(*views)


def folding_table(*columns: str) -> Table:
    """A table without lines whose cells wrap."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
