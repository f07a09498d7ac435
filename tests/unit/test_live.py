"""The run as it happens: heads over their columns, money and ETA in a terminal and in a log."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from swe_router.estimates.caching.cache_use import CacheUse
from swe_router.reports.live_view import LiveView
from tests.doubles.judged import attempt, patch, record


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def view(clock, *, terminal, width=100):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None,
                      markup=False, emoji=False)  # fmt: skip
    return LiveView(4, Decimal(2), console, clock), console


def lines_of(shown, console):
    with console.capture() as got:
        console.print(shown)
    return [line.rstrip() for line in got.get().splitlines()]


@pytest.mark.parametrize("width", [100, 60])
def test_the_head_of_the_table_stands_over_its_columns_and_the_bar_on_its_own_line(clock, width):
    shown, console = view(clock, terminal=True, width=width)
    for number in range(3):
        shown.event(f"scikit-learn__scikit-learn-1029{number}", "local", number + 3, "running")
    shown.spent(Decimal("0.5"), Decimal(2))
    lines = lines_of(shown, console)
    (head,) = [line for line in lines if "instance" in line and "doing" in line]
    (bar,) = [line for line in lines if "━" in line]
    assert head.startswith("instance")
    assert bar != head
    assert "25% of the money" in bar
    row = lines[lines.index(head) + 1]
    assert row.index("local") == head.index("tier")
    assert row.index("running") == head.index("doing")
    assert "scikit-learn__scikit-learn-10290" in row, "an id is never cut"
    assert "0/4 concluded, $0.5000 of $2.0000 spent, ETA unknown" in lines


def test_a_log_says_totals_spend_and_eta_with_each_instance(clock):
    shown, console = view(clock, terminal=False)
    shown.event("demo__x-1", "local", 0, "reading")
    shown.event("demo__x-1", "", 0, "reading")
    shown.event("demo__x-1", "local", 1, "running")
    shown.event("demo__x-1", "local", 2, "checking")
    clock.now += 30
    shown.spent(Decimal("0.5"), Decimal(2))
    shown.done(record("demo__x-1", [attempt(1, "local", patch("a"))], "1-local"))
    said = [line[9:] for line in console.file.getvalue().splitlines()]
    assert said[:4] == [
        "demo__x-1: local reading", "demo__x-1: reading", "demo__x-1: local running after 1 step",
        "demo__x-1: local checking after 2 steps",
    ]  # fmt: skip
    assert said[4].startswith("[1/4] demo__x-1: candidate, $")
    assert said[4].endswith("$0.5000 of $2.0000 spent, ETA 2 min")


def test_a_paused_tier_stands_in_the_view_with_its_cause(clock):
    shown, console = view(clock, terminal=True)
    shown.paused({"o3": "no connection"})
    assert "o3 is waited for: no connection" in lines_of(shown, console)
    shown.paused({})
    assert not any("waited" in line for line in lines_of(shown, console))


def test_what_caches_saved_stands_with_the_money(clock):
    shown, console = view(clock, terminal=True)
    shown.cached(CacheUse(1000, 820, Decimal("0.25"), 2, 50, Decimal("0.01")))
    lines = " ".join(lines_of(shown, console))
    assert "82% of the prompts read from the cache, $0.2500 saved; 2 breaks cost" in lines
