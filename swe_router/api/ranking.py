"""``leaderboard``: the command ``swe-router leaderboard`` as a function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import plain_values
from swe_router.api.driving import Progress, silent
from swe_router.api.row_list import RowList, html_table
from swe_router.api.run_view import Run
from swe_router.lazy_imports import deferred_module
from swe_router.settings.amounts import dollars

if TYPE_CHECKING:
    import pandas

    from swe_router.commands import leaderboard as leaderboard_command
else:
    leaderboard_command = deferred_module("swe_router.commands.leaderboard")

SHOWN = ("policy", "rate", "usd_per_issue", "hull_margin_pp", "verdict")
"""Columns of a row that a notebook shows."""


class Leaderboard:
    """Policies over recorded outcomes; ``facts`` is what the command prints with ``--json``."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts: dict[str, Any] = json.loads(plain_values.json_text(facts))

    @property
    def rows(self) -> RowList:
        """One row per policy or oracle, the best margin over blind mixes first."""
        return RowList(self.facts["rows"])

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a data frame. Raises ``MissingExtra`` without pandas."""
        return self.rows.to_pandas()

    def __repr__(self) -> str:
        """The board in one line."""
        return f"<Leaderboard {self._line()}>"

    def _repr_html_(self) -> str:
        """The line and the first rows, as inert text."""
        rows = [{key: row.get(key) for key in SHOWN} for row in self.rows]
        return f"<p>{escape(self._line())}</p>{html_table(rows)}"

    def _line(self) -> str:
        ladder = ", ".join(rung["system"] for rung in self.facts["ladder"])
        return f"{len(self.facts['rows'])} rows over {self.facts['n']} issues; ladder: {ladder}"


def leaderboard(
    runs: Iterable[str | Path | Run] = (),
    *,
    outcomes: str | Path | None = None,
    split: str | None = None,
    features: str | Path | None = None,
    weak: str = "",
    strong: str = "",
    models: Iterable[str] = (),
    verifier: str = "hybrid",
    budget: Decimal | float | str | None = None,
    policies: Iterable[str] = (),
    bootstraps: int = 10_000,
    seed: int = 0,
    out: str | Path | None = None,
    runs_in: str | Path = "runs",
    progress: Progress | None = None,
) -> Leaderboard:
    """Compare routing policies on recorded outcomes, as ``swe-router leaderboard`` does.

    The outcomes are those of graded ``runs`` (names, paths or ``Run``), of a table
    (``outcomes``), else of the table that ships. ``split`` or ``features`` tell of the issues;
    ``weak``, ``strong`` or ``models`` name the ladder; ``budget`` is a hard cap in USD for all
    issues together; ``out`` is a folder for the board's files. Raises ``UsageError``.

    >>> import swe_router
    >>> board = swe_router.leaderboard(policies=["fixed"], bootstraps=200)
    >>> [(row["policy"], row["rate"]) for row in board.rows if row["kind"] == "oracle"]
    [('oracle-abandon', 0.5), ('oracle', 0.5)]
    """
    wish = leaderboard_command.LeaderboardRequest(
        runs=[str(one.path) if isinstance(one, Run) else str(one) for one in _several(runs)],
        runs_in=Path(runs_in),
        outcome_table_path=None if outcomes is None else Path(outcomes),
        split=split,
        features_file=None if features is None else Path(features),
        weak=weak,
        strong=strong,
        systems=tuple(_several(models)),
        verifier_rates=verifier,
        budget=dollars(budget, "budget"),
        policies=tuple(_several(policies)),
        bootstraps=bootstraps,
        seed=seed,
        output_folder=None if out is None else Path(out),
    )
    return Leaderboard(leaderboard_command.leaderboard(wish, progress or silent).facts)


def _several(given: Any) -> list[Any]:
    """A single name means a list of one."""
    return [given] if isinstance(given, str | Path | Run) else list(given)
