"""A knock at a tier's server that costs nothing: does it answer, and what does it list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from swe_router import served_endpoints
from swe_router.errors import ModelError, NoAnswer, NoConnection
from swe_router.lazy_imports import deferred_module
from swe_router.settings import Tier

if TYPE_CHECKING:
    import httpx2

    from swe_router.models import gateway_calls, http_calls
else:
    httpx2 = deferred_module("httpx2")
    gateway_calls = deferred_module("swe_router.models.gateway_calls")
    http_calls = deferred_module("swe_router.models.http_calls")

SECONDS = 5.0
"""For the whole answer of a list of models."""
LIST_BYTES = 8_000_000
HOMES = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}


@dataclass(frozen=True)
class ModelListing:
    """The models that a server lists."""

    status: int
    models: Mapping[str, int] | None = None
    """Model id -> the window it tells (0: it does not); None when it gave no list."""
    text: str = ""
    """The begin of an answer that was no list; one line, without the key."""


def list_models(tier: Tier, key: str, *, seconds: float = SECONDS) -> ModelListing | None:
    """What the tier's server lists; None for a dialect that has no server.

    Raises ``NoConnection`` when nobody could be reached and ``NoAnswer`` when nothing came back
    in time; every answer, an error too, is a ``ModelListing``.
    """
    url = models_url(tier)
    if not url:
        return None
    try:
        with httpx2.Client(timeout=seconds, **gateway_calls.client_options(tier, key)) as client:
            response = client.get(url, headers=_headers(tier, key))
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise NoConnection(f"could not connect: {_message(error, key)}") from None
    except httpx2.ProxyError as error:
        raise NoConnection(f"the proxy did not let it through: {_message(error, key)}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ModelError) as error:
        raise NoAnswer(f"{url} gave no answer in {seconds:g} s: {_message(error, key)}") from None
    text = http_calls.short_message(response.text[:2000], key)
    if response.is_redirect:
        text = f"leads to {http_calls.short_message(response.headers.get('location', '?'), key)}"
    return ModelListing(response.status_code, _models(response), text)


def serves_model(tier: Tier, key: str, *, seconds: float = SECONDS) -> bool:
    """Whether the server knows the tier's model by name: a list may have pages and no aliases."""
    url = f"{models_url(tier)}/{quote(tier.model, safe='')}"
    try:
        with httpx2.Client(timeout=seconds, **gateway_calls.client_options(tier, key)) as client:
            response = client.get(url, headers=_headers(tier, key))
        row = response.json() if response.status_code == 200 else None
        return isinstance(row, dict) and isinstance(row.get("id"), str)
    except (httpx2.HTTPError, httpx2.InvalidURL, ModelError, ValueError):
        return False


def check_server(tier: Tier, key: str) -> None:
    """Raise the ``ModelError`` that every call would meet now.

    Nobody there, no answer, a gateway without a server behind it, a server that ``swe-router
    serve`` is starting; what a server says of the key or the model is left to the call itself.
    """
    served = served_endpoints.endpoint_at(tier.base_url)
    if served is not None and served.state in served_endpoints.COMING:
        raise NoConnection(f"swe-router serve is {served.state} the server: {served.why}")
    found = list_models(tier, key, seconds=min(SECONDS, tier.timeout))
    if found is not None and found.status in {502, 503, 521, 522, 523, 529}:
        raise NoAnswer(f"HTTP {found.status}: {found.text}", status=found.status)


def models_url(tier: Tier) -> str:
    """Where the tier's server lists its models; empty for a dialect without a server."""
    if tier.dialect not in {"anthropic", "openai", "vllm"}:
        return ""
    home = (tier.base_url or HOMES.get(tier.dialect, "")).rstrip("/")
    if not home:
        return ""
    return f"{home}/v1/models" if tier.dialect == "anthropic" else f"{home}/models"


def _headers(tier: Tier, key: str) -> dict[str, str]:
    if not key:
        return {}
    if tier.dialect == "anthropic":
        own = {} if not tier.base_url else {"authorization": f"Bearer {key}"}  # vLLM reads no other
        return {"x-api-key": key, "anthropic-version": "2023-06-01", **own}
    return {"authorization": f"Bearer {key}"}


def _models(response: Any) -> dict[str, int] | None:
    try:
        tree = json.loads(response.text[:LIST_BYTES])
        rows = tree["data"]
        found = {str(row["id"]): _window(row) for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if response.status_code < 400 else None


def _window(row: Mapping[str, Any]) -> int:
    """Tokens, by the names that servers give it: vLLM, Anthropic, OpenRouter, LM Studio."""
    for name in ("max_model_len", "max_input_tokens", "context_length", "max_context_length"):
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _message(error: BaseException, key: str) -> str:
    return f"{type(error).__name__}: {http_calls.short_message(str(error), key)}"
