"""The run as it happens: a live table on a terminal, a plain log elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from swe_router.records import RunRecord
from swe_router.reports.text import usd

ROWS = 20
"""Most instances in the live table; finished ones make room."""


@dataclass
class _Row:
    tier: str = ""
    step: int = 0
    what: str = ""
    since: float = 0.0


class View:
    """What happens, shown; call ``event``, ``spent`` and ``done`` from the driver only."""

    def __init__(
        self, total: int, budget: Decimal, console: Console, clock: Callable[[], float] = time.time
    ) -> None:
        self._total, self._budget, self._console, self._clock = total, budget, console, clock
        self._rows: dict[str, _Row] = {}
        self._done = 0
        self._begun = clock()
        self._spent = Decimal(0)
        self._earlier = 0
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
        row = self._rows.setdefault(instance, _Row(since=self._clock()))
        fresh = (row.tier, row.what) != (tier, what)
        row.tier, row.step, row.what = tier, step, what
        if self._live is None and fresh:
            self._log(f"{instance}: {tier} {what}" + (f" after {step} steps" if step else ""))

    def spent(self, value: Decimal, budget: Decimal) -> None:
        """What is settled, and the cap, which may have been raised meanwhile; USD."""
        self._spent, self._budget = value, budget

    def skipped(self, count: int) -> None:
        """Instances that an earlier launch concluded."""
        self._done += count
        self._earlier = self._done

    def done(self, record: RunRecord) -> None:
        """An instance is concluded."""
        self._done += 1
        self._rows.pop(record.instance.id, None)
        line = f"{record.instance.id}: {record.status}, {usd(record.whole_usd)}, {record.stop}"
        if self._live is None:
            self._log(f"[{self._done}/{self._total}] {line}")
        else:
            self._live.console.print(Text(line, style="dim"))

    def say(self, message: str) -> None:
        """One line of talk."""
        if self._live is None:
            self._log(message)
        else:
            self._live.console.print(message, markup=False)

    def __rich__(self) -> RenderableType:
        table = Table(box=None, pad_edge=False)
        for name in ("instance", "tier", "step", "doing", "seconds"):
            table.add_column(name, justify="right" if name in {"step", "seconds"} else "left")
        now = self._clock()
        for name, row in list(self._rows.items())[:ROWS]:
            table.add_row(name, row.tier, str(row.step), row.what, f"{now - row.since:.0f}")
        share = float(self._spent / self._budget) if self._budget else 0.0
        bar = ProgressBar(total=1.0, completed=min(1.0, share), width=30)
        head = Text(
            f"{self._done}/{self._total} concluded   {usd(self._spent)} of {usd(self._budget)}"
            f"   {self._eta(now)}",
            style="bold",
        )
        return Group(head, bar, table)

    def _eta(self, now: float) -> str:
        finished = self._done - self._earlier
        if finished <= 0:
            return "ETA unknown"
        left = (self._total - self._done) * (now - self._begun) / finished
        return f"ETA {left / 60:.0f} min" if left >= 60 else f"ETA {left:.0f} s"

    def _log(self, message: str) -> None:
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        self._console.print(f"{stamp} {message}", markup=False, highlight=False, soft_wrap=True)
