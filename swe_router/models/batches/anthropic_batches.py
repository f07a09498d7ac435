"""Anthropic's Message Batches: many calls in one request, answered within a day at half price.

https://platform.claude.com/docs/en/build-with-claude/batch-processing: 100,000 requests or 256 MB
in a batch; what is errored, cancelled or expired is not billed; results are kept for 29 days.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from swe_router.errors import BadReply, BatchGone, ModelError, Overloaded
from swe_router.model_abilities import (
    BatchAnswer,
    BatchItem,
    BatchPhase,
    BatchSearch,
    BatchSizes,
    BatchState,
)
from swe_router.models.batches import batch_calls
from swe_router.records import CallLimits, Message, ToolSpec

SIZES = BatchSizes(items=100_000, size=250_000_000)
"""The API takes 256 MB, with what stands around the items."""
_PATH = "/v1/messages/batches"
_PHASES: Mapping[str, BatchPhase] = {
    "in_progress": "running",
    "canceling": "cancelling",
    "ended": "ended",
}
_DONE = ("succeeded", "errored", "canceled", "expired")


@dataclass(frozen=True)
class AnthropicBatches:
    """See ``model_abilities.BatchService``."""

    wire: batch_calls.BatchWire
    sizes: BatchSizes = SIZES

    def item(
        self,
        custom_id: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        limits: CallLimits,
    ) -> BatchItem:
        """See ``model_abilities.BatchService``."""
        body = self.wire.item_body(messages, tools, limits)
        size = len(json.dumps({"custom_id": custom_id, "params": body})) + 2
        return BatchItem(custom_id, limits.max_output_tokens, body, size)

    def submit(self, items: Sequence[BatchItem], *, token: str) -> str:
        """See ``model_abilities.BatchService``; ``token`` is in the items' ids alone."""
        requests = [{"custom_id": item.custom_id, "params": dict(item.body)} for item in items]
        seconds = self.wire.seconds.transfer
        try:
            response = self.wire.exchange(
                "POST", _PATH, seconds=seconds, body={"requests": requests}
            )
            made = batch_calls.control_object(response, self.wire.key)
            return _state(made).batch_id
        except ModelError as error:
            raise batch_calls.unsubmitted(error) from None

    def find(self, items: Sequence[BatchItem], *, token: str, since: float) -> BatchSearch:
        """See ``model_abilities.BatchService``.

        The API keeps no token: a batch is known by the ids in its results. One that still runs
        is undecided if it has as many items.
        """
        ids = {item.custom_id for item in items}
        undecided = []
        for listed in self._listed(since - batch_calls.CLOCK_SKEW):
            state = _state(listed)
            if state.total != len(items) or listed.get("archived_at"):
                continue
            if state.phase != "ended":
                undecided.append(state.batch_id)
            elif self._mentions(state.batch_id, ids):
                return BatchSearch(batch_id=state.batch_id)
        return BatchSearch(undecided=tuple(undecided))

    def _listed(self, since: float) -> Iterator[dict[str, Any]]:
        """Batches that were made since then, the newest first."""
        query: dict[str, Any] = {"limit": 100}
        for _ in range(batch_calls.MAX_PAGES):
            page = self.wire.control("GET", _PATH, query=query)
            found = [one for one in page.get("data", ()) if isinstance(one, dict)]
            for one in found:
                if _moment(one.get("created_at")) < since:
                    return
                yield one
            if not found or not page.get("has_more"):
                return
            query["after_id"] = str(found[-1].get("id"))
        raise BadReply(f"the provider lists more than {batch_calls.MAX_PAGES} pages of batches")

    def _mentions(self, batch_id: str, ids: set[str]) -> bool:
        lines = batch_calls.objects_in(self._results(batch_id))
        return any(line is not None and line.get("custom_id") in ids for line in lines)

    def poll(self, batch_id: str) -> BatchState:
        """See ``model_abilities.BatchService``."""
        return self._described(_place(batch_id))

    def _described(self, place: str, method: str = "GET") -> BatchState:
        try:
            return _state(self.wire.control(method, place))
        except ModelError as error:
            raise batch_calls.gone(error) from None

    def _results(self, batch_id: str) -> str:
        # The address of the results that the API names could be anybody's: the key goes to ours.
        place, seconds = f"{_place(batch_id)}/results", self.wire.seconds.transfer
        try:
            response = self.wire.exchange("GET", place, seconds=seconds)
            return batch_calls.results_of(response, self.wire.key)
        except ModelError as error:
            raise batch_calls.gone(error) from None

    def collect(self, batch_id: str, items: Sequence[BatchItem]) -> Iterator[BatchAnswer]:
        """See ``model_abilities.BatchService``."""
        try:
            described = self.wire.control("GET", _place(batch_id))
        except ModelError as error:
            raise batch_calls.gone(error) from None
        if _state(described).phase != "ended":
            raise Overloaded(f"batch {batch_id} has not ended")
        if described.get("archived_at"):
            raise BatchGone(f"the results of batch {batch_id} are deleted")
        results = batch_calls.Results.of(items)
        for item, line in results.take(batch_calls.objects_in(self._results(batch_id))):
            yield self._answer(item, line.get("result"))
        yield from results.rest("absent", batch_calls.absent)

    def _answer(self, item: BatchItem, result: Any) -> BatchAnswer:
        result = result if isinstance(result, dict) else {}
        kind = result.get("type")
        if kind == "succeeded":
            message = result.get("message")
            named = message.get("id") if isinstance(message, dict) else ""
            return self.wire.answer(item, message, batch_calls.text_of(named))
        if kind == "errored":
            return self.wire.fault(item, result.get("error"))
        if kind == "expired":
            return BatchAnswer(item.custom_id, "expired", batch_calls.unprocessed("it expired"))
        if kind == "canceled":
            error = batch_calls.unprocessed("it was cancelled")
            return BatchAnswer(item.custom_id, "cancelled", error)
        return self.wire.refused(item, BadReply(f"a result of a batch has no known type: {kind!r}"))

    def cancel(self, batch_id: str) -> BatchState:
        """See ``model_abilities.BatchService``."""
        return self._described(f"{_place(batch_id)}/cancel", "POST")


def _place(batch_id: str) -> str:
    return f"{_PATH}/{quote(batch_id, safe='')}"


def _state(batch: Mapping[str, Any]) -> BatchState:
    status, batch_id = str(batch.get("processing_status")), batch.get("id")
    counts = batch.get("request_counts")
    if not isinstance(batch_id, str) or not batch_id or status not in _PHASES:
        raise BadReply(f"the reply describes no batch: id {batch_id!r}, status {status!r}")
    counts = counts if isinstance(counts, Mapping) else {}
    done = sum(batch_calls.count_of(counts.get(name)) for name in _DONE)
    return BatchState(
        batch_id,
        _PHASES[status],
        total=done + batch_calls.count_of(counts.get("processing")),
        done=done,
        expires=_moment(batch.get("expires_at")),
        created=_moment(batch.get("created_at")),
        status=status,
    )


def _moment(text: Any) -> float:
    """Unix seconds of an RFC 3339 time; 0: there is none."""
    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
