"""The models of ``eval/serving.toml``, and which of their variants fits a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from swe_router import assets, suggest
from swe_router.errors import UsageError
from swe_router.serving import memory
from swe_router.serving.memory import MemoryEstimate
from swe_router.serving.model_shape import ModelShape
from swe_router.settings import read_toml

DEFAULT_PRESET = "deepseek-coder-v2-lite"
"""What ``eval/presets/hybrid.toml`` has as its local tier."""
SEQUENCES = 16
"""Requests at a time that a server is started for, where the card holds them."""
SPARE = 4.0
"""Full windows at a time for which a more exact variant is taken."""
MIN_WINDOW = 8192
"""Below this an attempt has no room for an issue and its observations."""


@dataclass(frozen=True)
class ModelVariant:
    """Published weights of a model at one precision."""

    model: str
    """Id on the hub, or a folder."""
    precision: str
    """``bf16``, ``fp16``, ``fp8`` or ``int4``."""
    bytes: int
    """Of the weights in memory."""
    source: str = ""
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServingPreset:
    """A model as it is served: its variants, and what its tier says."""

    name: str
    model: str
    """The name that all variants answer to."""
    shape: ModelShape
    variants: tuple[ModelVariant, ...]
    window: int
    tools: Literal["native", "text"] = "text"
    tool_parser: str = ""
    reasoning_parser: str = ""
    temperature: float | None = None
    max_output_tokens: int = 4096
    about: str = ""
    licence: str = ""
    source: str = ""
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServingChoice:
    """A variant of a preset with the window and requests at a time that fit."""

    preset: ServingPreset
    variant: ModelVariant
    estimate: MemoryEstimate
    cards: int = 1
    """Tensor-parallel cards; 0 on a CPU."""
    notes: tuple[str, ...] = field(default=())

    @property
    def fits(self) -> bool:
        """Whether one request of a full window has room."""
        return not self.estimate.missing


def load_presets() -> dict[str, ServingPreset]:
    """All presets by name, in the order of the file."""
    tree = read_toml(assets.assets_root() / "eval" / "serving.toml")
    return {name: _preset_of(name, table) for name, table in tree["presets"].items()}


def preset_named(name: str) -> ServingPreset:
    """A preset. Raises ``UsageError`` that lists the names there are."""
    presets = load_presets()
    if name not in presets:
        hint = suggest.did_you_mean_hint(name, presets)
        raise UsageError(
            f"{name!r} is no preset of serve{hint}; there is {', '.join(presets)}, or give a"
            " folder with a config.json, or a model of the hub as ORG/NAME"
        )
    return presets[name]


def choose_variant(
    preset: ServingPreset,
    room: int,
    cards: int,
    *,
    window: int | None = None,
    sequences: int = SEQUENCES,
) -> ServingChoice:
    """The most exact variant with room for ``SPARE`` full windows, else the one with most room.

    Where no variant holds one request of the preset's window, the window is halved down to
    ``MIN_WINDOW``; one that the user asked for is kept. A choice that still does not fit is
    returned too: ``fits`` says so.
    """
    wanted = window or preset.window
    while True:
        found = [
            _choice_of(preset, variant, room, cards, wanted, sequences)
            for variant in preset.variants
        ]
        for choice in found:
            if choice.fits and choice.estimate.concurrency >= min(SPARE, choice.estimate.sequences):
                return choice
        best = max(found, key=lambda choice: choice.estimate.cache)
        if best.fits or window is not None or wanted // 2 < MIN_WINDOW:
            return best
        wanted //= 2


def _choice_of(
    preset: ServingPreset,
    variant: ModelVariant,
    room: int,
    cards: int,
    window: int,
    sequences: int,
) -> ServingChoice:
    """A variant with as many requests at a time, up to ``sequences``, as leave one window free."""
    while True:
        estimate = memory.estimate_on_cards(
            preset.shape, variant.bytes, room, cards, window, sequences
        )
        if estimate.holds_all_states or sequences == 1:
            return ServingChoice(preset, variant, estimate, cards)
        sequences //= 2


def _preset_of(name: str, table: Mapping[str, Any]) -> ServingPreset:
    shape = ModelShape(**table["shape"])
    rest = {
        key: value
        for key, value in table.items()
        if key not in ("shape", "variants", "weights", "args")
    }
    return ServingPreset(
        name=name,
        shape=shape,
        variants=_variants_of(shape, table["weights"], table["variants"]),
        args=tuple(table.get("args", ())),
        **rest,
    )


def _variants_of(
    shape: ModelShape, weights: int, rows: Sequence[Mapping[str, Any]]
) -> tuple[ModelVariant, ...]:
    return tuple(
        ModelVariant(
            model=row["model"],
            precision=row["precision"],
            bytes=row.get("bytes") or memory.weight_bytes(shape, weights, row["precision"]),
            source=row.get("source", ""),
            args=tuple(row.get("args", ())),
        )
        for row in rows
    )
