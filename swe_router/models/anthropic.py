"""Anthropic's Messages API: native tools, prompt caching, one usage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import anthropic
import httpx2

from swe_router import model_facts
from swe_router.errors import BadReply, NoAnswer, Unauthorised
from swe_router.models import (
    cache_lifetime,
    cache_marks,
    call_options,
    gateway_calls,
    http_calls,
    message_history,
    server_quirks,
    token_usage,
)
from swe_router.models.batches import anthropic_batches, batch_calls
from swe_router.records import CallLimits, Completion, Message, ToolCall, ToolSpec
from swe_router.settings import Tier

OWN_ADDRESS = "https://api.anthropic.com"
"""Of a tier without ``base_url``, whatever ``ANTHROPIC_BASE_URL`` says."""
STREAM_ABOVE = 20_000
"""Output caps above this are streamed: an idle connection would not live through the wait."""
OPTIONS = ("effort", "thinking", "cache_ttl", "parallel_tool_calls", *call_options.COMMON)

_log = logging.getLogger(__name__)
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


class AnthropicModel:
    """A Claude model, or (by ``base_url``) one behind a server that speaks this dialect.

    Options: ``effort``, ``thinking`` (as the API takes it), ``parallel_tool_calls``, ``cache_ttl``
    (``5m`` or ``1h``; unset: by the time that passed between the calls so far); of servers that
    differ: ``strict`` (tools are marked so; by default at a ``base_url``, where it is what makes
    vLLM keep to their schemas) and ``leave_out`` (parameters that are never sent).
    """

    def __init__(
        self,
        tier: Tier,
        *,
        session: str,
        key: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        call_options.check_options(tier, OPTIONS)
        self._tier, self._session, self._key, self._clock = tier, session, key, clock
        self._logged = ""
        """Terms without a listed price that were logged last."""

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        self._check_key()
        ttl = self._ttl or cache_lifetime.chosen_ttl(messages, limits.gaps)
        body = self._body(messages, tools, limits, ttl)

        def send(fit: dict[str, Any]) -> Completion:
            start = self._clock()
            response = http_calls.send_request(
                lambda: self._send(dict(fit), limits),
                anthropic.APIStatusError,
                anthropic.APIConnectionError,
                self._key,
                fit,
            )
            seconds = max(0.0, self._clock() - start)
            reply = http_calls.json_of(response, self._key, fit)
            answer = self._read(reply, response.headers, seconds, ttl)
            answer = gateway_calls.attributed(answer, self._tier, reply, response.headers)
            return http_calls.with_window_stop(answer, self._tier, limits)

        return server_quirks.send_with_quirks(self._tier, body, send)

    def batches(
        self, seconds: batch_calls.BatchSeconds = batch_calls.SECONDS
    ) -> anthropic_batches.AnthropicBatches:
        """See ``model_abilities.HasBatches``."""
        ttl = self._ttl or cache_lifetime.BATCH_TTL
        wire = batch_calls.BatchWire(
            self._tier,
            self._key,
            batch_calls.Exchange(
                lambda: self._batch_client,
                anthropic.APIStatusError,
                anthropic.APIConnectionError,
                self._key,
            ),
            body=lambda messages, tools, limits: self._body(messages, tools, limits, ttl),
            read=lambda reply, name: self._read(reply, {"request-id": name}, 0.0, ttl),
            seconds=seconds,
        )
        return anthropic_batches.AnthropicBatches(wire)

    @property
    def _ttl(self) -> cache_lifetime.Ttl | None:
        """How long the tier wants its prompts kept; None: as the gaps between calls say."""
        return self._tier.options.get("cache_ttl")

    def _check_key(self) -> None:
        # A server of one's own, such as vLLM with this dialect, may need none.
        if not self._key and (self._tier.api_key_env or not self._tier.base_url):
            raise Unauthorised(f"no key: set {self._tier.api_key_env or 'api_key_env of the tier'}")

    @cached_property
    def _client(self) -> anthropic.Anthropic:
        return self._new_client(http_calls.REPLY_BYTES)

    @cached_property
    def _batch_client(self) -> anthropic.Anthropic:
        return self._new_client(batch_calls.REPLY_BYTES)

    def _new_client(self, reply_bytes: int) -> anthropic.Anthropic:
        self._check_key()
        options = gateway_calls.client_options(self._tier, self._key, reply_bytes)
        client = anthropic.Anthropic(
            api_key=self._key or "none",
            base_url=self._tier.base_url or OWN_ADDRESS,
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(**options),
        )
        http_calls.isolate_client(client)
        return client

    def _send(self, body: dict[str, Any], limits: CallLimits) -> httpx2.Response:
        timeout = http_calls.timeouts(limits)
        if body["max_tokens"] <= STREAM_ABOVE:
            return self._client.post(
                "/v1/messages", body=body, cast_to=httpx2.Response, options={"timeout": timeout}
            )
        extra = {name: body.pop(name) for name in ("temperature",) if name in body}
        with self._client.messages.stream(**body, extra_body=extra, timeout=timeout) as stream:
            headers = dict(stream.response.headers)
            if "event-stream" not in headers.get("content-type", ""):
                # A whole answer, an error or a proxy's page in the place of the stream.
                return httpx2.Response(200, headers=headers, content=stream.response.read())
            try:
                final = stream.get_final_message()
            except anthropic.APIStatusError as error:
                error.begun = _begun(stream)  # type: ignore[attr-defined]
                raise
            if final.stop_reason is None:
                raise NoAnswer("the stream ended before the answer did")
            return httpx2.Response(
                200,
                headers=headers,
                text=final.model_dump_json(exclude_none=True),
            )

    def _body(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        limits: CallLimits,
        ttl: cache_lifetime.Ttl,
    ) -> dict[str, Any]:
        tier = self._tier
        control = cache_marks.anthropic_control(ttl)
        body: dict[str, Any] = {
            "model": tier.model,
            "max_tokens": limits.max_output_tokens,
            "messages": self._turns([m for m in messages if m.role != "system"], control),
        }
        system = "\n\n".join(
            message_history.sendable_text(m.content) for m in messages if m.role == "system"
        )
        if system:
            body["system"] = cache_marks.mark_system(system, control)
        if tools:
            strict = bool(tier.options.get("strict", bool(tier.base_url)))
            body["tools"] = [_tool(tool, strict) for tool in tools]
            choice = {"type": "any" if limits.tool_choice == "required" else "auto"}
            if not tier.options.get("parallel_tool_calls", True):
                body["tool_choice"] = {**choice, "disable_parallel_tool_use": True}
            elif choice["type"] == "any":
                body["tool_choice"] = choice
        if not tier.base_url:
            # The price table knows the standard service only.
            body["service_tier"] = "standard_only"
        if tier.temperature is not None and call_options.takes_temperature(tier):
            given = limits.temperature
            body["temperature"] = tier.temperature if given is None else given
        if "thinking" in tier.options:
            body["thinking"] = tier.options["thinking"]
        if "effort" in tier.options:
            body["output_config"] = {"effort": tier.options["effort"]}
        return body

    def _turns(
        self, messages: Sequence[Message], control: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = []
        for message in message_history.legal_messages(messages, message_history.STRICT_ID):
            role = "assistant" if message.role == "assistant" else "user"
            blocks = self._blocks(message, control)
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"].extend(blocks)
            else:
                turns.append({"role": role, "content": blocks})
        if not cache_marks.is_question(messages):
            cache_marks.mark_turns(turns, control)
        return turns

    def _blocks(self, message: Message, control: Mapping[str, Any]) -> list[dict[str, Any]]:
        text, native = message.content, self._tier.tools == "native"
        if message.role == "tool" and native:
            given = message.tool_call_id
            return [{"type": "tool_result", "tool_use_id": given, "content": text}]
        calls = list(message.tool_calls) if native else []
        if message.kept:
            blocks = _as_kept(message, calls)
        else:
            blocks = [_image(image.url) for image in message.images]
            blocks += cache_marks.anthropic_text(message, text, control) if text.strip() else []
            blocks += [_tool_use(call) for call in calls]
        if not blocks or blocks[-1].get("type") in _THOUGHTS:
            # The API refuses an answer that is empty, or ends in a thought.
            blocks.append({"type": "text", "text": message_history.nonblank_text(text)})
        return blocks

    def _read(
        self,
        body: dict[str, Any],
        headers: Mapping[str, str],
        seconds: float,
        ttl: cache_lifetime.Ttl,
    ) -> Completion:
        content = body.get("content")
        if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
            raise BadReply("the reply has no content")
        content = message_history.typed_blocks(content)
        calls = tuple(
            http_calls.tool_call(block.get("id"), block.get("name"), block.get("input"), self._key)
            for block in content
            if block.get("type") == "tool_use"
        )
        texts = [str(b.get("text") or "") for b in content if b.get("type") == "text"]
        thought = any(block.get("type") in _THOUGHTS for block in content)
        message = Message(
            role="assistant",
            content="".join(texts),
            tool_calls=calls,
            kept=tuple(content) if thought else (),
        )
        self._log_unlisted(body.get("usage"))
        return Completion(
            message=message,
            usage=token_usage.anthropic_usage(body.get("usage"), seconds, ttl),
            stop=model_facts.answer_end("anthropic", body.get("stop_reason"), self._tier.model)
            or "end",
            model=str(body.get("model") or ""),
            request_id=http_calls.redact_key(headers.get("request-id", ""), self._key),
        )

    def _log_unlisted(self, usage: Any) -> None:
        """Log that Anthropic bills a call otherwise than the price table says, once."""
        terms = "" if self._tier.base_url else token_usage.unlisted_terms(usage)
        if terms and terms != self._logged:
            self._logged = terms
            _log.warning(
                "%s answered with %s, which is billed higher than listed: set this default of your"
                " workspace back, or give the tier a price of its own",
                self._tier.model,
                terms,
            )


def _begun(stream: Any) -> bool:
    """Whether a stream had begun to answer, so that it may be billed."""
    try:
        return stream.current_message_snapshot is not None
    except AssertionError:
        return False


def _tool(tool: ToolSpec, strict: bool) -> dict[str, Any]:
    return {
        **({"strict": True} if strict else {}),
        "name": tool.name,
        "description": tool.description,
        "input_schema": dict(tool.parameters),
    }


def _image(url: str) -> dict[str, Any]:
    kind, base64, data = url.removeprefix("data:").partition(";base64,")
    if url.startswith("data:") and base64:
        source = {"type": "base64", "media_type": kind, "data": data}
    else:
        source = {"type": "url", "url": url}
    return {"type": "image", "source": source}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    arguments = message_history.sendable_json(dict(call.arguments))
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _as_kept(message: Message, calls: list[ToolCall]) -> list[dict[str, Any]]:
    """The blocks of an answer as they came, thoughts untouched.

    Blank texts, which the API gives and refuses, are left out; calls have their ids and names of
    now.
    """
    blocks = []
    left = iter(calls)
    for block in message.kept:
        kind = block.get("type")
        if kind == "tool_use":
            if (call := next(left, None)) is not None:
                blocks.append({**block, **_tool_use(call)})
        elif kind != "text":
            blocks.append(dict(block))
        elif str(block.get("text") or "").strip():
            blocks.append(message_history.sendable_json(dict(block)))
    return blocks
