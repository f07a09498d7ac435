"""One HTTP exchange with a provider: bounded, scrubbed of the key, its failures named."""

from __future__ import annotations

import email.utils
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NoReturn

import httpx2

from swe_router import active_clock
from swe_router.errors import (
    BadReply,
    ModelError,
    NoAnswer,
    NoConnection,
    SettingRefused,
)
from swe_router.models import error_mapping, token_usage
from swe_router.records import CallLimits, Completion, ToolCall
from swe_router.settings import Tier

REPLY_BYTES = 32_000_000
"""Longest reply that is read; no model answers with a hundredth of it."""
CONNECT_SECONDS = 10.0
_SHOWN = 400
_SHORTEST_SECRET = 6
_secrets: set[str] = set()
"""Values of headers that came from the environment."""
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_BEARER = re.compile(r"(?i)\b(bearer\s+|sk-(?:ant-)?)[\w.~+/=-]{6,}")


def client_options(key: str, reply_bytes: int = REPLY_BYTES) -> dict[str, Any]:
    """Keywords that every ``httpx2.Client`` is made with; longer replies are refused."""
    return {"event_hooks": event_hooks(key, reply_bytes), "verify": shared_tls()}


def shared_tls() -> ssl.SSLContext:
    """What certificates are checked by, read once per process: to read it costs 20 ms of CPU."""
    return _tls(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@cache
def _tls(*files: str | None) -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def remember_secrets(secrets: Iterable[str]) -> None:
    """Redact these from now on wherever a key is."""
    _secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)


def redact(text: str, key: str) -> str:
    """``text`` without the key, nor anything else that looks like one."""
    return _BEARER.sub(r"\1[key]", redact_key(text, key))


def short_message(text: str, key: str) -> str:
    """``text`` fit for an error message: one redacted line of limited length."""
    line = " ".join(redact(text, key).split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def isolate_client(client: Any) -> None:
    """Make an SDK's client take nothing but the tier's key and address.

    The SDKs read headers, an organisation and a project out of the environment
    (``ANTHROPIC_CUSTOM_HEADERS``, ``OPENAI_ORG_ID`` and the like, often set for other tools),
    and would send them, secrets included, to whatever server a tier names.
    """
    client._custom_headers = {}
    for name in ("organization", "project", "admin_api_key"):
        if hasattr(client, name):
            setattr(client, name, None)


_NEARLY = 0.9


def with_window_stop(answer: Completion, tier: Tier, limits: CallLimits) -> Completion:
    """The answer, with ``window`` for its stop where not the cap but the window cut it off.

    Servers clip the cap to what the window leaves, and say ``length`` of both. A server that caps
    at less than was asked for does the same, so few tokens alone tell of the window only where the
    server is known not to (vLLM).
    """
    used = answer.usage
    if answer.stop != "length" or not used.prompt_tokens:
        return answer
    short = used.output_tokens < limits.max_output_tokens
    near = used.prompt_tokens + used.output_tokens >= _NEARLY * tier.window
    clipped = tier.dialect == "vllm" and used.output_tokens < _NEARLY * limits.max_output_tokens
    return answer.model_copy(update={"stop": "window"}) if short and (near or clipped) else answer


def timeouts(limits: CallLimits) -> httpx2.Timeout:
    """The SDK's timeouts for one call; the whole answer is bounded by ``bounded``."""
    return httpx2.Timeout(limits.seconds, connect=min(CONNECT_SECONDS, limits.seconds))


def event_hooks(key: str, reply_bytes: int = REPLY_BYTES) -> dict[str, list[Callable[[Any], None]]]:
    """Event hooks for an ``httpx2.Client`` that bound a reply in time and size.

    They also take the key out of its headers, which the SDKs log.
    """

    def scrub_headers(response: httpx2.Response) -> None:
        for name, value in response.headers.items():
            if (clean := redact_key(value, key)) != value:
                response.headers[name] = clean

    def bound(response: httpx2.Response) -> None:
        deadline = response.request.extensions.get("deadline", float("inf"))
        response.stream = _Bounded(response.stream, deadline, reply_bytes)  # type: ignore[arg-type]

    return {"request": [_start_clock], "response": [bound, scrub_headers]}


def _start_clock(request: httpx2.Request) -> None:
    seconds = request.extensions.get("timeout", {}).get("read")
    if seconds is not None:
        request.extensions = {**request.extensions, "deadline": active_clock.now() + seconds}


class _Bounded(httpx2.SyncByteStream):
    """A body that ends with an error at its deadline (read timeouts start anew at each byte)."""

    def __init__(self, inner: httpx2.SyncByteStream, deadline: float, reply_bytes: int) -> None:
        self._inner = inner
        self._deadline = deadline
        self._reply_bytes = reply_bytes

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._inner:
            size += len(chunk)
            if size > self._reply_bytes:
                raise BadReply(f"the reply is longer than {self._reply_bytes} bytes")
            if active_clock.now() > self._deadline:
                raise httpx2.ReadTimeout("the answer took longer than its limit")
            yield chunk

    def close(self) -> None:
        self._inner.close()


def send_request(
    send: Callable[[], httpx2.Response],
    status_error: type[Exception],
    connection_error: type[Exception],
    key: str,
    body: Mapping[str, Any],
) -> httpx2.Response:
    """The response of ``send``, or the ``ModelError`` that its failure amounts to.

    ``body`` is the request's. The SDK's own exception holds the request with its key: it is
    dropped, not chained.
    """
    failure: ModelError
    try:
        return send()
    except status_error as error:
        failure = _of_status(error, key, body)
    except connection_error as error:
        failure = _of_transport(error.__cause__ or error, key)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        failure = _of_transport(error, key)
    except ModelError as error:
        failure = error
    except (ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        # The SDK itself stumbled over the answer, as over a broken event stream.
        failure = BadReply(
            f"the SDK cannot read it: {type(error).__name__}: {short_message(str(error), key)}"
        )
    failure.__cause__ = failure.__context__ = None
    raise failure


def _cap(body: Mapping[str, Any]) -> int:
    return next((int(body[name]) for name in _CAPS if name in body), 0)


def _of_status(error: Any, key: str, body: Mapping[str, Any]) -> ModelError:
    """The error of an HTTP status; an error event inside a stream comes with status 200."""
    status, headers = int(error.status_code), error.response.headers
    body_text = _body_of(error)
    text = (
        body_text
        if isinstance(body_text, str)
        else json.dumps(body_text, ensure_ascii=False, default=str)
    )
    page = (
        error_mapping.error_in_text(body_text)
        if isinstance(body_text, str) and body_text.lstrip()[:1] == "<"
        else None
    )
    fault = page or error_mapping.ProviderError.of(body_text)
    if page is not None:
        fault.statuses = []
    where = f"HTTP {status}" if status >= 400 else "an error in the stream"
    found = error_mapping.to_model_error(
        fault,
        status,
        f"{where}: {short_message(text, key)}",
        after=retry_after(headers),
        cap=_cap(body),
        sent=body,
        # A stream that had begun to answer may be billed.
        billed=True if status < 400 and getattr(error, "begun", True) else None,
    )
    found.refusal = redact(found.refusal, key)
    return found


def _body_of(error: Any) -> Any:
    """The whole body of the server's reply: the SDKs leave out what stands around an ``error``."""
    if int(error.status_code) >= 400:
        try:
            text = error.response.text
        except httpx2.StreamError:
            text = ""
        try:
            return json.loads(text) if text else ""
        except (ValueError, RecursionError):
            return text
    return str(error) if error.body is None else error.body


def _of_transport(error: BaseException, key: str) -> ModelError:
    what = f"{type(error).__name__}: {short_message(str(error), key)}"
    if isinstance(error, ModelError):
        return error
    if isinstance(
        error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError
    ):
        return SettingRefused(what)
    if isinstance(error, _UNSENT):
        return NoConnection(f"could not connect: {what}")
    return NoAnswer(what)


_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds that the provider asks to wait, or None; never negative."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif (given := headers.get("retry-after", "")).strip():
            moment = email.utils.parsedate_tz(given)
            seconds = float(given) if moment is None else email.utils.mktime_tz(moment) - now()
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < float("inf") else None


def json_of(response: httpx2.Response, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of a reply to the request ``body``.

    Raises the ``ModelError`` of an error that stands in it, as the status of its own code, and
    ``BadReply`` when it is no JSON object.
    """
    return object_in(response.text, key, body, response.status_code, response.headers)


def object_in(
    text: str,
    key: str,
    body: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """See ``json_of``; of the text of a reply, wherever it stood."""
    fault, billed = None, None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        fault = error_mapping.error_in_text(text)
    else:
        if (error := error_mapping.error_in_reply(value)) is not None:
            fault, billed = error_mapping.ProviderError.of(error), _worked(value) or None
        elif isinstance(value, dict):
            return scrub_json(value, key)  # type: ignore[no-any-return]
    body_text = short_message(text[:2000], key)
    if fault is None:
        raise BadReply(f"the reply is not a JSON object: {body_text}")
    what = f"HTTP {status}, with an error in it: {body_text}"
    found = error_mapping.to_model_error(
        fault, 200, what, after=retry_after(headers), cap=_cap(body), sent=body, billed=billed
    )
    found.refusal = redact(found.refusal, key)
    raise found


def _worked(reply: Any) -> bool:
    """Whether a reply counts tokens: then its error came after work that is billed."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    names = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
    try:
        return any(token_usage.first_token_count(usage, name) for name in names)
    except token_usage.InvalidUsage:
        return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def scrub_json(value: Any, key: str) -> Any:
    """A JSON value whose strings are valid Unicode and free of the key."""
    if isinstance(value, str):
        sound = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return redact_key(sound, key)
    if isinstance(value, list):
        return [scrub_json(item, key) for item in value]
    if isinstance(value, dict):
        return {redact_key(name, key): scrub_json(item, key) for name, item in value.items()}
    return value


def redact_key(text: str, key: str) -> str:
    """``text`` without the key itself; a model may write about other keys."""
    for secret in (key, *_secrets):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[key]")
    return text


def tool_call(call_id: Any, name: Any, arguments: Any, key: str) -> ToolCall:
    """A tool call from a reply; arguments that cannot be read become its ``error``."""
    if isinstance(arguments, str):
        try:
            arguments = scrub_json(json.loads(arguments or "{}", parse_constant=_no_constant), key)
        except (ValueError, RecursionError) as error:
            why = f"the arguments are not valid JSON: {error}"
            return ToolCall(id=str(call_id or ""), name=str(name or ""), error=why)
    if not isinstance(arguments, dict):
        why = f"the arguments must be a JSON object, not {type(arguments).__name__}"
        return ToolCall(id=str(call_id or ""), name=str(name or ""), error=why)
    return ToolCall(id=str(call_id or ""), name=str(name or ""), arguments=arguments)
