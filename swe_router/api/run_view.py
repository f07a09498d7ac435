"""A run folder as Python values: ``load_run`` and the ``Run`` that it returns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swe_router.api.driving import Progress, drive
from swe_router.api.row_list import RowList, html_table
from swe_router.commands import run_facts, show
from swe_router.errors import UsageError
from swe_router.integrity.locate import find_run
from swe_router.journal.header import header_of_run
from swe_router.journal.run_folder import LATEST_LINK, RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.records import RunRecord
from swe_router.reports.run_text import usd_text as in_usd
from swe_router.settings import Settings
from swe_router.settings.amounts import dollars

if TYPE_CHECKING:
    import pandas

    from swe_router.commands import signals
    from swe_router.commands.run import run_driver
else:
    run_driver = deferred_module("swe_router.commands.run.run_driver")
    signals = deferred_module("swe_router.commands.signals")

RETRIES = ("infra", "limit", "all")
"""What ``Run.resume`` may try again."""
TABLES = ("instances", "attempts", "verdicts", "spend")
"""What ``Run.to_pandas`` takes."""


class Run:
    """One run folder, read; it stays as it was at the first look: load it again for news.

    The figures are those of ``swe-router show RUN --json``.

    >>> import swe_router
    >>> run = swe_router.load_run("sample")
    >>> run
    <Run sample: 13 of 15 resolved, $0.1734 of $1.0000 spent, done>
    >>> run.instances[0]["instance"], run.instances[0]["standing"]
    ('demo__confet-3', 'resolved')
    >>> [row["tier"] for row in run.attempts if row["instance"] == "demo__confet-14"]
    ['local', 'cloud']
    >>> sorted({row["verifier"] for row in run.verdicts if row["outcome"] == "fail"})
    ['acceptance', 'applies', 'repo-tests', 'reproduction']
    """

    def __init__(self, folder: RunFolder, ended: str = "") -> None:
        self._folder, self._ended = folder, ended

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._folder.name

    @cached_property
    def settings(self) -> Settings:
        """The settings that the run was started with."""
        return header_of_run(self._folder).settings

    @cached_property
    def _facts(self) -> run_facts.RunFacts:
        return run_facts.read_run_facts(self._folder)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What ``swe-router show RUN --json`` prints, without its rows."""
        return {key: value for key, value in self._shown.items() if key != "rows"}

    @cached_property
    def _shown(self) -> dict[str, Any]:
        return show.summary_facts(self._folder, self._facts)

    @property
    def ended(self) -> str:
        """How it ended: ``done``, ``infra`` (work is owed), ``budget`` or ``stopped``.

        ``stopped`` is known of the run that was just driven; loaded later it is ``infra``.
        """
        return self._ended or str(self.summary["ended"])

    @property
    def records(self) -> Mapping[str, RunRecord]:
        """The whole typed record of each concluded instance, by id."""
        return self._facts.records

    @cached_property
    def instances(self) -> RowList:
        """One row per instance: its standing, the tier that solved it, USD, tokens."""
        return RowList(
            {
                "instance": row["instance"],
                "standing": row["standing"],
                "status": row["status"],
                "tier": row["tier"],
                "attempts": len(row["attempts"]),
                "chosen": row.get("chosen"),
                "usd": row["usd"],
                "seconds": row.get("seconds"),
                **_tokens(row),
                "stop": row["stop"],
            }
            for row in self._shown["rows"]
        )

    @cached_property
    def attempts(self) -> RowList:
        """One row per attempt: tier, exit, failure, steps, USD, tokens, whether accepted."""
        return RowList(
            {
                "instance": row["instance"],
                "attempt": one["id"],
                **{key: one[key] for key in ("tier", "exit", "failure", "steps", "usd", "seconds")},
                "patch": one["patch"],
                "accepted": one["accepted"],
                **_tokens(one),
            }
            for row in self._shown["rows"]
            for one in row["attempts"]
        )

    @cached_property
    def verdicts(self) -> RowList:
        """One row per verdict of a verifier on an attempt's candidate, with its evidence."""
        return RowList(
            {
                "instance": name,
                "attempt": outcome.attempt.id,
                "tier": outcome.arm.model,
                "verifier": one.verifier,
                "outcome": one.outcome,
                "score": one.score,
                "usd": float(one.usd),
                "seconds": one.seconds,
                "evidence": one.model_dump(mode="json")["evidence"],
            }
            for name, record in self.records.items()
            for outcome in record.outcomes
            for one in outcome.verdicts
        )

    @cached_property
    def spend(self) -> dict[str, Any]:
        """USD as the ledger closes them: ``settled + lost + reserved + unused == budget``.

        ``by_tier`` has attempts, USD and resolved instances per tier, and ``overhead``: calls
        outside an attempt.
        """
        keys = ("budget", "settled", "lost", "reserved", "unused", "by_tier")
        return {"spent": self.summary["usd"], **{key: self.summary[key] for key in keys}}

    def to_pandas(
        self, table: Literal["instances", "attempts", "verdicts", "spend"] = "instances"
    ) -> pandas.DataFrame:
        """A table of the run as a data frame; of ``spend``, one row per tier.

        Raises ``MissingExtra`` without pandas, ``UsageError`` for another table.
        """
        if table not in TABLES:
            raise UsageError(f"a run has no table {table!r}: there is {', '.join(TABLES)}")
        if table != "spend":
            rows: RowList = getattr(self, table)
            return rows.to_pandas()
        return RowList(
            {"tier": name, **row} for name, row in self.spend["by_tier"].items()
        ).to_pandas()

    def resume(
        self,
        budget: Decimal | float | str | None = None,
        *,
        retry: str = "infra",
        workers: int | None = None,
        hours: float | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Finish what the run owes, as ``swe-router resume`` does, and return it, read again.

        ``budget``: raise the cap to so many USD. ``retry``: what to try again: ``infra``,
        ``limit`` (out of money, steps or time) or ``all``. The rest is as for ``run``. Raises
        ``UsageError`` for a run that cannot be resumed.
        """
        if retry not in RETRIES:
            raise UsageError(f"retry={retry!r}: it is one of {', '.join(RETRIES)}")
        signals.require_positive_hours(hours)
        folder = run_driver.find_to_resume(str(self.path), self.path.parent)
        ended = drive(
            folder, retry_kind=retry, workers=workers, budget=dollars(budget, "budget"),
            hours=hours, progress=progress,
        )  # fmt: skip
        return Run(folder, ended)

    def __repr__(self) -> str:
        """The run in one line."""
        return f"<Run {self._line()}>"

    def _repr_html_(self) -> str:
        """The line and its first instances, as inert text."""
        rows = [
            {key: row[key] for key in ("instance", "standing", "tier", "attempts", "usd")}
            for row in self.instances
        ]
        return f"<p>{escape(self._line())}</p>{html_table(rows)}"

    def _line(self) -> str:
        totals, money = self.summary, self._facts.spending
        return (
            f"{self.name}: {totals['resolved']} of {totals['instances']} resolved,"
            f" {in_usd(money.spent)} of {in_usd(money.budget)} spent, {self.ended}"
        )


def load_run(name: str | Path = LATEST_LINK, out: str | Path = "runs") -> Run:
    """A run by name or path: ``latest`` is the newest under ``out``, ``sample`` is shipped.

    Raises ``UsageError`` when there is none, or its files do not belong together.

    >>> import swe_router
    >>> swe_router.load_run("sample").spend["unused"]
    0.8266048
    >>> swe_router.load_run("yesterday")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    swe_router.errors.UsageError: no run 'yesterday': there ...
    """
    return Run(find_run(str(name), Path(out)))


def _tokens(row: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens by kind, one column each; None where nothing was tried yet."""
    kinds = ("input", "cache_read", "cache_write", "output", "reasoning")
    of = row.get("tokens") or {}
    return {f"{kind}_tokens": of.get(kind) for kind in kinds}
