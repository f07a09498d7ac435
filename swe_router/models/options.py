"""The options of a tier, checked against those of its dialect."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.errors import UsageError
from swe_router.settings import Tier


def check(tier: Tier, known: Sequence[str]) -> None:
    """Raise ``UsageError`` for an option that the dialect does not have.

    Options are a closed list because some, such as a service tier, would change the price.
    """
    for name in tier.options:
        if name not in known:
            raise UsageError(
                f"model {tier.model!r}: dialect {tier.dialect!r} has no option {name!r}:"
                f" there is {', '.join(known)}"
            )
