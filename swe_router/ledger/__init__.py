"""The money: reserved before a call, settled after it, durable, one book for all workers."""

from swe_router.ledger.batch_book import BatchBook, CallEnd
from swe_router.ledger.holds import CallLedger, Hold, Overhead
from swe_router.ledger.ledger import Ledger
from swe_router.ledger.sent_batch import SentBatch, SubmittedCall
from swe_router.ledger.state import (
    BudgetRaise,
    Figures,
    MoneyView,
    TierFigures,
)

__all__ = [
    "BatchBook",
    "BudgetRaise",
    "CallEnd",
    "CallLedger",
    "Figures",
    "Hold",
    "Ledger",
    "MoneyView",
    "Overhead",
    "SentBatch",
    "SubmittedCall",
    "TierFigures",
]
