"""A server on loopback whose answers can be lost, cut, late, or somebody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

KEY = "key-of-the-test"
PAGE = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass(frozen=True)
class Fault:
    """What a request meets in the place of its answer."""

    status: int = 200
    body: Any = ""
    """Sent as it is where it is a text, else as JSON."""
    acts: bool = False
    """The request is carried out first: only its answer is lost."""
    stall: float = 0.0
    """Seconds before the answer."""
    hangs_up: bool = False
    """The connection is closed without an answer."""
    cut: int | None = None
    """So many bytes of the right answer come, then the connection is closed."""
    headers: Mapping[str, str] | None = None
    changes: Callable[[str], str] | None = None
    """The right answer comes, changed by this."""


class Provider(Protocol):
    """What answers behind the server."""

    def next_fault(self, method: str, path: str) -> Fault | None: ...

    def handle(
        self, method: str, path: str, query: dict[str, str], data: bytes
    ) -> tuple[int, Any]: ...


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True
    provider: Provider


class FaultyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        provider = self.server.provider
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        fault = provider.next_fault(method, parts.path)
        answered: tuple[int, Any] = (0, "")
        right = fault is None or fault.cut is not None or fault.changes is not None
        if right or (fault is not None and fault.acts):
            answered = self._answered(method, parts.path, query, data)
        if fault is not None:
            time.sleep(fault.stall)
            if fault.hangs_up:
                self.close_connection = True
                return
            if not right:
                answered = fault.status, fault.body
        self._send(*answered, fault or Fault())

    def _answered(
        self, method: str, path: str, query: dict[str, str], data: bytes
    ) -> tuple[int, Any]:
        given = self.headers.get("x-api-key") or ""
        given = given or self.headers.get("authorization", "").removeprefix("Bearer ")
        if given != KEY:
            error = {"type": "authentication_error", "message": f"invalid key {given}"}
            return 401, {"type": "error", "error": error}
        return self.server.provider.handle(method, path, query, data)

    def _send(self, status: int, body: Any, fault: Fault) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        text = fault.changes(text) if fault.changes else text
        data = text.encode()
        self.send_response(status)
        kind = "text/html" if text.startswith("<") else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in (fault.headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: fault.cut])
        self.close_connection = self.close_connection or fault.cut is not None
