"""The money: reserved before a call, settled after it, durable, one book for all workers."""

from swe_router.ledger.book import Ledger
from swe_router.ledger.booking import Book, Hold, Overhead
from swe_router.ledger.state import Figures, Raise, TierFigures, View

__all__ = ["Book", "Figures", "Hold", "Ledger", "Overhead", "Raise", "TierFigures", "View"]
