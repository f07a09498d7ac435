"""What ``serve`` says before it starts anything: command, tier, and why it cannot be."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from swe_router import settings
from swe_router.cli import entry_point
from swe_router.commands.serve.serving_plan import ServeOptions, plan_serving, served_key
from swe_router.errors import UsageError
from swe_router.serving import presets, tier_text
from swe_router.serving.server_figures import ServerClient, cache_size_in
from tests.doubles import model_server

GPU = "0, GPU-aa11, NVIDIA A100-SXM4-80GB, 81920, 4"
SECOND = "1, GPU-bb22, NVIDIA GeForce RTX 4090, 24564, 300"


def environ_with(folder, *cards, code=0, error=""):
    """An environment whose ``nvidia-smi`` lists these cards."""
    tool = folder / "nvidia-smi"
    lines = "\n".join(cards)
    shown = f"printf '%s\\n' {shlex.quote(lines)}"
    tool.write_text(f"#!/bin/sh\necho {shlex.quote(error)} >&2\n{shown}\nexit {code}\n")
    tool.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}


def options(folder, **fields):
    return ServeOptions(**{"program": str(model_server.program(folder)), "port": 47123, **fields})


def test_a_preset_on_a_card_makes_the_whole_command(tmp_path):
    plan = plan_serving(options(tmp_path), environ_with(tmp_path, GPU), dry=True)
    assert plan.problems == ()
    words = list(plan.command.words)
    assert words[1:3] == ["serve", "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct"]
    flags = dict(itertools.pairwise(words))
    assert flags["--max-model-len"] == "32768"
    assert flags["--host"] == "127.0.0.1"
    assert "--enable-prefix-caching" in words
    assert "--tool-call-parser" not in words, "the model has no tool calls"
    assert "--api-key" not in words, "the key would be in ps"
    assert plan.facts["tier"]["tools"] == "text"


def test_quantised_weights_answer_to_both_names_and_the_tier_names_what_is_served(tmp_path):
    plan = plan_serving(options(tmp_path), environ_with(tmp_path, SECOND), dry=True)
    words = list(plan.command.words)
    at = words.index("--served-model-name")
    assert words[at + 1 : at + 3] == [
        "RedHatAI/DeepSeek-Coder-V2-Lite-Instruct-FP8",
        "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",
    ]
    assert plan.facts["tier"]["model"] == words[at + 1]


def test_native_tools_bring_the_parser_and_two_cards_tensor_parallel(tmp_path):
    asked = options(tmp_path, model="qwen3-coder-next", cards=2)
    plan = plan_serving(
        asked, environ_with(tmp_path, GPU, GPU.replace("0, GPU-aa11", "1, GPU-cc33")), dry=True
    )
    line = shlex.join(plan.command.words)
    assert "--enable-auto-tool-choice --tool-call-parser qwen3_coder" in line
    assert "--tensor-parallel-size 2" in line
    assert plan.facts["tier"]["tools"] == "native"
    tier = plan.facts["tier"]
    assert tier["concurrency"] == int(plan.choice.estimate.concurrency)
    assert tier["cards"] == 2, "two cards cost twice the rent"


@pytest.mark.parametrize(
    ("cards", "fields", "problem"),
    [
        ((), {}, "no NVIDIA GPU here .*--cpu"),
        ((GPU,), {"cards": 2}, "--cards 2: this machine has 1"),
        (("0, GPU-aa, NVIDIA A100, 81920, 40000",), {}, "is in use: 39.1 of 80.0 GiB"),
        (
            ("0, GPU-aa, NVIDIA T4, 15360, 3",),
            {"model": "deepseek-coder-33b"},
            "does not fit 1 card",
        ),
        ((GPU,), {"program": "/nowhere/vllm"}, "there is no program vllm"),
    ],
)
def test_what_stands_against_it_is_named_with_the_fix(tmp_path, cards, fields, problem):
    plan = plan_serving(
        options(tmp_path, **{"model": "deepseek-coder-v2-lite", **fields}),
        environ_with(tmp_path, *cards),
        dry=True,
    )
    (found,) = plan.problems
    assert re.search(problem, found), found


@pytest.mark.parametrize(
    ("visible", "model"),
    [
        ("0", "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct"),
        ("1", "RedHatAI/DeepSeek-Coder-V2-Lite-Instruct-FP8"),
        ("GPU-bb", "RedHatAI/DeepSeek-Coder-V2-Lite-Instruct-FP8"),
    ],
)
def test_the_card_that_slurm_gave_is_the_one_that_is_planned_for(tmp_path, visible, model):
    environ = {**environ_with(tmp_path, GPU, SECOND), "CUDA_VISIBLE_DEVICES": visible}
    plan = plan_serving(options(tmp_path), environ, dry=True)
    assert plan.choice.variant.model == model
    none = {**environ, "CUDA_VISIBLE_DEVICES": ""}
    assert "no NVIDIA GPU" in plan_serving(options(tmp_path), none, dry=True).problems[0]


def test_a_card_may_be_shared_by_saying_how_much_of_it(tmp_path):
    environ = environ_with(tmp_path, "0, GPU-aa, NVIDIA A100, 81920, 40000")
    asked = options(tmp_path, extra=("--gpu-memory-utilization", "0.5"))
    plan = plan_serving(asked, environ, dry=True)
    assert plan.problems == ()
    assert plan.choice.estimate.room == 81920 * 2**20 // 2
    assert plan.command.words[-2:] == ("--gpu-memory-utilization", "0.5")
    with pytest.raises(UsageError, match="a share over 0"):
        plan_serving(options(tmp_path, extra=("--gpu-memory-utilization=9",)), environ, dry=True)


def test_a_driver_that_does_not_answer_is_no_machine_without_cards(tmp_path):
    environ = environ_with(tmp_path, code=9, error="couldn't communicate with the NVIDIA driver")
    with pytest.raises(UsageError, match="couldn't communicate with the NVIDIA driver"):
        plan_serving(options(tmp_path), environ, dry=True)


def test_vllm_that_is_not_installed_is_said_with_the_command(tmp_path):
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    plan = plan_serving(ServeOptions(cpu=True, model=str(folder_of(tmp_path))), environ, dry=True)
    assert any("pip install 'swe-router[vllm]'" in one for one in plan.problems)


def folder_of(tmp_path, **changes):
    return model_server.weights(tmp_path / "weights", **changes)


def test_a_folder_is_served_on_the_cpu_with_the_cache_in_the_environment(tmp_path):
    asked = options(tmp_path, model=str(folder_of(tmp_path)), cpu=True, window=4096, cache_gib=1)
    plan = plan_serving(asked, environ_with(tmp_path), dry=True)
    assert plan.problems == ()
    assert plan.command.variables["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert plan.facts["estimate"]["weights"] == 269_060_552
    assert "--enforce-eager" in plan.command.words


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"window": 9000}, "was made for up to 8192"),
        ({"tools": "native"}, "--tool-parser"),
        ({"precision": "fp8"}, "is listed as bf16"),
        ({"model": "no-such-preset"}, "is no preset of serve"),
        ({"model": "deepsek-coder-33b"}, "did you mean 'deepseek-coder-33b'"),
        ({"card_gb": float("nan")}, "--card nan: give the card's size"),
        ({"card_gb": float("inf")}, "--card inf: give the card's size"),
        ({"card_gb": -5.0}, "--card -5: give the card's size"),
        ({"extra": ("--api-key", "sk-mine")}, "-- --api-key: a key on the command line"),
        ({"extra": ("--port=9000",)}, "-- --port: give --port before the --"),
        ({"extra": ("--max_model_len=900",)}, "give --window before the --"),
        (
            {"model": "deepseek-coder-33b", "cpu": False, "card_gb": 24.0, "cards": 3},
            "--cards 3: deepseek-coder-33b has 56 attention heads.*: 1, 2, 4, 8$",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(tmp_path, fields, refusal):
    asked = options(tmp_path, **{"model": str(folder_of(tmp_path)), "cpu": True, **fields})
    with pytest.raises(UsageError, match=refusal):
        plan_serving(asked, environ_with(tmp_path), dry=True)


@pytest.mark.parametrize(("precision", "cards"), [("bf16", 4), ("int4", 2)])
def test_a_model_that_does_not_fit_names_the_cards_that_hold_it(tmp_path, precision, cards):
    asked = options(tmp_path, model="deepseek-coder-33b", card_gb=24.0, precision=precision)
    plan = plan_serving(replace(asked, window=16384), environ_with(tmp_path), dry=True)
    (problem,) = plan.problems
    assert f"--cards {cards}," in problem
    held = plan_serving(replace(asked, window=16384, cards=cards), {}, dry=True)
    assert held.problems == ()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:47123"),
        ("::1", "http://[::1]:47123"),
        ("10.1.2.3", "http://10.1.2.3:47123"),
    ],
)
def test_the_tier_and_the_watch_go_where_the_server_listens(tmp_path, host, url):
    asked = options(tmp_path, host=host, card_gb=24.0)
    plan = plan_serving(asked, environ_with(tmp_path), dry=True)
    assert plan.facts["tier"]["base_url"] == f"{url}/v1"
    assert ServerClient(host, 47123, "key").url == url


def test_options_of_vllm_need_no_model_before_them(capsys):
    code = entry_point.main(
        ["serve", "--dry-run", "--card", "48", "--json", "--", "--gpu-memory-utilization", "0.5"]
    )
    plan = json.loads(capsys.readouterr().out)
    assert (code, plan["preset"]) == (0, presets.DEFAULT_PRESET)
    assert plan["command"][-2:] == ["--gpu-memory-utilization", "0.5"]


def test_a_cache_too_small_for_one_window_is_said(tmp_path):
    weights = folder_of(tmp_path, max_position_embeddings=131072)
    asked = options(tmp_path, model=str(weights), cpu=True, window=65536, cache_gib=1)
    (problem,) = plan_serving(asked, environ_with(tmp_path), dry=True).problems
    assert "--cache 1 holds 46603 tokens, less than a window of 65536" in problem


@pytest.mark.parametrize(
    ("break_it", "refusal"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
    ],
)
def test_a_folder_that_is_no_models_is_refused(tmp_path, break_it, refusal):
    folder = folder_of(tmp_path)
    break_it(folder)
    with pytest.raises(UsageError, match=refusal):
        plan_serving(options(tmp_path, model=str(folder), cpu=True), {}, dry=True)


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub that answers everything alike."""

    status = 403
    headers_out: dict[str, str] = {}  # noqa: RUF012

    def do_GET(self):
        self.send_response(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_HEAD(self):
        self.send_response(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize(
    ("status", "header", "refusal"),
    [
        (403, {"x-error-code": "GatedRepo"}, "gated, private or unknown .*set HF_TOKEN"),
        (401, {"x-error-code": "GatedRepo"}, "gated, private or unknown .*set HF_TOKEN"),
        (404, {"x-error-code": "RepoNotFound"}, "no model org/name|gated, private or unknown"),
    ],
)
def test_a_model_that_the_hub_does_not_give_is_said_before_a_server_starts(
    tmp_path, status, header, refusal
):
    kind = type("Hub", (Hub,), {"status": status, "headers_out": header})
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    environ = {
        **os.environ, **environ_with(tmp_path, GPU), "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HUB_OFFLINE": "0",
    }  # fmt: skip
    program = model_server.program(tmp_path)
    try:
        for model in ("org/name", "deepseek-coder-v2-lite"):
            done = subprocess.run(
                [sys.executable, "-m", "swe_router", "serve", model, "--json", "--port", "47123",
                 "--vllm", str(program)],
                capture_output=True, text=True, env=environ, check=False,
            )  # fmt: skip
            assert done.returncode == 2, done.stderr
            assert re.search(
                refusal.replace("org/name", model if "/" in model else "deepseek-ai/.*"),
                json.loads(done.stdout)["error"],
            ), done.stdout
    finally:
        hub.shutdown()
        hub.server_close()


def test_a_key_that_anybody_could_guess_or_read_is_refused(tmp_path):
    variable = "SWE_ROUTER_SERVE_KEY"
    assert served_key(ServeOptions(), {}) == ""
    assert served_key(ServeOptions(), {variable: "0123456789abcdef"}) == "0123456789abcdef"
    with pytest.raises(UsageError, match="16 printable"):
        served_key(ServeOptions(), {variable: "secret"})
    mine = tmp_path / "key"
    mine.write_text("0123456789abcdef0\n")
    mine.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        served_key(ServeOptions(key_file=mine), {})
    mine.chmod(0o600)
    assert served_key(ServeOptions(key_file=mine), {}) == "0123456789abcdef0"


def test_a_tier_is_put_in_the_place_of_the_one_of_its_name_and_nothing_else_changes():
    before = (
        'budget = 1\n\n[tiers.local]\ndialect = "x"\n\n[tiers.local.price]\ninput = 1\n\n'
        '[tiers.cloud]\ndialect = "y"   # mine\n'
    )
    after = tier_text.with_tier(before, "local", {"dialect": "vllm", "window": 5, "on": True})
    assert after == (
        'budget = 1\n\n[tiers.local]\ndialect = "vllm"\nwindow = 5\non = true\n\n'
        '[tiers.cloud]\ndialect = "y"   # mine\n'
    )
    added = tier_text.with_tier(before, "new.one", {"dialect": "vllm"})
    assert added.index('[tiers."new.one"]') < added.index("[tiers.local]")
    assert "[tiers.local.price]" in added


def test_a_file_that_would_be_no_preset_stays_as_it_was(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("nonsense = 1\n")
    with pytest.raises(UsageError, match="would be no preset"):
        tier_text.write_tier(mine, "local", {"dialect": "vllm", "model": "m"})
    assert mine.read_text() == "nonsense = 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_the_size_of_the_cache_is_read_from_the_metrics():
    assert cache_size_in(model_server.METRICS) == (46592, 11.375)
    older = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1.0\n'
    assert cache_size_in(older) == (1600, 0.0)
    assert cache_size_in("vllm:num_requests_running 0.0\n") == (0, 0.0)


def test_the_list_has_every_preset_and_card():
    done = subprocess.run(
        [sys.executable, "-m", "swe_router", "serve", "--list", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    listed = json.loads(done.stdout)
    assert listed["default"] == listed["presets"][0]["name"]
    for row in listed["presets"]:
        assert list(row["cards"]) == ["24", "32", "48", "80", "141"]
        assert row["source"].startswith("https://huggingface.co/")


def test_the_container_serves_as_the_command_does_with_a_key_and_on_this_machine_alone():
    """Nobody could build it here: its options and its compose file are held to the command's."""
    root = Path(__file__).resolve().parents[2] / "docker"
    text = (root / "vllm.Dockerfile").read_text()
    for option in ("--enable-prefix-caching", "--enable-prompt-tokens-details"):
        assert option in text
    assert "VLLM_API_KEY:?" in text
    assert "--trust-remote-code" not in text
    service = yaml.safe_load((root / "compose.yaml").read_text())["services"]["vllm"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert "SWE_ROUTER_SERVE_KEY:?" in service["environment"]["VLLM_API_KEY"]
    assert (root / service["build"]["dockerfile"]).exists()
    args = service["build"]["args"]
    local = settings.load("hybrid").tiers["local"]
    assert local.model in args["MODEL"]
    assert str(local.window) in args["WINDOW"]
    assert f"MODEL={local.model}\nARG WINDOW={local.window}\n" in text
