"""The money: reserved before a call, settled after it, durable, one book for all workers."""

from swe_router.ledger.holds import CallLedger, Hold, Overhead
from swe_router.ledger.ledger import Ledger
from swe_router.ledger.state import BudgetRaise, Figures, MoneyView, TierFigures
from swe_router.moved import renamed_getattr

__getattr__ = renamed_getattr(__name__)

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
