"""``serve`` with a real vLLM: whole attempts, a killed engine, cache shares, and what it costs.

Figures are printed as a table at the end (``-rP`` or ``-s`` shows it).
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx2
import pytest

from swe_router import assets, prices
from swe_router.ledger import Ledger
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.metered import MeteredModel
from swe_router.models.openai import OpenAIModel, VllmModel
from swe_router.records import CallLimits, Message
from swe_router.serving.tier_text import with_tier
from swe_router.settings import Tier
from tests.live.vllm_server import START_SECONDS, until

pytestmark = pytest.mark.vllm
FIGURES: dict[str, object] = {}
USD_PER_HOUR = Decimal(2)


@pytest.fixture(scope="module", autouse=True)
def shown():
    yield
    print(json.dumps(FIGURES, indent=2))


def tier_for(server, **fields):
    return Tier(**{
        "dialect": "vllm", "model": server.model, "base_url": server.url, "window": 16384,
        "max_output_tokens": 200, "temperature": 0.0, "attempt_usd": Decimal("0.5"), **fields,
    })  # fmt: skip


def test_it_starts_with_the_cache_that_was_estimated_and_asks_for_its_key(vllm_server):
    facts = vllm_server.facts
    FIGURES.update({name: facts[name] for name in (
        "start_seconds", "tokens_per_second", "many", "many_tokens_per_second", "cache_tokens",
        "estimated_cache_tokens",
    )})  # fmt: skip
    assert facts["estimated_cache_tokens"] // 128 * 128 == facts["cache_tokens"]
    assert facts["window"] == 16384
    assert facts["many_tokens_per_second"] > facts["tokens_per_second"]
    assert httpx2.get(vllm_server.url + "/models").status_code == 401
    processes = subprocess.run(["ps", "-axo", "args"], capture_output=True, text=True, check=True)
    assert vllm_server.key not in processes.stdout


def mixed_preset(server, folder, **fields):
    """The demo with the served model as its local tier, and its recorded strong one."""
    demo = (assets.assets_root() / "eval" / "presets" / "demo.toml").read_text()
    mine = folder / "mixed.toml"
    small = {"attempt_steps": 4, "max_output_tokens": 200}
    tier = {**server.facts["tier"], **small, **fields}
    mine.write_text(with_tier(demo, "local", tier))
    return mine


def run_demo(server, folder, preset, *instances):
    """``swe-router run`` of these instances; it finds the key of the endpoint by itself."""
    command = [
        *(sys.executable, "-m", "swe_router", "run", "--preset", str(preset), "--split", "demo"),
        *("--instances", *instances, "--budget", "2", "--sandbox", "local", "--json"),
    ]
    environ = {**os.environ, "XDG_STATE_HOME": str(server.folder)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environ
    )


@pytest.mark.parametrize("tools", ["text", "native"])
def test_a_whole_attempt_runs_on_it_and_escalates(vllm_server, tmp_path, tools):
    preset = mixed_preset(vllm_server, tmp_path, tools=tools)
    out, err = run_demo(vllm_server, tmp_path, preset, "demo__confet-14").communicate()
    summary = json.loads(out)
    assert (summary["ended"], summary["resolved"], summary["escalated"]) == ("done", 1, 1), err
    assert summary["by_tier"]["local"]["attempts"] == 1
    assert 0 < summary["by_tier"]["local"]["usd"] < 0.5
    FIGURES[f"USD of a demo attempt ({tools})"] = summary["by_tier"]["local"]["usd"]


def test_a_run_outlasts_a_killed_engine_and_loses_no_instance(vllm_server, tmp_path):
    preset = mixed_preset(vllm_server, tmp_path, tools="text")
    with run_demo(vllm_server, tmp_path, preset, "demo__confet-14", "demo__confet-3") as run:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(run.stderr))
        reader.start()
        until(lambda: vllm_server.metric("num_requests_running") > 0, 300, "the run asks nothing")
        time.sleep(1)
        os.kill(vllm_server.engine(), signal.SIGKILL)
        until(lambda: vllm_server.state() == "restarting", 60, "the crash was not noticed")
        start = time.monotonic()
        until(lambda: vllm_server.state() == "ready", START_SECONDS, "it does not come back")
        FIGURES["restart_seconds"] = round(time.monotonic() - start, 1)
        out = run.stdout.read()
        code = run.wait()
        reader.join()
    summary = json.loads(out)
    assert (code, summary["ended"], summary["resolved"]) == (0, "done", 2), "".join(lines)
    assert summary["escalated"] == 2
    assert any("it is coming back" in line for line in lines), "the breaker was not told"


DIALECTS = {
    "chat": (OpenAIModel, "openai", {"api": "chat"}, "/v1"),
    "responses": (OpenAIModel, "openai", {"api": "responses"}, "/v1"),
    "anthropic": (AnthropicModel, "anthropic", {}, ""),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_step_of_a_conversation_reads_what_came_before_from_the_cache(vllm_server, dialect):
    kind, name, options, path = DIALECTS[dialect]
    home = vllm_server.url.removesuffix("/v1") + path
    tier = tier_for(vllm_server, dialect=name, base_url=home, options=options)
    model = kind(tier, session=f"{dialect}#1", key=vllm_server.key)
    talk = [Message(role="user", content=f"{dialect} {time.time()}. " + "A line of code.\n" * 120)]
    shares = []
    for step in range(4):
        answer = model.complete(talk, limits=CallLimits(max_output_tokens=24, timeout=300))
        usage = answer.usage
        shares.append(round(usage.cache_read_tokens / usage.prompt_tokens, 2))
        more = Message(role="user", content=f"Step {step}. " + "The output of a command.\n" * 30)
        talk += [answer.message, more]
    FIGURES[f"cache share per step ({dialect})"] = shares
    assert shares[0] < 0.3
    assert all(share > 0.5 for share in shares[1:])


def attempt_usd(server, ledger, number, concurrency):
    """An attempt of three steps, paid by the second."""
    rate = prices.gpu_hour_rate(USD_PER_HOUR, concurrency, datetime.date(2026, 11, 24))
    limits = CallLimits(max_output_tokens=48, timeout=600)
    talk = [Message(role="user", content=f"{number} {time.time()} " + "Fix this.\n" * 60)]
    model = VllmModel(tier_for(server), session=f"{number}#1", key=server.key)
    with ledger.hold("local", Decimal("0.5"), f"{number}#1") as hold:
        meter = MeteredModel(model, hold, rate)
        for step in range(3):
            answer = meter.complete(talk, limits=limits)
            talk += [answer.message, Message(role="user", content=f"{step}. " + "Output.\n" * 30)]


@pytest.mark.parametrize("attempts", [1, 8])
def test_an_attempt_costs_its_share_of_the_machine(vllm_server, tmp_path, attempts):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(100))
    before, start = vllm_server.metric("generation_tokens_total"), time.monotonic()
    with ThreadPoolExecutor(attempts) as threads:
        list(threads.map(lambda n: attempt_usd(vllm_server, ledger, n, attempts), range(attempts)))
    seconds = time.monotonic() - start
    tokens = vllm_server.metric("generation_tokens_total") - before
    rent = float(USD_PER_HOUR) * seconds / 3600
    each = float(ledger.figures().settled) / attempts
    FIGURES[f"attempts at a time: {attempts}"] = {
        "tokens_per_second": round(tokens / seconds, 1), "usd_per_attempt": round(each, 5),
        "rent_per_attempt": round(rent / attempts, 5),
    }  # fmt: skip
    assert 0 < each * attempts <= rent * 1.05, "more was charged than the machine was rented for"
