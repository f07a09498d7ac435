"""The run as it happens: a live table on a terminal, a plain log elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from swe_router.estimates.caching.cache_use import CacheUse
from swe_router.records import RunRecord
from swe_router.reports import cache_text
from swe_router.reports.run_text import usd_text
from swe_router.reports.sentences import counted_noun

MAX_ROWS = 20
"""Most instances in the live table; finished ones make room."""
MIN_TABLE_COLUMNS = 40
"""Columns of a terminal that the whole table needs in addition to the ids."""


@dataclass
class _LiveRow:
    tier: str = ""
    step: int = 0
    activity: str = ""
    started_at: float = 0.0


class LiveView:
    """Shows what happens. ``event`` and ``say`` may be called by any thread of the driver."""

    def __init__(
        self,
        instance_count: int,
        budget: Decimal,
        console: Console,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._total, self._budget, self._console, self._clock = (
            instance_count,
            budget,
            console,
            clock,
        )
        self._rows: dict[str, _LiveRow] = {}
        self._done = 0
        self._begun = clock()
        self._spent = Decimal(0)
        self._earlier = 0
        self._cache = ""
        self._away: dict[str, str] = {}
        self._batches = ""
        self._live = (
            Live(self, console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def event(self, instance: str, tier: str, step: int, what: str) -> None:
        """An attempt moved on; without an instance, a word on the run as a whole."""
        if not instance:
            self.say(what)
            return
        row = self._rows.setdefault(instance, _LiveRow(started_at=self._clock()))
        fresh = (row.tier, row.activity) != (tier, what)
        row.tier, row.step, row.activity = tier, step, what
        if self._live is None and fresh:
            after = f"after {counted_noun(step, 'step')}" if step else ""
            self._log(f"{instance}: {' '.join(filter(None, (tier, what, after)))}")

    def spent(self, value: Decimal, budget: Decimal) -> None:
        """What is settled, and the cap, which may have been raised meanwhile; USD."""
        self._spent, self._budget = value, budget

    def cached(self, use: CacheUse) -> None:
        """What prompt caches did in all calls so far."""
        self._cache = cache_text.cache_sentence(use)

    def out_in_batches(self, batches: int, calls: int, usd: Decimal) -> None:
        """Batches that are out, calls in them, and USD that are reserved for these."""
        self._batches = (
            f", {counted_noun(calls, 'call')} out in {batches} batch{'es' * (batches != 1)}"
            f" (at most {usd_text(usd)})"
            if calls
            else ""
        )

    def skipped(self, count: int) -> None:
        """Instances that an earlier launch concluded."""
        self._done += count
        self._earlier = self._done

    def done(self, record: RunRecord) -> None:
        """An instance is concluded."""
        self._done += 1
        self._rows.pop(record.instance.id, None)
        line = f"{record.instance.id}: {record.status}, {usd_text(record.whole_usd)}, {record.stop}"
        if self._live is None:
            self._log(f"[{self._done}/{self._total}] {line}; {self._totals_line(self._clock())}")
        else:
            self._live.console.print(Text(line, style="dim"))

    def held(self, instance: str) -> None:
        """An instance came to what the run gave up."""
        self._rows.pop(instance, None)
        self.say(f"{instance}: held for what was given up; it is owed")

    def paused(self, away: Mapping[str, str]) -> None:
        """Services that are waited for, each with the cause; a log gets them from the breaker."""
        self._away = dict(away)

    def _totals_line(self, now: float) -> str:
        """Money and time, as a terminal and a log say them."""
        money = f"{usd_text(self._spent)} of {usd_text(self._budget)} spent"
        money += f"{self._batches}, {self._eta_text(now)}"
        return f"{money}; {self._cache}" if self._cache else money

    def say(self, message: str) -> None:
        """One line of talk."""
        if self._live is None:
            self._log(message)
        else:
            self._live.console.print(message, markup=False)

    def __rich__(self) -> RenderableType:
        now = self._clock()
        table = self._active_table(now)
        share = float(self._spent / self._budget) if self._budget else 0.0
        # A bar has no end of line of its own: it is put in a table, next to its label.
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=1.0, completed=min(1.0, share), width=30),
            Text(f"{share:.0%} of the money"),
        )
        head = Text(f"{self._done}/{self._total} concluded, {self._totals_line(now)}", style="bold")
        gone = [Text(f"{name} is waited for: {cause}", style="yellow")
                for name, cause in self._away.items()]  # fmt: skip
        return Group(head, bar, *gone, table)

    def _active_table(self, now: float) -> Table:
        """One row per active instance; where ids leave no room, without steps and seconds."""
        rows = list(self._rows.items())[:MAX_ROWS]
        longest = max((len(name) for name, _ in rows), default=0)
        wide = self._console.width >= longest + MIN_TABLE_COLUMNS
        table = Table(box=None, pad_edge=False)
        table.add_column("instance", no_wrap=True, min_width=longest)
        for name in ("tier", "step", "doing", "seconds"):
            if wide or name in ("tier", "doing"):
                right = "right" if name in ("step", "seconds") else "left"
                table.add_column(name, justify=right, no_wrap=name != "doing")  # type: ignore[arg-type]
        for name, row in rows:
            cells = [row.tier, str(row.step), row.activity, f"{now - row.started_at:.0f}"]
            table.add_row(name, *(cells if wide else cells[::2]))
        return table

    def _eta_text(self, now: float) -> str:
        finished = self._done - self._earlier
        if finished <= 0:
            return "ETA unknown"
        left = (self._total - self._done) * (now - self._begun) / finished
        return f"ETA {left / 60:.0f} min" if left >= 60 else f"ETA {left:.0f} s"

    def _log(self, message: str) -> None:
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        self._console.print(f"{stamp} {message}", markup=False, highlight=False, soft_wrap=True)
