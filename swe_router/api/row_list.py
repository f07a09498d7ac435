"""Rows as plain values, with a short look in a notebook and a way to pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from swe_router.errors import MissingExtra
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import pandas
else:
    pandas = deferred_module("pandas")

MAX_ROWS = 20
"""Rows that a notebook shows; a data frame holds all."""
MAX_CELL = 80
"""Letters of a cell that a notebook shows."""


class RowList(list[dict[str, Any]]):
    """A list of dicts with the same keys; each value is what JSON holds."""

    def __repr__(self) -> str:
        """The number of rows and the columns; print a single row to see its values."""
        return f"<{_count(self)}: {', '.join(self[0])}>" if self else "<0 rows>"

    def _repr_html_(self) -> str:
        """The first rows as a table of text: no script, no link, no style."""
        return html_table(self)

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with one row per dict. Raises ``MissingExtra`` without pandas."""
        return data_frame(self)


def data_frame(rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Rows as a data frame. Raises ``MissingExtra``, with the pip command, without pandas."""
    try:
        make = pandas.DataFrame
    except ModuleNotFoundError as error:
        raise MissingExtra("pandas", "pandas") from error
    return make(list(rows))


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """At most ``MAX_ROWS`` rows as an HTML table; every text of others is escaped and cut."""
    if not rows:
        return "<p>0 rows</p>"
    head = _line("th", rows[0])
    body = "".join(_line("td", row.values()) for row in rows[:MAX_ROWS])
    more = f"<p>the first {MAX_ROWS} of {_count(rows)}</p>" if len(rows) > MAX_ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{more}"


def _line(tag: str, cells: Iterable[Any]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(_text(one))}</{tag}>' for one in cells)}</tr>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def _count(rows: Sequence[Any]) -> str:
    return f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}"
