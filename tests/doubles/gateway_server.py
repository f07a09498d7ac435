"""Gateways on a loopback port, strict: they refuse what the real one refuses, in its words.

Paths, headers and replies are those of each gateway's documentation (``source`` in
eval/gateways.toml) and, of LiteLLM's proxy 1.108.7 and Portkey's gateway 1.15.2, what they were
seen to say.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.doubles.providers import reply
from tests.doubles.strict import refusal

KEY = "sk-gateway-secret-0123456789"
SECRET = "pk-second-secret-abcdef"
BEARER = {"authorization": f"Bearer {KEY}"}
Reply = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """One gateway as a client meets it."""

    path: str
    model: str
    wants: Mapping[str, str]
    """Header -> its value; a request without it is refused."""
    never: tuple[str, ...] = ()
    """Headers that must not come."""
    known: tuple[str, ...] = ()
    """Fields of the body beyond those of the dialect."""
    refused: Callable[[str], tuple[int, Reply]] = lambda why: (
        401, {"error": {"message": why, "type": "authentication_error"}})  # fmt: skip
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of its replies."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What stands in its replies beyond a plain answer."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """The same of the usage."""


FORMS: dict[str, Form] = {
    "openrouter": Form(
        "/api/v1/chat/completions", "deepseek/deepseek-chat", BEARER, known=("models",),
        refused=lambda why: (401, {"error": {"message": "No auth credentials found", "code": 401}}),
        more={"provider": "DeepInfra", "model": "deepseek/deepseek-chat"},
        usage={"cost": 0.00002, "is_byok": False, "cost_details": {"upstream_inference_cost": 19}},
    ),
    "portkey": Form(
        "/v1/chat/completions", "@team/gpt-4.1",
        {"x-portkey-api-key": KEY}, never=("authorization",),
        refused=lambda why: (401, {"status": "failure", "message": "Invalid API Key"}),
        headers={"x-portkey-provider": "openai", "x-portkey-last-used-option-index": "config"},
    ),
    "portkey-self-hosted": Form(
        "/v1/chat/completions", "gpt-4.1", {"x-portkey-provider": "openai", **BEARER},
        refused=lambda why: (400, {"status": "failure", "message": "Either x-portkey-config or"
                                   " x-portkey-provider header is required"}),
        headers={"x-portkey-provider": "openai",
                 "x-portkey-last-used-option-index": "config.targets[1]"},
    ),
    "litellm": Form(
        "/v1/chat/completions", "coder", BEARER, known=("fallbacks",),
        refused=lambda why: (400, {"error": {"message": "No connected db.", "code": "400",
                                             "type": "no_db_connection", "param": None}}),
        headers={"x-litellm-response-cost": "2.05e-05", "x-litellm-attempted-fallbacks": "1",
                 "x-litellm-model-name": "hosted_vllm/smol"},
    ),
    "martian": Form("/v1/chat/completions", "openai/gpt-4.1-nano", BEARER),
    "unify": Form("/v0/chat/completions", "gpt-4o@openai", BEARER),
    "bedrock": Form(
        "/openai/v1/chat/completions", "openai.gpt-oss-120b", BEARER,
        refused=lambda why: (403, {"Message": "Authentication failed: Please make sure your API Key"
                                   " is valid."}),
    ),
    "vertex": Form(
        "/v1/projects/p/locations/l/endpoints/openapi/chat/completions", "google/gemini-2.5-pro",
        BEARER,
        refused=lambda why: (401, [{"error": {"code": 401, "status": "UNAUTHENTICATED", "message":
                                   "Request had invalid authentication credentials."}}]),
    ),
    "azure": Form(
        "/openai/v1/chat/completions", "my-deployment", {"api-key": KEY}, never=("authorization",),
        refused=lambda why: (401, {"error": {"code": "401", "message": "Access denied due to"
                                   " invalid subscription key or wrong API endpoint."}}),
        more={"model": "gpt-4.1-2025-04-14"},
    ),
}  # fmt: skip


class GatewayServer:
    """``with`` it to listen; ``seen`` are (path, headers, body) of what it took."""

    def __init__(self, name: str, **changes: Any) -> None:
        self.form = FORMS[name]
        self.changes = changes
        """``usage`` (None: none), ``headers``, ``more``: other than the form's."""
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.refused: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Nothing on stderr."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                got = {name.lower(): value for name, value in self.headers.items()}
                status, answer, headers = outer.answer(self.path, got, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "content-type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        home = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = home + self.form.path.removesuffix("/chat/completions")

    def answer(
        self, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body and headers for a request."""
        form = self.form
        if path != form.path:
            return 404, {"error": {"message": "Not Found"}}, {}
        for name, value in form.wants.items():
            if headers.get(name) != value:
                self.refused.append(name)
                return (*form.refused(name), {})
        if came := [name for name in form.never if name in headers]:
            self.refused.append(f"not {came[0]}")
            return (*form.refused(came[0]), {})
        plain = {name: value for name, value in body.items() if name not in form.known}
        if why := refusal("chat", plain, frozenset()):
            self.refused.append(why)
            return 400, {"error": {"message": why, "type": "invalid_request_error"}}, {}
        if body["model"] != form.model:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist"}}, {}
        self.seen.append((path, headers, body))
        usage = {"prompt_tokens": 10, "completion_tokens": 5, **form.usage}
        made = {**reply("chat", usage=usage), **form.more, **self.changes.get("more", {})}
        if "usage" in self.changes:
            made["usage"] = self.changes["usage"]
        return 200, made, {**form.headers, **self.changes.get("headers", {})}

    def __enter__(self) -> GatewayServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
