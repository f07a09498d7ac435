"""The OpenAI dialects: Responses for reasoning models, Chat for the rest, vLLM at any address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import httpx2
import openai

from swe_router.errors import Unauthorised
from swe_router.models import chat, options, responses, wire
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.settings import Tier

OWN_ADDRESS = "https://api.openai.com/v1"
"""Of a tier without ``base_url``, whatever ``OPENAI_BASE_URL`` says."""
_REASONING = re.compile(r"^(?:o\d|gpt-(?:[5-9]|\d{2,}))")
"""o-series, GPT-5 and later."""


class OpenAIModel:
    """A model behind the OpenAI API, or (by ``base_url``) behind one that speaks its dialect.

    Options: ``api`` (``chat`` or ``responses``, else by the model's name), ``reasoning_effort``,
    ``verbosity``.
    """

    options: ClassVar[tuple[str, ...]] = ("api", "reasoning_effort", "verbosity")
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
        options.check(tier, self.options)
        self._tier, self._session, self._key, self._clock = tier, session, key, clock

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        tier = self._tier
        if not self._key and (tier.api_key_env or (self.needs_key and not tier.base_url)):
            raise Unauthorised(f"no key: set {tier.api_key_env or 'api_key_env of the tier'}")
        by_responses = self._by_responses
        if by_responses:
            path = "/responses"
            body = responses.body(tier, messages, tools, limits, self._session)
        else:
            path = "/chat/completions"
            body = chat.body(tier, messages, tools, limits, self.strict, self._reasons)
        start = self._clock()
        response = wire.exchange(
            lambda: self._client.post(
                path,
                body=body,
                cast_to=httpx2.Response,
                options={"timeout": wire.timeouts(limits)},
            ),
            openai.APIStatusError,
            openai.APIConnectionError,
            self._key,
            body,
        )
        seconds = max(0.0, self._clock() - start)
        reply = wire.json_of(response, self._key, body)
        request_id = wire.redact_key(_request_id(response.headers), self._key)
        read = responses.read if by_responses else chat.read
        return wire.told_apart(read(reply, self._key, seconds, request_id), tier, limits)

    @property
    def _reasons(self) -> bool:
        return bool(_REASONING.match(self._tier.model))

    @property
    def _by_responses(self) -> bool:
        return bool(
            self._tier.options.get("api", "responses" if self._reasons else "chat") == "responses"
        )

    @cached_property
    def _client(self) -> openai.OpenAI:
        client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=self._tier.base_url or OWN_ADDRESS,
            max_retries=0,
            http_client=openai.DefaultHttpx2Client(event_hooks=wire.hooks(self._key)),
        )
        wire.own_ways(client)
        return client


class VllmModel(OpenAIModel):
    """A vLLM server. Options: ``extra``, a table that is added to each request."""

    options: ClassVar[tuple[str, ...]] = ("extra",)
    strict: ClassVar[bool] = True
    needs_key: ClassVar[bool] = False

    @property
    def _by_responses(self) -> bool:
        return False

    @property
    def _reasons(self) -> bool:
        return False


def _request_id(headers: Mapping[str, str]) -> str:
    return headers.get("x-request-id", "")
