"""LiteLLM's proxy and Portkey's gateway, the programs themselves, before a real vLLM server.

SWE_ROUTER_GATEWAYS is the folder of gateway_setup.sh; the server is SWE_ROUTER_VLLM_URL (…/v1) with
SWE_ROUTER_VLLM_MODEL.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from swe_router.errors import ContextTooLong, ModelUnknown, Overloaded, SettingRefused, Unauthorised
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.openai import OpenAIModel
from swe_router.records import CallLimits, Message
from swe_router.settings import Tier

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.skipif(
        "SWE_ROUTER_GATEWAYS" not in os.environ or "SWE_ROUTER_VLLM_URL" not in os.environ,
        reason="needs gateway_setup.sh and a vLLM server",
    ),
]
KEY = "sk-live-test-0123456789"
LIMITS = CallLimits(max_output_tokens=8, timeout=300)
ASK = (Message(role="user", content="Say hi."),)
LONG = (Message(role="user", content="word " * 20_000),)
CONFIG = """
model_list:
  - {{model_name: coder, litellm_params: {{{served}, {price}}}}}
  - {{model_name: dear, litellm_params: {{{served}, input_cost_per_token: 0.000002, output_cost_per_token: 0.000004}}}}
  - {{model_name: streamed, litellm_params: {{{served}, {price}, additional_drop_params: [max_tokens], stop: ["."]}}}}
  - {{model_name: broken, litellm_params: {{model: hosted_vllm/{model}, api_base: "http://127.0.0.1:9/v1", api_key: none, {price}}}}}
litellm_settings: {{num_retries: 0, telemetry: false}}
router_settings: {{num_retries: 0, fallbacks: [{{broken: [coder]}}]}}
general_settings: {{master_key: {key}}}
"""  # noqa: E501


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def running(command, log, url, environ):
    """A gateway in a process group of its own, once it answers."""
    with log.open("w") as out:
        started = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, env={**os.environ, **environ}
        )
    until = time.monotonic() + 240
    while True:
        try:
            if httpx2.get(url, timeout=2).status_code < 500:
                return started
        except httpx2.HTTPError:
            pass
        assert started.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < until, log.read_text()[-2000:]
        time.sleep(0.5)


def end(started):
    os.killpg(started.pid, signal.SIGTERM)
    try:
        started.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@pytest.fixture(scope="module")
def vllm():
    return os.environ["SWE_ROUTER_VLLM_URL"], os.environ["SWE_ROUTER_VLLM_MODEL"]


@pytest.fixture(scope="module")
def litellm(tmp_path_factory, vllm):
    folder, port = tmp_path_factory.mktemp("litellm"), free_port()
    url, model = vllm
    served = f'model: hosted_vllm/{model}, api_base: "{url}", api_key: none'
    price = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002"
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(served=served, price=price, model=model, key=KEY))
    program = Path(os.environ["SWE_ROUTER_GATEWAYS"]) / "litellm/bin/litellm"
    command = [program, "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    home = f"http://127.0.0.1:{port}"
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    started = running(command, folder / "log", f"{home}/health/liveliness", environ)
    yield home
    end(started)


@pytest.fixture(scope="module")
def portkey(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("portkey"), free_port()
    root = Path(os.environ["SWE_ROUTER_GATEWAYS"]) / "portkey/node_modules/@portkey-ai/gateway"
    node = shutil.which("node")
    command = [node, root / "build/start-server.js", "--headless", f"--port={port}"]
    home = f"http://127.0.0.1:{port}"
    started = running(command, folder / "log", home, {})
    yield home
    end(started)


def tier(home, gateway, **fields):
    given = {
        "dialect": "openai", "gateway": gateway, "base_url": f"{home}/v1", "window": 32_768,
        "attempt_usd": Decimal(1), "api_key_env": "THE_KEY", "timeout": 300,
    }  # fmt: skip
    return Tier(**{**given, **fields})


def ask(made, messages=ASK, *, kind=OpenAIModel, key=KEY, limits=LIMITS):
    return kind(made, session="x#1", key=key).complete(messages, limits=limits)


def of_litellm(home, model="coder", **fields):
    return tier(home, "litellm", model=model, **fields)


def of_portkey(home, vllm, model="", **headers):
    usual = {"x-portkey-provider": "openai", "x-portkey-custom-host": vllm[0]}
    return tier(home, "portkey-self-hosted", model=model or vllm[1], headers=headers or usual)


def by_anthropic(home, model="coder"):
    return of_litellm(home, model, dialect="anthropic", base_url=home)


@pytest.mark.parametrize("dialect", ["chat", "responses", "anthropic"])
def test_litellm_serves_three_dialects_and_returns_the_cost(litellm, vllm, dialect):
    anthropic = dialect == "anthropic"
    made = by_anthropic(litellm) if anthropic else of_litellm(litellm, options={"api": dialect})
    answer = ask(made, kind=AnthropicModel if anthropic else OpenAIModel)
    usage = answer.usage
    assert answer.served_by == f"litellm: hosted_vllm/{vllm[1]}"
    cost = (usage.prompt_tokens + 2 * usage.output_tokens) / Decimal(1_000_000)
    assert answer.returned.usd == cost > 0


def test_litellm_falls_back_and_it_is_seen_who_answered(litellm, vllm):
    answer = ask(of_litellm(litellm, "broken"))
    assert answer.served_by == f"litellm: hosted_vllm/{vllm[1]}, fallback 1"
    assert answer.model == vllm[1]


def test_a_streamed_answer_of_litellm_has_no_cost_and_is_whole(litellm):
    limits = CallLimits(max_output_tokens=20_001, timeout=600)
    made = by_anthropic(litellm, "streamed")
    answer = ask(made, kind=AnthropicModel, limits=limits)
    assert answer.returned is None
    assert answer.usage.prompt_tokens > 0


REFUSALS = {
    "a wrong key": ({"key": "sk-wrong-wrong-wrong"}, {}, Unauthorised),
    "an unknown model": ({}, {"model": "nosuch"}, ModelUnknown),
    "a conversation over the window": ({"messages": LONG}, {}, ContextTooLong),
    "a cap over the window": (
        {"limits": CallLimits(max_output_tokens=99_000, timeout=60)}, {}, SettingRefused),
}  # fmt: skip


@pytest.mark.parametrize(("given", "fields", "error"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_through_litellm_has_its_class_and_no_charge(litellm, given, fields, error):
    with pytest.raises(error) as caught:
        ask(of_litellm(litellm, **fields), **given)
    assert not caught.value.billed


def test_portkey_serves_and_names_its_provider(portkey, vllm):
    answer = ask(of_portkey(portkey, vllm))
    assert answer.served_by == "portkey-self-hosted: openai"
    assert answer.returned is None
    assert answer.usage.prompt_tokens > 0


def test_portkey_falls_back_by_a_configuration_of_the_environment(portkey, vllm, monkeypatch):
    target = {"provider": "openai", "api_key": "none"}
    config = {"strategy": {"mode": "fallback"}, "targets": [
        {**target, "custom_host": "http://127.0.0.1:9/v1"}, {**target, "custom_host": vllm[0]},
    ]}  # fmt: skip
    monkeypatch.setenv("PORTKEY_TEST_CONFIG", json.dumps(config))
    made = of_portkey(portkey, vllm, **{"x-portkey-config": "env:PORTKEY_TEST_CONFIG"})
    assert ask(made).served_by.endswith("fallback config.targets[1]")


def test_a_refusal_through_portkey_has_its_class(portkey, vllm):
    with pytest.raises(ModelUnknown):
        ask(of_portkey(portkey, vllm, "nosuch"))
    with pytest.raises(ContextTooLong):
        ask(of_portkey(portkey, vllm), LONG)
    dead = {"x-portkey-provider": "openai", "x-portkey-custom-host": "http://127.0.0.1:9/v1"}
    with pytest.raises(Overloaded):
        ask(of_portkey(portkey, vllm, **dead))


ATTEMPT = """
[tiers.local]
dialect = "openai"
{gateway}
api_key_env = "THE_KEY"
window = 32768
max_output_tokens = 128
tools = "{tools}"
price = {{ input = 1, output = 2 }}
attempt_usd = 0.05
attempt_steps = 2
temperature = 0.0
rpm = 30
[policy]
name = "fixed"
ladder = ["local"]
"""


def swe_router(folder, *words):
    made = subprocess.run(
        [sys.executable, "-m", "swe_router", *words, "--out", folder / "runs"],
        capture_output=True, text=True, check=False, env={**os.environ, "THE_KEY": KEY},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.parametrize("tools", ["text", "native"])
@pytest.mark.parametrize("name", ["litellm", "portkey"])
def test_a_whole_attempt_is_settled_attributed_and_replayed(
    tmp_path, litellm, portkey, vllm, name, tools
):
    lines = {
        "litellm": f'gateway = "litellm"\nmodel = "{"coder" if tools == "text" else "dear"}"\n'
        f'base_url = "{litellm}/v1"',
        "portkey": f'gateway = "portkey-self-hosted"\nmodel = "{vllm[1]}"\n'
        f'base_url = "{portkey}/v1"\n'
        f'headers = {{ x-portkey-provider = "openai", x-portkey-custom-host = "{vllm[0]}" }}',
    }
    preset = tmp_path / "preset.toml"
    preset.write_text(ATTEMPT.format(gateway=lines[name], tools=tools))
    one = ("--split", "demo", "-i", "demo__confet-14", "--preset", str(preset), "--budget", "1")
    swe_router(tmp_path, "run", *one, "--json")
    facts = json.loads(swe_router(tmp_path, "show", "latest", "--json"))
    row = facts["gateways"]["local"]
    (served,) = row["served"]
    if name == "litellm":
        assert f"by litellm: hosted_vllm/{vllm[1]}" in served
        assert 0 < facts["settled"] <= row["returned_usd"] + 1e-9
        if tools == "text":
            assert facts["settled"] == pytest.approx(row["returned_usd"])
        assert row["difference"] == pytest.approx(0.0 if tools == "text" else 1.0)
    else:
        assert served == f"{vllm[1]} by portkey-self-hosted: openai"
        assert "returned_usd" not in row
    assert "all as recorded" in swe_router(tmp_path, "replay", "latest")
