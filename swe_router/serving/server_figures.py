"""What a running vLLM server tells: its health, window, cache, and how fast it answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swe_router.errors import NoAnswer
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import httpx2
else:
    httpx2 = deferred_module("httpx2")

HEALTH_SECONDS = 30.0
"""For one look at the health: a server that computes a long prompt on a CPU answers late."""
WARM_UP_TOKENS = 48
WARM_UP_SECONDS = 600.0
_METRIC = re.compile(r"^(vllm:\w+)(?:\{(.*)\})?\s+([-+.\deEinfNa]+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class ServerFigures:
    """A server as it says itself, and as it was measured."""

    window: int
    cache_tokens: int
    """Tokens that the key-value cache holds; 0 where it does not say."""
    full_windows: float
    """Requests of a full window that the cache holds at a time; 0 where it does not say."""
    tokens_per_second: float
    """Of one request."""
    many: int
    """Requests at a time of the next figure."""
    many_tokens_per_second: float
    """Of all of them together."""


class ServerClient:
    """The HTTP side of one server."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self.url = f"http://{near_host(host)}:{port}"
        self._headers = {"authorization": f"Bearer {key}"}

    def is_healthy(self) -> bool:
        """Whether ``/health`` answers 200."""
        try:
            return self._get("/health", HEALTH_SECONDS).status_code == 200
        except httpx2.HTTPError:
            return False

    def is_open(self) -> bool:
        """Whether models are listed without the key."""
        with httpx2.Client(timeout=HEALTH_SECONDS, trust_env=False) as client:
            return client.get(f"{self.url}/v1/models").status_code == 200

    def windows(self) -> Mapping[str, int]:
        """Model name -> window that the server lists. Raises ``NoAnswer``."""
        try:
            reply = self._get("/v1/models", HEALTH_SECONDS)
            rows = reply.json()["data"]
            return {str(row["id"]): int(row.get("max_model_len") or 0) for row in rows}
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"{self.url}/v1/models: {type(error).__name__}: {error}") from None

    def cache_size(self) -> tuple[int, float]:
        """Tokens in the cache and full windows at a time, from ``/metrics``; zeros if unknown."""
        try:
            text = self._get("/metrics", HEALTH_SECONDS).text
        except httpx2.HTTPError:
            return 0, 0.0
        return cache_size_in(text)

    def tokens_per_second(self, model: str, requests: int) -> float:
        """Output tokens per second of ``requests`` short requests at a time, in all.

        Raises ``NoAnswer`` when one is not answered.
        """
        start = time.monotonic()
        with ThreadPoolExecutor(requests) as threads:
            tokens = list(threads.map(lambda n: self._generate(model, n), range(requests)))
        return sum(tokens) / max(1e-6, time.monotonic() - start)

    def _generate(self, model: str, number: int) -> int:
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": f"({number}) Count from 1 to 100."}],
            "max_tokens": WARM_UP_TOKENS,
            "ignore_eos": True,
        }
        try:
            with httpx2.Client(timeout=WARM_UP_SECONDS, trust_env=False) as client:
                reply = client.post(
                    f"{self.url}/v1/chat/completions", json=body, headers=self._headers
                )
            if reply.status_code != 200:
                raise NoAnswer(f"warm-up: HTTP {reply.status_code}: {reply.text[:300]}")
            return int(reply.json()["usage"]["completion_tokens"])
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"warm-up: {type(error).__name__}: {error}") from None

    def _get(self, path: str, seconds: float) -> httpx2.Response:
        with httpx2.Client(timeout=seconds, trust_env=False) as client:
            return client.get(f"{self.url}{path}", headers=self._headers)


def near_host(host: str) -> str:
    """How this machine names the address that a server listens on, as a URL has it."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{near}]" if ":" in near else near


def measure(
    client: ServerClient, model: str, many: int, say: Callable[[str], None]
) -> ServerFigures:
    """Warm a server up and measure it: one request, then ``many`` at a time."""
    client.tokens_per_second(model, 1)  # the first request compiles and is no measure
    one = client.tokens_per_second(model, 1)
    together = client.tokens_per_second(model, many) if many > 1 else one
    tokens, windows = client.cache_size()
    say(f"{one:.0f} tokens/s for one request, {together:.0f} for {many} at a time")
    return ServerFigures(
        window=client.windows().get(model, 0),
        cache_tokens=tokens,
        full_windows=windows,
        tokens_per_second=one,
        many=many,
        many_tokens_per_second=together,
    )


def cache_size_in(metrics: str) -> tuple[int, float]:
    """Tokens and full windows of the cache, by vLLM's gauge ``cache_config_info``."""
    for line in metrics.splitlines():
        found = _METRIC.match(line)
        if found is None or found[1] != "vllm:cache_config_info":
            continue
        labels = dict(_LABEL.findall(found[2] or ""))
        tokens = _number(labels.get("kv_cache_size_tokens"))
        if not tokens:
            tokens = _number(labels.get("num_gpu_blocks")) * _number(labels.get("block_size"))
        return int(tokens), _number(labels.get("kv_cache_max_concurrency"))
    return 0, 0.0


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
