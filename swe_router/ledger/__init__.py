"""The money: reserved before a call, settled after it, durable, one book for all workers."""

from swe_router.ledger.holds import CallLedger, Hold, Overhead
from swe_router.ledger.ledger import Ledger
from swe_router.ledger.state import BudgetRaise, Figures, MoneyView, TierFigures

__all__ = [
    "BudgetRaise",
    "CallLedger",
    "Figures",
    "Hold",
    "Ledger",
    "MoneyView",
    "Overhead",
    "TierFigures",
]
