"""The OpenAI dialects: Responses for reasoning models, Chat for the rest, vLLM at any address."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import httpx2
import openai

from swe_router import model_facts
from swe_router.errors import Unauthorised
from swe_router.models import (
    call_options,
    chat,
    gateway_calls,
    http_calls,
    responses,
    server_quirks,
)
from swe_router.models.batches import batch_calls, openai_batches
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.settings import Tier

OWN_ADDRESS = "https://api.openai.com/v1"
"""Of a tier without ``base_url``, whatever ``OPENAI_BASE_URL`` says."""


class OpenAIModel:
    """A model behind the OpenAI API, or (by ``base_url``) behind one that speaks its dialect.

    Options: ``api`` (``chat`` or ``responses``, else by the model's name), ``reasoning_effort``,
    ``verbosity``, ``parallel_tool_calls``; of servers that differ: ``output_cap`` (what chat calls
    the output cap: ``max_tokens`` or ``max_completion_tokens``), ``leave_out`` (parameters that are
    never sent), ``strict`` (tools are marked so), ``extra`` (a table, added to each request).
    What the options do not say is learned from the server's refusals (``models.server_quirks``).
    """

    options: ClassVar[tuple[str, ...]] = (
        "api",
        "reasoning_effort",
        "verbosity",
        "parallel_tool_calls",
        "output_cap",
        "extra",
        *call_options.COMMON,
    )
    strict: ClassVar[bool] = False
    """Tools are marked ``strict``, which makes the server force their grammar."""
    needs_key: ClassVar[bool] = True

    def __init__(
        self,
        tier: Tier,
        *,
        session: str,
        key: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        call_options.check_options(tier, self.options)
        self._tier, self._session, self._key, self._clock = tier, session, key, clock

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        self._check_key()
        body = self._body(messages, tools, limits)

        def send(fit: dict[str, Any]) -> Completion:
            start = self._clock()
            response = self._post(self._path, fit, limits)
            seconds = max(0.0, self._clock() - start)
            reply = http_calls.json_of(response, self._key, fit)
            request_id = http_calls.redact_key(_request_id(response.headers), self._key)
            answer = self._read(reply, seconds, request_id)
            answer = gateway_calls.attributed(answer, self._tier, reply, response.headers)
            return http_calls.with_window_stop(answer, self._tier, limits)

        return server_quirks.send_with_quirks(self._tier, body, send)

    def batches(
        self, seconds: batch_calls.BatchSeconds = batch_calls.SECONDS
    ) -> openai_batches.OpenAIBatches | None:
        """See ``model_abilities.HasBatches``."""
        wire = batch_calls.BatchWire(
            self._tier,
            self._key,
            batch_calls.Exchange(
                lambda: self._batch_client,
                openai.APIStatusError,
                openai.APIConnectionError,
                self._key,
            ),
            body=self._body,
            read=lambda reply, request_id: self._read(reply, 0.0, request_id),
            seconds=seconds,
        )
        return openai_batches.OpenAIBatches(wire, f"/v1{self._path}")

    def _check_key(self) -> None:
        tier = self._tier
        if not self._key and (tier.api_key_env or (self.needs_key and not tier.base_url)):
            raise Unauthorised(f"no key: set {tier.api_key_env or 'api_key_env of the tier'}")

    @property
    def _path(self) -> str:
        return "/responses" if self._by_responses else "/chat/completions"

    def _body(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits
    ) -> dict[str, Any]:
        tier, strict = self._tier, bool(self._tier.options.get("strict", self.strict))
        named = gateway_calls.fallback_field(tier)
        if self._by_responses:
            body = responses.responses_request(tier, messages, tools, limits, self._session, strict)
        else:
            body = chat.chat_request(
                tier, messages, tools, limits, strict, self._reasons, self._session
            )
        return {**body, **named}

    def _read(self, reply: Mapping[str, Any], seconds: float, request_id: str) -> Completion:
        read = responses.read_response if self._by_responses else chat.read_chat_reply
        return read(reply, self._key, seconds, request_id)

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``: Chat gives them, models that reason do not."""
        left_out = self._tier.options.get("leave_out", ())
        return not (self._by_responses or self._reasons or "logprobs" in left_out)

    def _post(self, path: str, body: dict[str, Any], limits: CallLimits) -> httpx2.Response:
        return http_calls.send_request(
            lambda: self._client.post(
                path,
                body=body,
                cast_to=httpx2.Response,
                options={"timeout": http_calls.timeouts(limits)},
            ),
            openai.APIStatusError,
            openai.APIConnectionError,
            self._key,
            body,
        )

    @property
    def _reasons(self) -> bool:
        # A model that is named with its maker is behind a gateway, which speaks for it.
        row = model_facts.facts_of(self._tier.model)
        return row is not None and row.api == "responses" and "/" not in self._tier.model

    @property
    def _by_responses(self) -> bool:
        row = gateway_calls.gateway_of_tier(self._tier)
        usual = (row.api if row else "") or ("responses" if self._reasons else "chat")
        return bool(self._tier.options.get("api", usual) == "responses")

    @cached_property
    def _client(self) -> openai.OpenAI:
        return self._new_client(http_calls.REPLY_BYTES)

    @cached_property
    def _batch_client(self) -> openai.OpenAI:
        return self._new_client(batch_calls.REPLY_BYTES)

    def _new_client(self, reply_bytes: int) -> openai.OpenAI:
        self._check_key()
        options = gateway_calls.client_options(self._tier, self._key, reply_bytes)
        client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=self._tier.base_url or OWN_ADDRESS,
            max_retries=0,
            http_client=openai.DefaultHttpx2Client(**options),
        )
        http_calls.isolate_client(client)
        return client


class VllmModel(OpenAIModel):
    """A vLLM server. Options: ``extra``, ``leave_out``, ``strict``, ``output_cap`` (see above)."""

    options: ClassVar[tuple[str, ...]] = ("extra", "output_cap", *call_options.COMMON)
    strict: ClassVar[bool] = True
    needs_key: ClassVar[bool] = False

    def batches(self, seconds: batch_calls.BatchSeconds = batch_calls.SECONDS) -> None:
        """None: the server answers live calls alone."""

    @property
    def _by_responses(self) -> bool:
        return False

    @property
    def _reasons(self) -> bool:
        return False


def _request_id(headers: Mapping[str, str]) -> str:
    return headers.get("x-request-id", "")
