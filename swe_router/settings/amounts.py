"""Amounts of money that a person gives."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from swe_router.errors import UsageError

MAX_USD = 1_000_000_000


def dollars(given: Decimal | float | str | None, name: str) -> Decimal | None:
    """Positive US dollars; None stays None. Raises ``UsageError`` that begins with ``name``."""
    if given is None:
        return None
    text = str(given).strip()
    try:
        value = Decimal(text.lstrip("$"))
    except InvalidOperation:
        raise UsageError(f"{name} {given!r} is not a number of US dollars") from None
    if value.is_nan() or value <= 0:
        raise UsageError(f"{name} {text} must be more than 0 US dollars")
    if value > MAX_USD:
        raise UsageError(f"{name} {text} is more than {MAX_USD:,} US dollars: a slip of the hand?")
    return Decimal(f"{value:f}")  # 1e2 is stored and shown as 100
