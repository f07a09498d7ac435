"""A provider on a loopback port that can die, come back, refuse, hang or answer nonsense."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
"""What it says in the dialect of Anthropic."""


def call(name: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    message = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    return {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def work(turn: int) -> dict[str, Any]:
    """An attempt of three steps that leaves a patch."""
    if turn == 0:
        return call("bash", command="ls")
    if turn == 1:
        return call("bash", command="echo right > fixed.py")
    return call("submit")


class Provider:
    """Speaks as much of the chat dialect as a run needs; ``with`` it to listen.

    ``refuse(n)`` gives (status, body) for the n-th request of all, or None to answer it;
    ``models`` is what it lists, unless ``listing`` gives (status, body). ``asked`` counts the
    calls, ``knocks`` the listings.
    """

    def __init__(
        self,
        *,
        models: tuple[str, ...] = ("m",),
        listing: tuple[int, Any] | None = None,
        tls: ssl.SSLContext | None = None,
        window: int = 100_000,
        refuse: Callable[[int], tuple[int, Any] | None] = lambda n: None,
        after: Callable[[int], None] = lambda n: None,
    ) -> None:
        self.models, self.window, self.listing = models, window, listing
        self.refuse, self.after, self.tls = refuse, after, tls
        self.paths: list[str] = []
        self.asked, self.knocks, self.hanging = 0, 0, False
        self.seen: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                provider.knocks += 1
                provider.paths.append(self.path)
                listed = self.path.endswith("/models")
                provider._answer(self, *(provider._listed() if listed else (404, {})))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.paths.append(self.path)
                with provider._lock:
                    n, provider.asked = provider.asked, provider.asked + 1
                    provider.seen.append(body)
                refused = provider.refuse(n)
                turn = sum(m.get("role") == "assistant" for m in body["messages"])
                anthropic = self.path.endswith("/messages")
                provider._answer(self, *(refused or (200, TEXT if anthropic else work(turn))))
                provider.after(n)

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def away(self, until: Callable[[], object]) -> None:
        """Nobody listens before ``until`` has returned; comes back at once itself."""

        def gone():
            self.stop()
            until()
            self.start()

        threading.Thread(target=gone, daemon=True).start()

    def _listed(self):
        rows = [{"id": name, "max_model_len": self.window} for name in self.models]
        return self.listing or (200, {"object": "list", "data": rows})

    def _answer(self, handler, status, body):
        while self.hanging:
            time.sleep(0.02)
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/html" if isinstance(body, str) else "application/json"
        try:
            handler.send_response(status)
            handler.send_header("content-type", kind)
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except OSError:
            pass
