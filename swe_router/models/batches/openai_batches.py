"""OpenAI's Batch API, of chat and of responses: a file of calls, answered in files within a day.

https://developers.openai.com/api/docs/guides/batch: 50,000 requests or 200 MB in a batch, all of
one model and endpoint. What is wrong with a file is reported by the batch that failed over it, not
by the request that made the batch. Answers are in one file, refused and expired calls in another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from swe_router.errors import BadReply, ModelError, Overloaded
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

SIZES = BatchSizes(items=50_000, size=200_000_000)
TOKEN = "swe_router_batch"  # noqa: S105
"""Name of a batch's token in its metadata."""
_PHASES: Mapping[str, BatchPhase] = {
    "validating": "running",
    "in_progress": "running",
    "finalizing": "running",
    "cancelling": "cancelling",
    "completed": "ended",
    "failed": "ended",
    "expired": "ended",
    "cancelled": "ended",
}


@dataclass(frozen=True)
class OpenAIBatches:
    """See ``model_abilities.BatchService``. ``endpoint`` is that of the tier's live calls."""

    wire: batch_calls.BatchWire
    endpoint: str
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
        item = BatchItem(custom_id, limits.max_output_tokens, body)
        return BatchItem(custom_id, limits.max_output_tokens, body, len(self._line(item)))

    def _line(self, item: BatchItem) -> bytes:
        line = {"custom_id": item.custom_id, "method": "POST", "url": self.endpoint}
        # In ASCII: some characters of Unicode end a line for who splits the file.
        return json.dumps({**line, "body": dict(item.body)}).encode() + b"\n"

    def submit(self, items: Sequence[BatchItem], *, token: str) -> str:
        """See ``model_abilities.BatchService``."""
        seconds = self.wire.seconds.transfer
        upload = b"".join(map(self._line, items))
        try:
            # A file alone is no batch and costs nothing, whether it arrived or not.
            response = self.wire.exchange("POST", "/files", seconds=seconds, upload=upload)
            uploaded = batch_calls.control_object(response, self.wire.key)
        except ModelError as error:
            found = batch_calls.unsubmitted(error)
            found.billed = False
            raise found from None
        body = {
            "input_file_id": str(uploaded.get("id")),
            "endpoint": self.endpoint,
            "completion_window": "24h",
            "metadata": {TOKEN: token},
        }
        try:
            return _state(self.wire.control("POST", "/batches", body=body)).batch_id
        except ModelError as error:
            raise batch_calls.unsubmitted(error) from None

    def find(self, items: Sequence[BatchItem], *, token: str, since: float) -> BatchSearch:
        """See ``model_abilities.BatchService``."""
        query: dict[str, Any] = {"limit": 100}
        for _ in range(batch_calls.MAX_PAGES):
            page = self.wire.control("GET", "/batches", query=query)
            found = [one for one in page.get("data", ()) if isinstance(one, dict)]
            for one in found:
                state = _state(one)
                if state.created < since - batch_calls.CLOCK_SKEW:
                    return BatchSearch()
                metadata = one.get("metadata")
                if isinstance(metadata, dict) and metadata.get(TOKEN) == token:
                    return BatchSearch(batch_id=state.batch_id)
            if not found or not page.get("has_more"):
                return BatchSearch()
            query["after"] = str(found[-1].get("id"))
        raise BadReply(f"the provider lists more than {batch_calls.MAX_PAGES} pages of batches")

    def poll(self, batch_id: str) -> BatchState:
        """See ``model_abilities.BatchService``."""
        return _state(self._described(_place(batch_id)))

    def _described(self, place: str, method: str = "GET") -> dict[str, Any]:
        try:
            return self.wire.control(method, place)
        except ModelError as error:
            raise batch_calls.gone(error) from None

    def collect(self, batch_id: str, items: Sequence[BatchItem]) -> Iterator[BatchAnswer]:
        """See ``model_abilities.BatchService``."""
        described = self._described(_place(batch_id))
        state = _state(described)
        if state.phase != "ended":
            raise Overloaded(f"batch {batch_id} has not ended")
        if state.status == "failed":
            yield from self._refused(described, items)
            return
        results, answered, failure = batch_calls.Results.of(items), 0, None
        for name in ("output_file_id", "error_file_id"):
            file_id = described.get(name)
            if not isinstance(file_id, str) or not file_id:
                continue
            try:
                text = self._content(file_id)
            except ModelError as error:
                # What stands in the other file is known all the same.
                failure = failure or error
                continue
            for item, line in results.take(batch_calls.objects_in(text)):
                answer = self._answer(item, line)
                answered += answer.end == "answered"
                yield answer
        if failure is not None and results.left:
            raise failure
        yield from _rest(results, state.status, described, answered, len(items))

    def _content(self, file_id: str) -> str:
        place, seconds = f"/files/{quote(file_id, safe='')}/content", self.wire.seconds.transfer
        try:
            response = self.wire.exchange("GET", place, seconds=seconds)
            return batch_calls.results_of(response, self.wire.key)
        except ModelError as error:
            raise batch_calls.gone(error) from None

    def _answer(self, item: BatchItem, line: Mapping[str, Any]) -> BatchAnswer:
        response, error = line.get("response"), line.get("error")
        if not isinstance(response, dict):
            return self._unanswered(item, error)
        status, body = response.get("status_code"), response.get("body")
        if isinstance(status, int) and status >= 400:
            return self.wire.fault(item, body if body else f"HTTP {status}", status)
        return self.wire.answer(item, body, batch_calls.text_of(response.get("request_id")))

    def _unanswered(self, item: BatchItem, error: Any) -> BatchAnswer:
        code = str(error.get("code") if isinstance(error, dict) else "")
        if "expired" in code:
            return BatchAnswer(item.custom_id, "expired", batch_calls.unprocessed("it expired"))
        if "cancel" in code:
            why = batch_calls.unprocessed("it was cancelled")
            return BatchAnswer(item.custom_id, "cancelled", why)
        return self.wire.fault(item, error)

    def _refused(
        self, described: Mapping[str, Any], items: Sequence[BatchItem]
    ) -> Iterator[BatchAnswer]:
        """The answers of a batch that was refused as a whole, for some of its lines or for all."""
        errors = _errors(described)
        of_lines = {error["line"]: error for error in errors if isinstance(error.get("line"), int)}
        for number, item in enumerate(items, 1):
            if of_lines and number not in of_lines:
                why = batch_calls.unprocessed("other calls of it were refused")
                yield BatchAnswer(item.custom_id, "errored", why)
            else:
                found = of_lines.get(number) or (errors[0] if errors else "the batch failed")
                yield self.wire.fault(item, found, 400)

    def cancel(self, batch_id: str) -> BatchState:
        """See ``model_abilities.BatchService``."""
        return _state(self._described(f"{_place(batch_id)}/cancel", "POST"))


def _place(batch_id: str) -> str:
    return f"/batches/{quote(batch_id, safe='')}"


def _errors(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    errors = described.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def _rest(
    results: batch_calls.Results,
    status: str,
    described: Mapping[str, Any],
    answered: int,
    asked: int,
) -> Iterator[BatchAnswer]:
    """The answers of what neither file mentions."""
    counts = described.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    total = batch_calls.count_of(counts.get("total"))
    # Where more was answered than the files show, some of these may be among it.
    whole = total == asked and batch_calls.count_of(counts.get("completed")) <= answered
    if whole and status == "expired":
        yield from results.rest("expired", lambda: batch_calls.unprocessed("it expired"))
    elif whole and status == "cancelled":
        yield from results.rest("cancelled", lambda: batch_calls.unprocessed("it was cancelled"))
    else:
        yield from results.rest("absent", batch_calls.absent)


def _state(batch: Mapping[str, Any]) -> BatchState:
    status, batch_id = str(batch.get("status")), batch.get("id")
    if not isinstance(batch_id, str) or not batch_id or status not in _PHASES:
        raise BadReply(f"the reply describes no batch: id {batch_id!r}, status {status!r}")
    counts = batch.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    failed = ""
    if status == "failed":
        errors = [str(one.get("message") or one.get("code") or "") for one in _errors(batch)]
        failed = "; ".join(errors[:3]) or "the provider gives no reason"
    return BatchState(
        batch_id,
        _PHASES[status],
        total=batch_calls.count_of(counts.get("total")),
        done=sum(batch_calls.count_of(counts.get(name)) for name in ("completed", "failed")),
        expires=float(batch_calls.count_of(batch.get("expires_at"))),
        created=float(batch_calls.count_of(batch.get("created_at"))),
        status=status,
        failed=failed,
    )
