"""A table where the terminal has room for its figures, else a block a row: no figure is cut."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDEST = 10_000
"""Columns of a terminal in which every table has room: what a table needs is measured there."""


class Fitted:
    """The table as it is, if its columns that must not be wrapped have room."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for column in self._table.columns:
            if column.no_wrap:  # rich measures these by their longest word
                texts = [column.header, *column.cells]
                column.min_width = max(cell_len(str(one)) for one in texts)
        needed = Measurement.get(console, options.update(width=WIDEST), self._table).minimum
        if needed <= options.max_width:
            yield self._table
        else:
            yield from self._blocks()

    def _blocks(self) -> Iterator[RenderableType]:
        first, *others = self._table.columns
        for cells in zip(first.cells, *(column.cells for column in others), strict=True):
            name, *values = [one if isinstance(one, Text) else Text(str(one)) for one in cells]
            told = [
                Text.assemble(f"{column.header} ", value)
                for column, value in zip(others, values, strict=True)
                if value
            ]
            yield Text(name.plain, style="bold", no_wrap=True, overflow="ignore")
            yield Padding(Text(", ").join(told), (0, 0, 0, 2))
