"""The run's ledger as one instance sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from swe_router.ledger import Hold, Ledger
from swe_router.records import BudgetView


class LedgerBudget:
    """The run's ledger as one instance sees it."""

    def __init__(
        self,
        ledger: Ledger,
        instances_left: int,
        instance: str = "",
        instance_cap_usd: Decimal | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``instance_cap_usd``: USD that the instance may cost in all; None is no such cap."""
        self._sleep = sleep
        self._ledger, self._left = ledger, instances_left
        self._instance, self._cap = instance, instance_cap_usd

    def view(self) -> BudgetView:
        """The money now; what dead processes held is freed first."""
        figures = self._ledger.figures()
        return BudgetView(
            budget=figures.budget,
            spent=figures.settled + figures.lost,
            reserved=figures.reserved,
            instances_left=self._left,
            clock=time.time(),
            own=self._left_under_instance_cap(),
        )

    def _left_under_instance_cap(self) -> Decimal | None:
        if self._cap is None:
            return None
        return max(Decimal(0), self._cap - self._ledger.taken_by(self._instance))

    def wait_for_release(self) -> None:
        """Half a second: an attempt takes minutes."""
        self._sleep(0.5)

    @contextmanager
    def hold(self, tier: str, usd: Decimal, key: str) -> Iterator[Hold]:
        """An attempt's limit, less what the same attempt spent before it was cut off."""
        rest = max(Decimal(0), usd - self._ledger.spent_by(key))
        with self._ledger.hold(tier, rest, key, self._cap) as hold:
            yield hold
