"""What a gateway wants of a call, and what its reply tells beyond the answer itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx2

from swe_router import gateways
from swe_router.gateways import BEARER, Gateway
from swe_router.models import http_calls
from swe_router.records import Completion, ReturnedCost
from swe_router.settings import Tier

MAX_COST_USD = Decimal(10_000)
"""Of one call; a reply that says more says nothing."""
_SHOWN = 120


def gateway_of_tier(tier: Tier) -> Gateway | None:
    """The gateway before a tier's model, by its name or its address; None where there is none."""
    return gateways.gateway_of(tier.gateway, tier.base_url)


def header_changes(
    tier: Tier, key: str, environ: Mapping[str, str]
) -> tuple[dict[str, str | None], frozenset[str]]:
    """Headers that a tier's requests get (None: is taken out), and which values are secrets.

    Raises ``UsageError`` for a header whose variable is not set.
    """
    row = gateway_of_tier(tier)
    values = gateways.header_values(tier.headers, environ)
    changes: dict[str, str | None] = {name.lower(): value for name, value in values.items()}
    if row is not None and row.auth != BEARER:
        changes.setdefault("authorization", None)
        changes.setdefault("x-api-key", None)
        if key:
            changes[row.auth] = key
    secrets = {values[name] for name in gateways.header_variables(tier.headers)}
    # A bearer token may come back in a message without the word before it.
    secrets |= {value.rpartition(" ")[2] for value in secrets}
    return changes, frozenset(secrets)


def client_options(
    tier: Tier, key: str, reply_bytes: int = http_calls.REPLY_BYTES
) -> dict[str, Any]:
    """Keywords of the ``httpx2.Client`` of a tier: ``http_calls.client_options``, and its headers.

    The headers are changed last of all, so that no SDK logs them. Raises ``UsageError``.
    """
    changes, secrets = header_changes(tier, key, os.environ)
    http_calls.remember_secrets(secrets)

    def change_headers(request: httpx2.Request) -> None:
        for name, value in changes.items():
            request.headers.pop(name, None)
            if value is not None:
                request.headers[name] = value

    options = http_calls.client_options(key, reply_bytes)
    options["event_hooks"]["request"].append(change_headers)
    return options


def fallback_field(tier: Tier) -> dict[str, list[str]]:
    """What a request says of the models that may answer instead; nothing without any."""
    row = gateway_of_tier(tier) if tier.fallbacks else None
    return {row.fallbacks: list(tier.fallbacks)} if row is not None else {}


def attributed(
    answer: Completion, tier: Tier, reply: Mapping[str, Any], headers: Mapping[str, str]
) -> Completion:
    """The answer, with who gave it and what it cost by the gateway's own word."""
    row = gateway_of_tier(tier)
    if row is None:
        return answer
    cost = _cost(row, reply, headers)
    return answer.model_copy(
        update={
            "served_by": _served_by(row, reply, headers),
            "returned": None if cost is None else ReturnedCost(usd=cost),
        }
    )


def _served_by(row: Gateway, reply: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    named = (headers.get(row.model_header, ""), headers.get(row.by_header, ""), _at(reply, row.by))
    by = next((name for name in named if isinstance(name, str) and name.strip()), "")
    place = headers.get(row.fallback_header, "").strip()
    fallback = f"fallback {place}" if place and place not in row.first else ""
    more = ", ".join(part for part in (by.strip()[:_SHOWN], fallback[:_SHOWN]) if part)
    return f"{row.name}: {more}" if more else row.name


def _cost(row: Gateway, reply: Mapping[str, Any], headers: Mapping[str, str]) -> Decimal | None:
    """USD of the call; None where the gateway does not say, or nothing that can be true."""
    found = usd_of(headers.get(row.cost_header) if row.cost_header else _at(reply, row.cost))
    added = usd_of(_at(reply, row.cost_added)) if _at(reply, row.cost_added_if) is True else None
    return found if found is None or added is None else found + added


def usd_of(value: Any) -> Decimal | None:
    """A number, or a header's text, as USD; None for what is no amount that one call can cost."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= MAX_COST_USD:
        return None
    return amount.quantize(Decimal("1e-12"))


def _at(tree: Any, path: str) -> Any:
    """What stands at a dotted path of a JSON value; None where nothing does."""
    for name in path.split(".") if path else ():
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree if path else None
