"""The memory of a served model, against sums by hand and against real servers and files."""

from __future__ import annotations

import json

import pytest

from swe_router.errors import UsageError
from swe_router.serving import memory, presets
from swe_router.serving.memory import GIB
from swe_router.serving.model_shape import ModelShape, shape_of_config
from tests.doubles import model_server

LLAMA_33B = {
    "num_hidden_layers": 62, "hidden_size": 7168, "intermediate_size": 19200, "vocab_size": 32256,
    "num_attention_heads": 56, "num_key_value_heads": 8, "max_position_embeddings": 16384,
    "torch_dtype": "bfloat16",
}  # fmt: skip
DEEPSEEK_V2_LITE = {
    "num_hidden_layers": 27, "hidden_size": 2048, "intermediate_size": 10944, "vocab_size": 102400,
    "num_attention_heads": 16, "num_key_value_heads": 16, "kv_lora_rank": 512,
    "qk_rope_head_dim": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 1408,
    "max_position_embeddings": 163840, "dtype": "bfloat16",
}  # fmt: skip
QWEN_HYBRID = {
    "text_config": {
        "num_hidden_layers": 64, "hidden_size": 5120, "intermediate_size": 17408,
        "vocab_size": 248320, "num_attention_heads": 24, "num_key_value_heads": 4, "head_dim": 256,
        "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 16,
        "linear_num_value_heads": 48, "linear_value_head_dim": 128, "linear_num_key_heads": 16,
        "linear_key_head_dim": 128, "linear_conv_kernel_dim": 4, "max_position_embeddings": 262144,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "per_token"),
    [
        (LLAMA_33B, 62 * 2 * 8 * 128 * 2),  # 253,952
        (DEEPSEEK_V2_LITE, 27 * (512 + 64) * 2),  # 31,104: latent attention
        (QWEN_HYBRID, 16 * 2 * 4 * 256 * 2),  # 65,536: 16 of 64 layers
    ],
)
def test_the_cache_per_token_is_the_sum_by_hand(config, per_token):
    assert shape_of_config(config).cache_bytes_per_token() == per_token


def test_the_presets_shapes_are_those_of_the_published_configs():
    found = presets.load_presets()
    for name, config in (
        ("deepseek-coder-33b", LLAMA_33B),
        ("deepseek-coder-v2-lite", DEEPSEEK_V2_LITE),
        ("qwen3.8-27b", QWEN_HYBRID),
    ):
        shape, read = found[name].shape, shape_of_config(config)
        assert shape.cache_bytes_per_token() == read.cache_bytes_per_token()
        assert (shape.window, shape.state_bytes) == (read.window, read.state_bytes)
        assert shape.embedding_weights == read.embedding_weights


def test_linear_layers_keep_a_state_per_request_that_no_token_adds_to():
    """48 layers, each 48 x 128 x 128 float32 and 3 columns of 10240 channels."""
    shape = shape_of_config(QWEN_HYBRID)
    assert shape.state_bytes == 48 * (48 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 48 * 128) * 2)


def test_cards_share_heads_but_not_a_latent_cache():
    llama, deepseek = shape_of_config(LLAMA_33B), shape_of_config(DEEPSEEK_V2_LITE)
    assert llama.cache_bytes_per_token(2) == 62 * 2 * 4 * 128 * 2
    assert llama.cache_bytes_per_token(16) == 62 * 2 * 1 * 128 * 2  # a head is kept twice
    assert deepseek.cache_bytes_per_token(4) == deepseek.cache_bytes_per_token()


def test_the_cache_of_a_real_server_is_met_to_a_block(tmp_path):
    """SmolLM2-135M, VLLM_CPU_KVCACHE_SPACE=1: vLLM 0.32.0 says 46,592 tokens, blocks of 128."""
    config = json.loads((model_server.weights(tmp_path) / "config.json").read_text())
    found = memory.estimate_on_cpu(shape_of_config(config), 269_060_552, GIB, 4096, 16)
    assert found.cache_per_token == 30 * 2 * 3 * 64 * 2
    assert found.cache_tokens // 128 * 128 == 46_592
    assert found.cache_tokens / found.window == pytest.approx(11.38, abs=0.01)


def test_a_latent_cache_of_a_real_server_is_met_to_a_block():
    """4 layers of DeepSeek V2, dummy weights: vLLM 0.32.0 says 233,008, blocks of 16."""
    small = {**DEEPSEEK_V2_LITE, "num_hidden_layers": 4}
    found = memory.estimate_on_cpu(shape_of_config(small), 10**8, GIB, 4096, 16)
    assert found.cache_tokens == GIB // (4 * 576 * 2) == 233_016
    assert found.cache_tokens // 16 * 16 == 233_008


@pytest.mark.parametrize(
    ("shape", "weights", "precision", "published"),
    [
        # The files on the hub, in bytes (RedHatAI/…-FP8: 16.1 GB; TheBloke/vicuna-33B-coder-AWQ:
        # 9.97 + 7.56 GB, a LLaMA of 60 layers; TechxGenus/…-V2-Lite-Instruct-AWQ: 5 + 4.09 GB).
        (shape_of_config(DEEPSEEK_V2_LITE), 15_706_484_224, "fp8", 16.13e9),
        (ModelShape(60, 6656, 17920, 32001), 32_529_000_000, "int4", 17.53e9),
        (shape_of_config(DEEPSEEK_V2_LITE), 15_706_484_224, "int4", 9.09e9),
    ],
)
def test_weights_are_within_a_twentieth_of_the_published_files(
    shape, weights, precision, published
):
    assert memory.weight_bytes(shape, weights, precision) == pytest.approx(published, rel=0.05)


def test_a_hand_sum_of_a_whole_card():
    """33b int4 on a card of 48 GB: 46.1 GiB x .92 less 16.8 of weights, about 2 of the rest."""
    preset = presets.preset_named("deepseek-coder-33b")
    choice = presets.choose_variant(preset, memory.room_of_card(48), 1)
    assert choice.variant.precision == "int4"
    found = choice.estimate
    assert found.room == int(48 * GIB * 0.96 * 0.92)
    assert found.weights == int(32256 * 7168 * 2 * 2 + 32_880_569_344 * 4.156 / 8)
    assert found.cache == found.room - found.weights - found.activations - GIB
    assert found.cache_tokens == found.cache // 253_952
    assert found.concurrency == found.cache_tokens / 16384


EXPECTED = {
    "deepseek-coder-v2-lite": "fp8 fp8 bf16 bf16 bf16",
    "deepseek-coder-33b": "int4 int4 int4 int4 bf16",
    "qwen3.8-27b": "int4 int4 int4 fp8 bf16",
    "qwen3-coder-30b": "int4 int4 int4 fp8 bf16",
    "qwen3-coder-next": "- - - - fp8",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_card_gets_the_most_exact_weights_that_leave_room(name):
    preset = presets.preset_named(name)
    got = []
    for size in (24, 32, 48, 80, 141):
        choice = presets.choose_variant(preset, memory.room_of_card(size), 1)
        got.append(choice.variant.precision if choice.fits else "-")
    assert " ".join(got) == EXPECTED[name]


def test_every_preset_that_fits_leaves_a_window_for_an_attempt():
    for preset in presets.load_presets().values():
        for size in (24, 32, 48, 80, 141):
            choice = presets.choose_variant(preset, memory.room_of_card(size), 1)
            if choice.fits:
                assert choice.estimate.window >= presets.MIN_WINDOW
                assert choice.estimate.concurrency >= 1


def test_two_cards_hold_what_one_does_not():
    preset = presets.preset_named("qwen3-coder-next")
    one = presets.choose_variant(preset, memory.room_of_card(48), 1)
    two = presets.choose_variant(preset, memory.room_of_card(48), 2)
    assert not one.fits
    assert one.estimate.missing > 0
    assert two.fits
    assert two.cards == 2


def test_a_window_of_the_users_own_is_never_made_smaller():
    preset = presets.preset_named("deepseek-coder-33b")
    choice = presets.choose_variant(preset, memory.room_of_card(24), 1, window=16384)
    assert (choice.estimate.window, choice.fits) == (16384, False)


def test_a_config_of_no_language_model_is_refused_by_name():
    with pytest.raises(UsageError, match="num_hidden_layers, vocab_size"):
        shape_of_config({"hidden_size": 4})


def test_yarn_lengthens_the_window():
    scaled = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    shape = shape_of_config({**LLAMA_33B, "max_position_embeddings": 32768, "rope_scaling": scaled})
    assert shape.window == 131072


def test_a_linear_cache_of_a_real_server_is_met_within_a_hundredth():
    """8 layers of Qwen3-Next's kind, dummy weights, 1 GiB: vLLM 0.32.0 says 657,769 tokens."""
    shape = shape_of_config({
        "num_hidden_layers": 8, "full_attention_interval": 4, "hidden_size": 512, "head_dim": 64,
        "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 49152,
        "linear_num_value_heads": 8, "linear_value_head_dim": 64, "linear_num_key_heads": 4,
        "linear_key_head_dim": 64, "linear_conv_kernel_dim": 4, "max_position_embeddings": 4096,
    })  # fmt: skip
    found = memory.estimate_on_cpu(shape, 10**8, GIB, 4096, 8)
    assert (found.cache_per_token, shape.state_bytes) == (1024, 823_296)
    assert found.cache_tokens == pytest.approx(657_769, rel=0.01)
