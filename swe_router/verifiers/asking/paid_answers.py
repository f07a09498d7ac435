"""Answers of a model to a verifier: bought once per instance, kept before they are used."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swe_router.errors import VerifierError
from swe_router.records import CallLimits, Completion, Message, digest_of
from swe_router.seams import Model, VerificationContext
from swe_router.verifier_cache import CacheKey

MAX_ANSWER_SECONDS = 600.0
"""Seconds for one answer, whatever time there is: of a tier that is paid by the GPU-hour they are
reserved, and would leave ``verify.usd`` for nothing else."""
MIN_ANSWER_SECONDS = 10.0
"""Seconds for one answer, however little time is left."""
UNLIMITED_SECONDS = 600.0
"""Seconds for one answer where verdicts have no time limit."""


@dataclass(frozen=True)
class KeptAnswer:
    """An answer as the notes keep it."""

    by: str
    """Model id, as the provider gave it."""
    text: str
    top: tuple[tuple[tuple[str, float], ...], ...] = ()
    """Of each token its likeliest others with the logarithms of their probabilities."""


@dataclass(frozen=True)
class AskingLock(CacheKey[threading.Lock]):
    """Held while a verifier asks for what all candidates of an instance share."""

    verifier: str


@dataclass(frozen=True)
class PaidAnswers:
    """The answers that one verdict needs; ``notes`` of the context keep them for all others."""

    verifier: str
    context: VerificationContext
    attempt_id: str
    """What new answers are charged to."""
    requests: list[str] = field(default_factory=list)
    """Digests of what was asked, in order."""

    def lock(self) -> threading.Lock:
        """One lock for this verifier and instance: candidates are verified in threads."""
        return self.context.cache.setdefault(AskingLock(self.verifier), threading.Lock())

    def ask(
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        top_logprobs: int = 0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> KeptAnswer:
        """The answer, from the notes where it was paid for before.

        Raises ``ModelError``, ``LedgerRefused``, and ``VerifierError`` when the time is up.
        """
        wanted = [one.model_dump(mode="json") for one in messages]
        request = digest_of([wanted, max_tokens, top_logprobs, seed, schema])
        self.requests.append(request)
        key = f"{self.verifier}:{request}"
        known = self.context.notes.get(key)
        if known is None:
            limits = CallLimits(
                max_output_tokens=max_tokens,
                timeout=MAX_ANSWER_SECONDS,
                within=self._seconds_left(),
                seed=seed,
                top_logprobs=top_logprobs,
                answer_schema=schema,
            )
            known = self._note(model.complete(messages, (), limits=limits), seed)
            self.context.notes[key] = known
        top = tuple(tuple((t, float(p)) for t, p in token) for token in known.get("top", ()))
        return KeptAnswer(known["by"], known["answer"], top)

    def _seconds_left(self) -> float:
        context = self.context
        if not context.deadline:
            return UNLIMITED_SECONDS
        left = context.deadline - context.clock()
        if left <= 0:
            raise VerifierError("the time for verdicts on this candidate is up")
        return max(MIN_ANSWER_SECONDS, left)

    def _note(self, answer: Completion, seed: int | None) -> dict[str, Any]:
        note = {
            "charged_to": self.attempt_id,
            "by": answer.model,
            "answer": answer.message.content,
            "call": {
                "sample": seed or 1,
                "usd": str(answer.usd),
                "usage": answer.usage.model_dump(mode="json"),
                **answer.returned_facts,
            },
        }
        return note | ({"top": [token.top for token in answer.logprobs]} if answer.logprobs else {})
