"""Both providers' batch APIs on loopback: strict, seeded, with their own bill.

``with BatchServer("anthropic") as server`` listens at ``server.base_url`` in the dialect
``anthropic``, ``chat`` or ``responses``; live calls of that dialect are answered there too.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles import batch_bodies
from tests.doubles.batch_bodies import Item, StoredBatch
from tests.doubles.batch_http import Fault, FaultyHandler, FaultyServer

_FILE = re.compile(rb'name="file"; filename="[^"]+\.jsonl"[^\0]*?\r\n\r\n([^\0]*)\r\n--')


@dataclass(frozen=True)
class Billed:
    """One call on the provider's bill."""

    custom_id: str
    """Of a batch's item; empty for a live call."""
    service: str
    """``batch`` or ``standard``."""
    usage: Mapping[str, Any]
    body: Mapping[str, Any]


def plain_answer(dialect: str) -> Callable[[dict[str, Any], str], dict[str, Any]]:
    """Answers every call with ``done``, at 1,000 tokens of input and 50 of output."""
    return lambda body, service: batch_bodies.reply(
        dialect, model=str(body["model"]), service=service
    )


class HandClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class BatchServer:
    """One provider.

    ``answer(body, service)`` makes the reply to a call, ``fate(custom_id, body)`` says what
    becomes of an item (see ``Item.fate``), ``fault(method, path, n)`` what the n-th request meets.
    An item is ready after seconds between ``delays``, drawn by ``seed``; what is not ready
    ``expires`` seconds after its batch was made expires, and what is not ready within
    ``in_flight`` seconds of a cancel is cancelled. Time goes by ``clock``.
    """

    def __init__(
        self,
        dialect: str,
        *,
        seed: int = 0,
        delays: tuple[float, float] = (0.0, 0.0),
        expires: float = 86_400.0,
        in_flight: float = 0.0,
        answer: Callable[[dict[str, Any], str], dict[str, Any]] | None = None,
        fate: Callable[[str, dict[str, Any]], Any] = lambda custom_id, body: "answer",
        fault: Callable[[str, str, int], Fault | None] = lambda method, path, n: None,
        sizes: tuple[int, int] = (100_000, 256_000_000),
        page: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.dialect, self.delays, self.expires = dialect, delays, expires
        self.in_flight, self.sizes, self.page, self.clock = in_flight, sizes, page, clock
        self.answer = answer or plain_answer(dialect)
        self.fate, self.fault = fate, fault
        self.batches: dict[str, StoredBatch] = {}
        self.files: dict[str, str] = {}
        self.bill: list[Billed] = []
        self.requests: list[tuple[str, str]] = []
        self.refused: list[str] = []
        """Why requests and items were refused."""
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._server = FaultyServer(("127.0.0.1", 0), FaultyHandler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        """The ``base_url`` of a tier."""
        return self.root if self.dialect == "anthropic" else f"{self.root}/v1"

    def __enter__(self) -> BatchServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_fault(self, method: str, path: str) -> Fault | None:
        """What the next request meets."""
        with self._lock:
            number = len(self.requests)
            self.requests.append((method, path))
        return self.fault(method, path, number)

    def handle(self, method: str, path: str, query: dict[str, str], data: bytes) -> tuple[int, Any]:
        """(status, body) of a request."""
        with self._lock:
            self._settle()
            if path == batch_bodies.PATHS[self.dialect] and method == "POST":
                return self._live(json.loads(data))
            if self.dialect == "anthropic":
                return self._anthropic(method, path, query, data)
            return self._openai(method, path, query, data)

    def _live(self, body: dict[str, Any]) -> tuple[int, Any]:
        reply = self.answer(body, "standard")
        self.bill.append(Billed("", "standard", reply["usage"], body))
        return 200, reply

    def _refuse(self, status: int, why: str, kind: str = "invalid_request_error"):
        self.refused.append(why)
        error = {"type": kind, "message": why}
        return status, {"type": "error", "error": error}

    def _anthropic(self, method: str, path: str, query: dict[str, str], data: bytes):
        rest = path.removeprefix("/v1/messages/batches").strip("/").split("/")
        if method == "POST" and rest == [""]:
            return self._create_anthropic(data)
        if method == "GET" and rest == [""]:
            return 200, self._page(query.get("after_id", ""), int(query.get("limit", 20)))
        batch = self.batches.get(rest[0])
        if batch is None:
            return self._refuse(404, f"batch {rest[0]} not found", "not_found_error")
        if method == "GET" and rest[1:] == ["results"]:
            if not batch.ended_at or batch.deleted:
                return self._refuse(404, "no results", "not_found_error")
            return 200, self._lines(batch, batch_bodies.anthropic_line, batch.items)
        if method == "POST" and rest[1:] == ["cancel"]:
            self._cancel(batch)
        return 200, batch_bodies.message_batch(batch, self.root)

    def _create_anthropic(self, data: bytes):
        if len(data) > self.sizes[1]:
            return self._refuse(413, "Request exceeds the maximum size", "request_too_large")
        body = json.loads(data)
        requests = body.get("requests")
        if set(body) != {"requests"} or not requests:
            return self._refuse(400, "requests: Field required, and nothing else")
        if len(requests) > self.sizes[0]:
            return self._refuse(400, f"requests: at most {self.sizes[0]} requests")
        seen: set[str] = set()
        for number, request in enumerate(requests):
            if set(request) != {"custom_id", "params"}:
                return self._refuse(400, f"requests.{number}: Extra inputs are not permitted")
            custom_id = request["custom_id"]
            if not batch_bodies.CUSTOM_ID.fullmatch(custom_id) or custom_id in seen:
                return self._refuse(400, f"requests.{number}.custom_id: {custom_id!r} is no new id")
            seen.add(custom_id)
        calls = [(request["custom_id"], request["params"]) for request in requests]
        batch = self._made("msgbatch_", calls)
        return 200, batch_bodies.message_batch(batch, self.root)

    def _openai(self, method: str, path: str, query: dict[str, str], data: bytes):
        rest = path.removeprefix("/v1/").strip("/").split("/")
        if method == "POST" and rest == ["files"]:
            return self._upload(data)
        if method == "GET" and rest[0] == "files" and rest[2:] == ["content"]:
            text = self._file(rest[1])
            return (200, text) if text is not None else self._refuse(404, "No such File object")
        if rest == ["batches"]:
            if method == "GET":
                return 200, self._page(query.get("after", ""), int(query.get("limit", 20)))
            return self._create_openai(json.loads(data))
        batch = self.batches.get(rest[1]) if rest[0] == "batches" and len(rest) > 1 else None
        if batch is None:
            return self._refuse(404, f"No batch found with id '{rest[-1]}'.")
        if method == "POST" and rest[2:] == ["cancel"]:
            if batch.ended_at:
                return self._refuse(409, "Cannot cancel a batch that has ended.")
            self._cancel(batch)
        return 200, batch_bodies.openai_batch(batch, self.clock())

    def _upload(self, data: bytes):
        purpose = re.search(rb'name="purpose"\r\n\r\n(\w+)\r\n', data)
        file = re.search(
            rb'name="file"; filename="[^"]+\.jsonl"[^\0]*?\r\n\r\n([^\0]*)\r\n--', data
        )
        if purpose is None or purpose[1] != b"batch" or file is None:
            return self._refuse(400, "Invalid file format for Batch API. Must be .jsonl")
        if len(file[1]) > self.sizes[1]:
            return self._refuse(400, "File is too large.")
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = file[1].decode()
        return 200, {"id": file_id, "object": "file", "bytes": len(file[1]), "created_at": 1,
                     "filename": "batch.jsonl", "purpose": "batch",
                     "status": "processed"}  # fmt: skip

    def _create_openai(self, body: dict[str, Any]):
        known = {"input_file_id", "endpoint", "completion_window", "metadata"}
        if not set(body) <= known or body.get("completion_window") != "24h":
            return self._refuse(400, f"Unknown parameter: {sorted(set(body) - known)}")
        if body["endpoint"] != batch_bodies.PATHS[self.dialect]:
            return self._refuse(400, "Invalid endpoint")
        calls, errors, seen = [], [], set()
        for number, line in enumerate(self.files[body["input_file_id"]].splitlines(), 1):
            request = json.loads(line)
            custom_id = request.get("custom_id")
            if set(request) != {"custom_id", "method", "url", "body"} or not custom_id:
                errors.append({"code": "invalid_json_line", "line": number, "message": "Bad line."})
            elif custom_id in seen:
                why = f"The custom_id '{custom_id}' for this request is a duplicate."
                errors.append({"code": "duplicate_custom_id", "line": number, "message": why})
            elif request["url"] != body["endpoint"] or request["method"] != "POST":
                errors.append({"code": "mismatched_url", "line": number, "message": "Wrong URL."})
            seen.add(custom_id)
            calls.append((custom_id, request.get("body")))
        if len(calls) > self.sizes[0]:
            errors = [{"code": "too_many_tasks", "line": None, "message": "Too many requests."}]
        made = self._made("batch_", calls, errors)
        made.input_file_id = body["input_file_id"]
        made.metadata = body.get("metadata") or {}
        return 200, batch_bodies.openai_batch(made, self.clock())

    def _made(self, prefix: str, calls, errors=()) -> StoredBatch:
        """A new batch; what is wrong with single calls is their own error, as at the providers."""
        now = self.clock()
        items = []
        for custom_id, body in calls:
            why = batch_bodies.refusal(self.dialect, body) if not errors else ""
            fate = {"type": "invalid_request_error", "message": why} if why else None
            if why:
                self.refused.append(why)
            ready = now + self._random.uniform(*self.delays)
            fate = fate or (self.fate(custom_id, body) if not errors else "answer")
            items.append(Item(custom_id, body, ready, fate))
        batch_id = f"{prefix}{len(self.batches):04d}"
        batch = StoredBatch(batch_id, self.dialect, items, now, now + self.expires)
        if errors:
            batch.failed, batch.ended_at = errors, now
        self.batches[batch_id] = batch
        return batch

    def _cancel(self, batch: StoredBatch) -> None:
        if not batch.ended_at:
            batch.cancelled_at = batch.cancelled_at or self.clock()
            self._settle()

    def _settle(self) -> None:
        """End what is over by now."""
        now = self.clock()
        for batch in self.batches.values():
            last = batch.expires
            if batch.cancelled_at:
                last = min(batch.expires, batch.cancelled_at + self.in_flight)
            for item in batch.items:
                if not item.end and not batch.failed and item.ready <= min(now, last):
                    self._finish(batch, item)
                elif not item.end and not batch.failed and now >= last:
                    item.end = "canceled" if batch.cancelled_at else "expired"
            if not batch.ended_at and all(item.end for item in batch.items):
                batch.ended_at = now

    def _finish(self, batch: StoredBatch, item: Item) -> None:
        if isinstance(item.fate, dict):
            item.end = "errored"
            return
        item.end = "succeeded"
        item.reply = self.answer(item.body, "batch")
        self.bill.append(Billed(item.custom_id, "batch", item.reply["usage"], item.body))

    def _page(self, after: str, limit: int) -> dict[str, Any]:
        limit = min(limit, self.page)
        newest = sorted(self.batches.values(), key=lambda batch: batch.batch_id, reverse=True)
        if after:
            at = next(n for n, batch in enumerate(newest) if batch.batch_id == after)
            newest = newest[at + 1 :]
        show = newest[:limit]
        data = [
            batch_bodies.message_batch(batch, self.root)
            if self.dialect == "anthropic"
            else batch_bodies.openai_batch(batch, self.clock())
            for batch in show
        ]
        ids = [batch.batch_id for batch in show]
        return {
            "object": "list",
            "data": data,
            "has_more": len(newest) > limit,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
        }

    def _file(self, file_id: str) -> str | None:
        kind, _, batch_id = file_id.partition("-")
        batch = self.batches.get(batch_id)
        if batch is None or kind not in ("out", "err") or batch.deleted:
            return None
        good = [item for item in batch.items if (item.end == "succeeded") == (kind == "out")]
        return self._lines(batch, batch_bodies.openai_line, good)

    def _lines(self, batch: StoredBatch, line_of, items) -> str:
        """Lines of results, in an order that is not that of the requests."""
        lines = [line for item in items if (line := line_of(item)) is not None]
        random.Random(batch.batch_id).shuffle(lines)
        return "".join(json.dumps(line) + "\n" for line in lines)
