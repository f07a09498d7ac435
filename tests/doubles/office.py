"""Ledgers of pretended processes over one file; a wait is seen, never slept."""

from __future__ import annotations

from decimal import Decimal

from swe_router.ledger import Ledger
from swe_router.records import Usage

D = Decimal

NOTHING = Usage()


class WouldWait(Exception):
    """Raised instead of sleeping, so that a test sees a wait."""


def _no_sleep(_seconds):
    raise WouldWait


class Office:
    """Ledgers of several pretended processes over one file; any can die."""

    def __init__(self, path):
        self.path, self.budget, self.dead = path, D("1"), set()

    def ledger(self, process, **kwargs):
        return Ledger(
            self.path,
            self.budget,
            sleep=kwargs.pop("sleep", _no_sleep),
            owner=lambda: f"{process}|1",
            alive=lambda name: name not in self.dead,
            **kwargs,
        )
