"""How much memory a served model takes, before anything is downloaded.

Weights and cache are sums; what a forward pass and the server itself take is a rule of thumb,
given apart so that nobody takes it for more. ``docs/serving.md`` compares it with real servers.
"""

from __future__ import annotations

from dataclasses import dataclass

from swe_router.serving.model_shape import ModelShape

GIB = 1 << 30
USABLE = 0.92
"""Share of a card's memory that vLLM plans with (its default of --gpu-memory-utilization)."""
REPORTED = 0.96
"""A card reports less than it is sold as: 44.4 GiB of 48, 79.6 of 80."""
BATCH_TOKENS = 8192
"""Tokens of one forward pass (vLLM's --max-num-batched-tokens on large cards)."""
SERVER_BYTES = GIB
"""CUDA context, graphs and buffers on each card."""
STATES_PER_REQUEST = 3
"""States of linear attention that a request keeps under prefix caching: vLLM 0.32.0 reports a cache
of 657,769 tokens where three give 659,951, and one 876,523 (``docs/serving.md``)."""
CPU_SERVER_BYTES = int(1.5 * GIB)
"""Python and PyTorch of vLLM's processes on a CPU."""
CPU_BATCH_TOKENS = 2048
BITS = {"bf16": 16.0, "fp16": 16.0, "fp8": 8.0, "int4": 4.156}
"""Per weight; four bits with a scale and a zero point per group of 128."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on each card (or of the machine, on a CPU) for one way of serving a model."""

    weights: int
    activations: int
    server: int
    cache_per_token: int
    state_per_sequence: int
    room: int
    """What may be used in all."""
    window: int
    sequences: int
    """Most requests at a time (--max-num-seqs)."""

    @property
    def cache(self) -> int:
        """Bytes left for the cache; negative when the weights alone do not fit."""
        return self.room - self.weights - self.activations - self.server

    @property
    def window_bytes(self) -> int:
        """Bytes of the cache that one request of a full window takes."""
        states = STATES_PER_REQUEST * self.state_per_sequence
        return self.window * self.cache_per_token + states

    @property
    def cache_tokens(self) -> int:
        """Tokens that the cache holds in requests of a full window, as vLLM counts them."""
        return max(0, self.cache) * self.window // self.window_bytes if self.window_bytes else 0

    @property
    def concurrency(self) -> float:
        """Requests of a full window that fit at a time, at most ``sequences``."""
        return min(float(self.sequences), self.cache_tokens / self.window)

    @property
    def missing(self) -> int:
        """Bytes that one request of a full window lacks; 0 when it fits."""
        return max(0, self.window_bytes - self.cache)

    @property
    def holds_all_states(self) -> bool:
        """Whether ``sequences`` requests can each have the state of their linear layers."""
        states = (self.sequences - 1) * self.state_per_sequence
        return self.window_bytes + states <= self.cache


def weight_bytes(shape: ModelShape, weights: float, precision: str) -> int:
    """Bytes of ``weights`` weights; embeddings stay at two bytes each."""
    embeddings = min(shape.embedding_weights, weights)
    return int(embeddings * shape.width + (weights - embeddings) * BITS[precision] / 8)


def activation_bytes(shape: ModelShape, tokens: int, sequences: int) -> int:
    """Rule of thumb: four hidden rows and two feed-forward rows per token, then the logits."""
    rows = tokens * (4 * shape.hidden + 2 * shape.intermediate) * shape.width
    return rows + 3 * sequences * shape.vocabulary * 4


def estimate_on_cards(
    shape: ModelShape, weights: int, room: int, cards: int, window: int, sequences: int
) -> MemoryEstimate:
    """The estimate per card for ``cards`` tensor-parallel cards with ``room`` bytes each."""
    return MemoryEstimate(
        weights=-(-weights // cards),
        activations=activation_bytes(shape, min(BATCH_TOKENS, max(window, sequences)), sequences),
        server=SERVER_BYTES,
        cache_per_token=shape.cache_bytes_per_token(cards),
        state_per_sequence=-(-shape.state_bytes // cards),
        room=room,
        window=window,
        sequences=sequences,
    )


def estimate_on_cpu(
    shape: ModelShape, weights: int, cache_bytes: int, window: int, sequences: int
) -> MemoryEstimate:
    """The estimate for a CPU, where the size of the cache is set beforehand."""
    activations = activation_bytes(shape, min(CPU_BATCH_TOKENS, window), sequences)
    return MemoryEstimate(
        weights=weights,
        activations=activations,
        server=CPU_SERVER_BYTES,
        cache_per_token=shape.cache_bytes_per_token(),
        state_per_sequence=shape.state_bytes,
        room=weights + activations + CPU_SERVER_BYTES + cache_bytes,
        window=window,
        sequences=sequences,
    )


def room_of_card(gigabytes: float, share: float = USABLE) -> int:
    """Bytes that vLLM plans with on a card sold as ``gigabytes``, about."""
    return int(gigabytes * GIB * REPORTED * share)
