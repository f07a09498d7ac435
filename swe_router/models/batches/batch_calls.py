"""What the batch APIs of all providers have in common: items, lines of results, their errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from swe_router.errors import (
    BadReply,
    BatchGone,
    ModelError,
    ModelUnknown,
    NoAnswer,
    NoConnection,
    NotProcessed,
    Refused,
    SettingRefused,
)
from swe_router.model_abilities import BatchAnswer, BatchItem, BatchSizes, ItemEnd
from swe_router.models import error_mapping, gateway_calls, http_calls, server_quirks
from swe_router.records import CallLimits, Completion
from swe_router.settings import Tier

REPLY_BYTES = 1_000_000_000
"""Longest file of results that is read."""
CLOCK_SKEW = 600.0
"""Seconds by which a provider's clock may be behind ours."""
MAX_PAGES = 50
"""Pages of a listing that are looked through for one batch."""
USUAL_PARAMETERS = frozenset(
    {"temperature", "seed", "tool_choice", "parallel_tool_calls", "reasoning", "reasoning_effort",
     "verbosity", "thinking", "output_config", "max_tokens", "max_completion_tokens",
     "max_output_tokens", "prompt_cache_key"}
)  # fmt: skip
"""What an item is taken to have been sent with where its body is not known any more."""
_REJECTED = frozenset({503, 529})
"""Statuses of 500 and above with which a server takes nothing on."""


@dataclass(frozen=True)
class BatchSeconds:
    """Seconds that one request to a batch API may take."""

    control: float = 60.0
    """For an answer of a few lines."""
    transfer: float = 900.0
    """For all items, or all results."""


SECONDS = BatchSeconds()


@dataclass(frozen=True)
class Exchange:
    """Requests to one provider's batch API, by the client of its SDK."""

    client: Callable[[], Any]
    """The SDK's; raises ``Unauthorised`` where there is no key for it."""
    status_error: type[Exception]
    connection_error: type[Exception]
    key: str

    def __call__(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        upload: bytes | None = None,
    ) -> httpx2.Response:
        """The response, whole. Raises ``ModelError``. ``upload`` is a file of JSON lines."""
        client = self.client()
        limits = CallLimits(max_output_tokens=1, timeout=seconds)
        options: dict[str, Any] = {"timeout": http_calls.timeouts(limits)}
        more: dict[str, Any] = {}
        if query:
            options["params"] = dict(query)
        if upload is not None:
            options["headers"] = {"Content-Type": "multipart/form-data"}
            file = ("file", ("batch.jsonl", upload, "application/jsonl"))
            more = {"body": {"purpose": "batch"}, "files": [file]}
        elif body is not None:
            more = {"body": dict(body)}
        send = client.get if method == "GET" else client.post
        return http_calls.send_request(
            lambda: send(path, cast_to=httpx2.Response, options=options, **more),
            self.status_error,
            self.connection_error,
            self.key,
            {},
        )


@dataclass(frozen=True)
class BatchWire:
    """How one tier's items are made, sent and read: as its live calls are."""

    tier: Tier
    key: str
    exchange: Exchange
    body: Callable[..., dict[str, Any]]
    """(messages, tools, limits) -> the request of a live call."""
    read: Callable[[dict[str, Any], str], Completion]
    """(reply, request id) -> the completion. Raises ``BadReply``."""
    seconds: BatchSeconds = SECONDS

    def item_body(self, *call: Any) -> dict[str, Any]:
        """The request of a call as this server is known to take it."""
        fitted = server_quirks.quirks_of(self.tier).fitted(self.body(*call))
        # A batch has a service of its own.
        fitted.pop("service_tier", None)
        return fitted

    def control(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The object that a request of a few lines is answered with."""
        response = self.exchange(method, path, seconds=self.seconds.control, **more)
        return control_object(response, self.key)

    def answer(self, item: BatchItem, reply: Any, request_id: str = "") -> BatchAnswer:
        """What the model's reply to an item amounts to."""
        try:
            text = reply if isinstance(reply, str) else json.dumps(reply)
            sound = http_calls.object_in(text, self.key, item.body)
            completion = self.read(sound, http_calls.redact_key(request_id, self.key))
        except ModelError as error:
            return self.refused(item, error)
        completion = gateway_calls.attributed(completion, self.tier, sound, {})
        limits = CallLimits(max_output_tokens=item.max_output_tokens)
        completion = http_calls.with_window_stop(completion, self.tier, limits)
        return BatchAnswer(item.custom_id, "answered", completion)

    def fault(self, item: BatchItem, error: Any, status: int = 200) -> BatchAnswer:
        """What a provider's error in the place of an item's reply amounts to; it is not billed."""
        found = error_of(error, self.key, status=status, body=item.body)
        return self.refused(item, found)

    def refused(self, item: BatchItem, error: ModelError) -> BatchAnswer:
        """The answer of an error, after the client has learned from it."""
        return BatchAnswer(item.custom_id, "errored", error, learned=self._learns(item, error))

    def _learns(self, item: BatchItem, error: ModelError) -> bool:
        if error.billed or not isinstance(error, Refused | SettingRefused | ModelUnknown):
            return False
        lessons = server_quirks.quirks_of(self.tier)
        lessons.learn(error, item.body)
        # Another item of the batch may have taught it first.
        return lessons.fitted(item.body) != dict(item.body)


def control_object(response: httpx2.Response, key: str) -> dict[str, Any]:
    """The object of a reply that describes a batch, a file or a list. Raises ``ModelError``."""
    try:
        value = json.loads(response.text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and ("id" in value or isinstance(value.get("data"), list)):
        # A batch that failed has a status that would be an error of a live call.
        return http_calls.scrub_json(value, key)  # type: ignore[no-any-return]
    http_calls.json_of(response, key, {})
    raise BadReply(f"the reply describes no batch: {http_calls.short_message(response.text, key)}")


def error_of(
    error: Any, key: str, *, status: int = 200, body: Mapping[str, Any] | None = None
) -> ModelError:
    """The ``ModelError`` of an error that a batch API reports of an item: nothing was billed."""
    page = error_mapping.error_in_text(error) if isinstance(error, str) else None
    fault = page or error_mapping.ProviderError.of(error)
    text = http_calls.short_message(
        error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str), key
    )
    found = error_mapping.to_model_error(
        fault, status, f"in a batch: {text}", sent=body or USUAL_PARAMETERS, billed=False
    )
    found.refusal = http_calls.redact(found.refusal, key)
    return found


def gone(error: ModelError) -> ModelError:
    """The error of a request about one batch or file: ``BatchGone`` where the provider has none."""
    page = error.refusal.startswith(error_mapping.PAGE)
    if error.status in (404, 410) and not page and not isinstance(error, NoConnection):
        return BatchGone(str(error), status=error.status)
    return error


def unsubmitted(error: ModelError) -> ModelError:
    """The error of a ``submit``: ``billed`` where a batch may have been made all the same."""
    if error.status in (404, 405):
        why = f"{error}: this server has no batch API: run without --batch"
        return SettingRefused(why, status=error.status)
    if error.status == 413:
        return SettingRefused(f"{error}: the batch is too large for this server", status=413)
    refused = 400 <= error.status < 500 or error.status in _REJECTED
    if not (refused or isinstance(error, NoConnection)):
        error.billed = True
    return error


def text_of(value: Any) -> str:
    """A field of a reply that should be a text; else empty."""
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    """A field of a reply that should be a count; else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def results_of(response: httpx2.Response, key: str) -> str:
    """The JSON lines of a file of results. Raises the ``ModelError`` of what is no such file."""
    text = response.text
    if not text.endswith("\n") and None in objects_in(text.rpartition("\n")[2]) and "\n" in text:
        raise NoAnswer("the results of the batch break off in a line")
    if text.strip() and not any(line and "custom_id" in line for line in objects_in(text)):
        http_calls.object_in(text, key, {})
        raise BadReply(f"no results of a batch: {http_calls.short_message(text[:2000], key)}")
    return text


def objects_in(text: str) -> Iterator[dict[str, Any] | None]:
    """The objects of JSON lines; None for a line that is none."""
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield value if isinstance(value, dict) else None


@dataclass
class Results:
    """The answers of one batch as they are read, each item's once."""

    items: Mapping[str, BatchItem]
    left: set[str]
    broken: int = 0
    """Lines that could not be read."""

    @classmethod
    def of(cls, items: Sequence[BatchItem]) -> Results:
        """Of the items that are asked for."""
        return cls({item.custom_id: item for item in items}, {item.custom_id for item in items})

    def take(self, lines: Iterable[dict[str, Any] | None]) -> Iterator[tuple[BatchItem, Any]]:
        """Items with their lines; lines of other items, and second ones, are left out."""
        for line in lines:
            custom_id = line.get("custom_id") if line is not None else None
            if line is None or not isinstance(custom_id, str):
                self.broken += 1
            elif custom_id in self.left:
                self.left.discard(custom_id)
                yield self.items[custom_id], line

    def rest(self, end: ItemEnd, error: Callable[[], ModelError]) -> Iterator[BatchAnswer]:
        """The answers of what no readable line mentioned."""
        for custom_id in sorted(self.left):
            if self.broken:
                yield BatchAnswer(custom_id, "absent", absent(self.broken))
            else:
                yield BatchAnswer(custom_id, end, error())
        self.left.clear()


def absent(broken: int = 0) -> ModelError:
    """The error of an item that the readable lines of its batch's results do not mention."""
    why = f": {broken} of their lines cannot be read" if broken else ""
    return NoAnswer(f"the batch ended, and its results do not mention this call{why}")


def unprocessed(why: str) -> ModelError:
    """The error of an item whose batch ended before it was worked on."""
    return NotProcessed(f"the batch ended before this call was worked on: {why}")


def split_items(items: Sequence[BatchItem], sizes: BatchSizes) -> list[list[BatchItem]]:
    """The items in as few batches as the provider's limits allow, in their order.

    An item that is longer than a whole batch may be goes in one of its own: the provider refuses
    it, as it would a live call.
    """
    out: list[list[BatchItem]] = []
    size = 0
    for item in items:
        full = not out or len(out[-1]) >= sizes.items or size + item.size > sizes.size
        if full:
            out.append([])
            size = 0
        out[-1].append(item)
        size += item.size
    return out
