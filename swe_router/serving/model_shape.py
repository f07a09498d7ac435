"""What decides how much memory a model takes, from its ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.errors import UsageError

BYTES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}


@dataclass(frozen=True)
class ModelShape:
    """Sizes of one model; tokens, layers, heads and elements."""

    layers: int
    hidden: int
    intermediate: int
    """Of the widest feed-forward part that one token passes."""
    vocabulary: int
    heads: int = 0
    """Of attention; tensor-parallel cards share them evenly. 0: unknown."""
    kv_heads: int = 0
    head_size: int = 0
    latent: int = 0
    """Multi-head latent attention: elements per token and layer, the same on every card."""
    attention_layers: int | None = None
    """Layers that keep keys and values of every token; None: all."""
    state_bytes: int = 0
    """Of all linear-attention layers, per sequence, whatever its length."""
    window: int = 0
    """Longest context that the model was made for; 0: unknown."""
    tied: bool = False
    """Input and output embedding are one matrix."""
    width: int = 2
    """Bytes of an unquantised weight, and of an element of the cache."""

    @property
    def embedding_weights(self) -> int:
        """Weights that quantisation leaves as they are."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    def cache_bytes_per_token(self, cards: int = 1) -> int:
        """Bytes of the key-value cache per token on each of ``cards`` tensor-parallel cards."""
        layers = self.layers if self.attention_layers is None else self.attention_layers
        if self.latent:
            return layers * self.latent * self.width
        heads = max(1, -(-self.kv_heads // cards))
        return layers * 2 * heads * self.head_size * self.width

    def can_share(self, cards: int) -> bool:
        """Whether ``cards`` tensor-parallel cards get whole heads, each as many, as vLLM wants."""
        queries = self.heads % cards == 0
        keys = not self.kv_heads or self.kv_heads % cards == 0 or cards % self.kv_heads == 0
        return queries and (keys or bool(self.latent))


def shape_of_config(config: Mapping[str, Any]) -> ModelShape:
    """The shape of a model from the tree of its ``config.json``.

    Raises ``UsageError`` that names the keys which are missing.
    """
    text = config.get("text_config")
    tree: Mapping[str, Any] = {**config, **text} if isinstance(text, Mapping) else config
    needed = ("num_hidden_layers", "hidden_size", "vocab_size")
    missing = [name for name in needed if not isinstance(tree.get(name), int)]
    if missing:
        raise UsageError(f"config.json lacks {', '.join(missing)}: is it a language model's?")
    layers, hidden = tree["num_hidden_layers"], tree["hidden_size"]
    heads = tree.get("num_attention_heads") or 1
    kinds = tree.get("layer_types")
    attention = _attention_layers(kinds, tree, layers)
    latent = (tree.get("kv_lora_rank") or 0) + (
        tree.get("qk_rope_head_dim") or 0 if tree.get("kv_lora_rank") else 0
    )
    dtype = str(tree.get("dtype") or tree.get("torch_dtype") or "bfloat16")
    return ModelShape(
        layers=layers,
        hidden=hidden,
        intermediate=_intermediate(tree, hidden),
        vocabulary=tree["vocab_size"],
        heads=tree.get("num_attention_heads") or 0,
        kv_heads=tree.get("num_key_value_heads") or heads,
        head_size=tree.get("head_dim") or hidden // heads,
        latent=latent,
        attention_layers=attention,
        state_bytes=(layers - attention) * _state_bytes(tree),
        window=_window(tree),
        tied=bool(tree.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
        width=BYTES.get(dtype, 2),
    )


def _attention_layers(kinds: object, tree: Mapping[str, Any], layers: int) -> int:
    """Layers that keep every token; a sliding window is counted whole, so never too little."""
    if isinstance(kinds, Sequence) and not isinstance(kinds, str):
        return sum("linear" not in str(kind) and "mamba" not in str(kind) for kind in kinds)
    every = tree.get("full_attention_interval")
    return layers // every if isinstance(every, int) and every > 0 else layers


def _intermediate(tree: Mapping[str, Any], hidden: int) -> int:
    dense = tree.get("intermediate_size") or 4 * hidden
    experts = (tree.get("num_experts_per_tok") or 0) * (tree.get("moe_intermediate_size") or 0)
    return int(max(dense, experts))


def _state_bytes(tree: Mapping[str, Any]) -> int:
    """Bytes of one linear-attention layer per sequence: its state (float32) and convolution."""
    values = (tree.get("linear_num_value_heads") or 0) * (tree.get("linear_value_head_dim") or 0)
    keys = (tree.get("linear_num_key_heads") or 0) * (tree.get("linear_key_head_dim") or 0)
    state = values * (tree.get("linear_key_head_dim") or 0) * 4
    convolution = (2 * keys + values) * ((tree.get("linear_conv_kernel_dim") or 1) - 1) * 2
    return int(state + convolution)


def _window(tree: Mapping[str, Any]) -> int:
    window = tree.get("max_position_embeddings") or 0
    scaling = tree.get("rope_parameters") or tree.get("rope_scaling") or {}
    if isinstance(scaling, Mapping) and scaling.get("rope_type", scaling.get("type")) == "yarn":
        original = scaling.get("original_max_position_embeddings") or window
        window = max(window, int(original * float(scaling.get("factor") or 1)))
    return int(window)
