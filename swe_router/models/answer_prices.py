"""What one answer is charged: by its tokens, by what a gateway says, or as it was reserved."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from swe_router.prices import USD_QUANTUM, PriceRate, charged_usd
from swe_router.records import Completion, ReturnedCost, Usage

MAX_PRICE_DIFFERENCE = Decimal("0.01")
"""Share of the listed cost by which a returned cost may differ without a remark."""
MAX_DEARER = Decimal(4)
"""A gateway that says more of one call is not believed of the next ones."""
_NO_DIGITS = str.maketrans("", "", "0123456789.-E")
NO_USAGE = "the provider gave no usage: charged as reserved"
MAX_COUNT_RATIO = 8
MAX_HIDDEN_TOKENS = 10_000
"""A count of over 8 times what a call can use, and this many more, is not true: providers add text
of their own, and some reason beyond the cap, but not so much."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallBound:
    """What a call can use at most."""

    prompt_tokens: int
    output_tokens: int
    seconds: float
    hour: bool = True
    """It may ask for its prompt to be kept for an hour."""
    dearer: Decimal = Decimal(1)
    """How many times the listed cost its gateway was seen to return."""

    def max_usd(self, rate: PriceRate) -> Decimal:
        """USD of the dearest call within these bounds: what is reserved."""
        most = rate.max_usd(self.prompt_tokens, self.output_tokens, self.seconds, hour=self.hour)
        return (most * self.dearer).quantize(USD_QUANTUM, rounding=ROUND_UP)

    def max_usage(self, rate: PriceRate) -> Usage:
        """The usage of that call."""
        return rate.max_usage(self.prompt_tokens, self.output_tokens, self.seconds, hour=self.hour)


class AnswerPricer:
    """Prices the answers of one tier at one rate."""

    def __init__(self, rate: PriceRate) -> None:
        self._rate = rate
        self._noted: set[str] = set()
        """Kinds of remarks on returned costs that were logged."""
        self.dearer = Decimal(1)
        """How many times the listed cost the gateway returned at most, up to ``MAX_DEARER``."""

    def learn(self, returned: ReturnedCost | None) -> None:
        """Reserve for later calls by what the gateway really takes, where that is more."""
        if returned is not None and returned.listed:
            ratio = (returned.usd / returned.listed).quantize(MAX_PRICE_DIFFERENCE, ROUND_UP)
            self.dearer = min(MAX_DEARER, max(self.dearer, ratio))

    def priced(self, answer: Completion, bound: CallBound) -> tuple[Completion, str]:
        """The answer with what it is charged, and what the ledger should note of that.

        What was reserved by ``bound`` is charged where neither tokens nor cost are given.
        """
        # An answer comes within its limit; only reading it may end a moment later.
        seconds = min(answer.usage.seconds, bound.seconds)
        usage = answer.usage.model_copy(update={"seconds": seconds})
        answer = answer.model_copy(update={"usage": usage})
        reserved, dearest = bound.max_usd(self._rate), bound.max_usage(self._rate)
        untrue = _untrue_count(answer, bound) if self._rate.by_the_token else ""
        known, returned, note = self._is_given(answer) and not untrue, answer.returned, ""
        if returned is not None:
            listed = self._rate.usd(answer.usage) if known else Decimal(0)
            cap = reserved if returned.usd > reserved else None
            returned = returned.model_copy(update={"listed": listed, "cap": cap})
            note = self._note_of(returned, known)
        usage = answer.usage
        if not known and (returned is None or not returned.usd or not self._rate.by_the_token):
            usage, note = dearest, untrue or NO_USAGE
            _log.warning("%s: %s, %s USD", answer.model, note, reserved)
        update = {
            "usage": usage,
            "usd": charged_usd(self._rate, usage, returned),
            "returned": returned,
            "usage_unknown": not known,
        }
        return answer.model_copy(update=update), note

    def _note_of(self, returned: ReturnedCost, known: bool) -> str:
        """What a returned cost is remarkable for; logged too, once per kind."""
        given, listed = returned.usd, returned.listed
        by_reply, by_table = (f"{usd.normalize():f}" for usd in (given, listed))
        if not self._rate.by_the_token:
            return ""
        if returned.cap is not None:
            note = (
                f"the gateway says {by_reply} USD, over the reservation: {returned.cap} is charged"
            )
        elif not known:
            note = f"the gateway counts no tokens and says {by_reply} USD" if given else ""
        elif abs(given - listed) > MAX_PRICE_DIFFERENCE * listed:
            note = f"the gateway says {by_reply} USD, the price table {by_table}"
        else:
            note = ""
        if note and (kind := note.translate(_NO_DIGITS)) not in self._noted:
            self._noted.add(kind)
            _log.warning("%s", note)
        return note

    def _is_given(self, answer: Completion) -> bool:
        """Whether the usage can be true: no prompt, or words out of no tokens, cannot."""
        spoke = bool(answer.message.content or answer.message.tool_calls)
        usage = answer.usage
        counted = usage.prompt_tokens > 0 and (usage.output_tokens > 0 or not spoke)
        return counted or not self._rate.by_the_token


def _untrue_count(answer: Completion, bound: CallBound) -> str:
    """What the ledger should note of counts that no such call can have; empty where they can be."""
    words = len(answer.message.content.encode("utf-8", "replace"))
    most = {
        "prompt": (answer.usage.prompt_tokens, bound.prompt_tokens),
        "output": (answer.usage.output_tokens, bound.output_tokens + words),
    }
    for kind, (count, limit) in most.items():
        if count > MAX_COUNT_RATIO * limit + MAX_HIDDEN_TOKENS:
            return f"a usage of {count} {kind} tokens cannot be true: charged as reserved"
    return ""
