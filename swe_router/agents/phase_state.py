"""What is counted in an attempt with phases: calls and USD by role, caches, and stalls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import takewhile

from swe_router.estimates.switch_price import CacheState, ConversationPace
from swe_router.records import Action, Completion, Phase, digest_of
from swe_router.records.phases import PhaseRole

STALL_TURNS = 12
"""Newest turns in which a repeated call counts as a stall."""


@dataclass(frozen=True)
class _PhaseCall:
    role: PhaseRole
    prompt_tokens: int
    output_tokens: int
    usd: Decimal
    seconds: float
    """Of the call and of what it asked for."""


@dataclass(frozen=True)
class PhaseState:
    """All calls so far; a value, so that a copy of a conversation has its own."""

    calls: tuple[_PhaseCall, ...] = ()
    signatures: tuple[str, ...] = field(default=())
    """Of the arm's turns since it began or came back: call and result of each."""
    in_vain: int = 0
    """Turns in a row, of the same ones, that held no call which could be read."""
    max_repeats: int = 0
    """How often the most repeated of the newest signatures occurs."""

    def with_call(
        self, role: PhaseRole, completion: Completion, actions: Sequence[Action]
    ) -> PhaseState:
        """With one more call."""
        usage = completion.usage
        seconds = usage.seconds + sum(action.seconds for action in actions)
        call = _PhaseCall(role, usage.prompt_tokens, usage.output_tokens, completion.usd, seconds)
        return replace(self, calls=(*self.calls, call))

    def with_turn(self, actions: Sequence[Action]) -> PhaseState:
        """With one more turn of the arm, to see whether it stalls."""
        done = [one for one in actions if not one.call.error]
        shown = [[one.call.name, dict(one.call.arguments), one.observation] for one in done]
        newest = self.signatures[-(STALL_TURNS - 1) :]
        if done:
            newest = (*newest, digest_of(json.dumps(shown, sort_keys=True, default=str)))
        return replace(
            self,
            signatures=newest,
            in_vain=0 if done else self.in_vain + 1,
            max_repeats=max(Counter(newest).values(), default=0),
        )

    def without_turns(self) -> PhaseState:
        """As the arm comes back: what it repeated before is forgotten."""
        return replace(self, signatures=(), in_vain=0, max_repeats=0)

    def why_stalled(self, phase: Phase) -> str:
        """Why the arm is taken to be stuck; empty where it is not."""
        if not phase.stall:
            return ""
        if self.max_repeats >= phase.stall:
            return f"the same call showed the same {self.max_repeats} times"
        if self.in_vain >= phase.stall:
            return f"{self.in_vain} answers in a row held no call that could be carried out"
        return ""

    def steps_of(self, role: PhaseRole) -> int:
        """Calls of a role."""
        return sum(call.role == role for call in self.calls)

    def newest_in_a_row(self, role: PhaseRole) -> int:
        """Newest calls, back to the first that another role made."""
        return sum(1 for _ in takewhile(lambda call: call.role == role, reversed(self.calls)))

    def usd_of(self, role: PhaseRole) -> Decimal:
        """USD of the calls of a role."""
        return sum((call.usd for call in self.calls if call.role == role), Decimal(0))

    def cache_of(self, role: PhaseRole) -> CacheState:
        """What the cache of a role's tier may hold of its conversation."""
        idle = 0.0
        for call in reversed(self.calls):
            if call.role == role:
                return CacheState(call.prompt_tokens + call.output_tokens, idle)
            idle += call.seconds
        return CacheState()

    def pace(self) -> ConversationPace:
        """How the working conversation grew so far, by the mean of its calls."""
        mine = [call for call in self.calls if call.role in ("executor", "finisher")]
        if not mine:
            return ConversationPace(0, 0)
        growth = (mine[-1].prompt_tokens - mine[0].prompt_tokens) // max(1, len(mine) - 1)
        return ConversationPace(
            sum(call.output_tokens for call in mine) // len(mine), max(0, growth)
        )
