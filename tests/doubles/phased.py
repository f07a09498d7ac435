"""Doubles for attempts with phases: two played tiers with prices, as the wiring would give them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from swe_router.agents import manifest, recorded_attempt
from swe_router.agents.dialogue import DialogueSetup
from swe_router.agents.tool_loop import ToolLoop
from swe_router.prices import PriceBand, PriceRate
from swe_router.records import Budget, Completion, Phase, Step, Trajectory, Usage
from swe_router.seams import AttemptPhases, PhaseTier
from tests.doubles.agent import INSTANCE, PlayedModel, TempSandbox, Told

SHEET = manifest.read_manifest("default")
RICH = Budget(dollars=Decimal(10))


def rate(usd: str) -> PriceRate:
    """USD per million input tokens; a cache read costs a tenth, a write a quarter more."""
    price = Decimal(usd)
    band = PriceBand(
        input=price, output=5 * price, cache_read=price / 10, cache_write=price * Decimal("1.25")
    )
    return PriceRate(bands=(band,), source="test", date="2026-01-01")


class TieredModel:
    """A played model whose answers say their tier and their price, as the meter makes them."""

    def __init__(self, tier: str, price: PriceRate, *plays: Completion | Exception) -> None:
        self.tier, self.price, self.played = tier, price, PlayedModel(*plays)

    @property
    def requests(self) -> list[Any]:
        return self.played.requests

    def complete(self, messages, tools=(), *, limits) -> Completion:
        made = self.played.complete(messages, tools, limits=limits)
        return made.model_copy(update={"tier": self.tier, "usd": self.price.usd(made.usage)})


@dataclass
class PhasedAttempt:
    """An attempt of tier ``weak`` with phases of tier ``strong``."""

    phases: tuple[Phase, ...]
    weak: list[Completion | Exception]
    strong: list[Completion | Exception]
    weak_fields: dict[str, Any] = field(default_factory=dict)
    strong_fields: dict[str, Any] = field(default_factory=dict)
    weak_usd: str = "1"
    strong_usd: str = "10"
    cache_seconds: float = 300.0
    work_plan: str = ""

    def tiers(self) -> dict[str, PhaseTier]:
        context = Told().context()
        return {
            name: PhaseTier(replace(context, **fields), rate(usd).usd, self.cache_seconds)
            for name, fields, usd in (
                ("weak", self.weak_fields, self.weak_usd),
                ("strong", self.strong_fields, self.strong_usd),
            )
        }

    def known(self, model=None) -> AttemptPhases:
        return AttemptPhases(self.phases, "weak", self.tiers(), model, self.work_plan)

    def run(self, folder, past=(), budget=RICH, **fields: Any) -> tuple[Trajectory, list[Step]]:
        """Its end and all steps; with ``past`` it is resumed after these."""
        self.own = TieredModel("", rate(self.weak_usd), *self.weak)
        self.helper = TieredModel("strong", rate(self.strong_usd), *self.strong)
        told = Told()
        loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
        context = told.context(
            phases=self.known(lambda tier: self.helper),
            past=tuple(past),
            **{**self.weak_fields, **fields},
        )
        self.box = TempSandbox(folder)
        end = loop.solve(INSTANCE, self.own, self.box, budget, context)
        return end, [*past, *told.steps]

    def divergences(self, end: Trajectory, steps: list[Step], **fields: Any) -> list[Any]:
        """What a replay finds."""
        context = Told().context(phases=self.known(), **{**self.weak_fields, **fields})
        return recorded_attempt.recheck_attempt(
            SHEET, INSTANCE, steps, DialogueSetup(context, 20, 60), recorded=end, budget=RICH
        )


def measured(answer: Completion, prompt: int, *, seconds: float = 1.0) -> Completion:
    """An answer whose prompt had so many tokens."""
    usage = Usage(input_tokens=prompt, output_tokens=20, seconds=seconds)
    return answer.model_copy(update={"usage": usage})


RATES_OF = {"weak": rate("1"), "strong": rate("10")}
