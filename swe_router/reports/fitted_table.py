"""A table where the terminal has room for its figures, else one block per row: no figure is cut."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

UNLIMITED_COLUMNS = 10_000
"""Columns of a terminal in which every table has room: what a table needs is measured there."""

MAX_INLINE_CHARACTERS = 40
"""Characters of a cell over which the cells of a block stand on lines of their own."""


class FittedTable:
    """The first of some tables whose columns that must not be wrapped have room; else blocks."""

    def __init__(self, table: Table, *narrower: Table) -> None:
        self._tables = (table, *narrower)
        self._table = self._tables[-1]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in self._tables:
            for column in table.columns:
                if column.no_wrap:  # rich measures these by their longest word
                    texts = [column.header, *column.cells]
                    column.min_width = max(cell_len(str(one)) for one in texts)
            needed = Measurement.get(
                console, options.update(width=UNLIMITED_COLUMNS), table
            ).minimum
            if needed <= options.max_width:
                yield table
                return
        yield from self._rows_as_blocks()

    def _rows_as_blocks(self) -> Iterator[RenderableType]:
        first, *others = self._table.columns
        for cells in zip(first.cells, *(column.cells for column in others), strict=True):
            name, *values = [one if isinstance(one, Text) else Text(str(one)) for one in cells]
            sentences = any(value.cell_len > MAX_INLINE_CHARACTERS for value in values)
            cells_shown = [
                Text.assemble(f"{_single_line(column.header)}{':' if sentences else ''} ", value)
                for column, value in zip(others, values, strict=True)
                if value
            ]
            yield Text(name.plain, style="bold", no_wrap=True, overflow="ignore")
            if cells_shown:
                yield Padding(Text("\n" if sentences else ", ").join(cells_shown), (0, 0, 0, 2))


def _single_line(header: RenderableType) -> str:
    """A head of several lines in one."""
    return " ".join(str(header).split())
