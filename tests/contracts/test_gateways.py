"""Every gateway of the table, over loopback HTTP: what it is sent, what its reply is taken for."""

from __future__ import annotations

import datetime
import json
import logging
from decimal import Decimal

import pytest

from swe_router import gateways, prices
from swe_router.errors import ModelUnknown, Unauthorised, UsageError
from swe_router.ledger import Ledger
from swe_router.models import tier_checks
from swe_router.models.answer_prices import NO_USAGE
from swe_router.models.fallback_rates import dearest_rate
from swe_router.models.metered import MeteredModel
from swe_router.models.openai import OpenAIModel
from swe_router.records import CallLimits, Message, Step, Trajectory, Usage
from swe_router.settings import PriceSettings, Tier
from tests.doubles.gateway_server import FORMS, KEY, SECRET, GatewayServer

D = Decimal
ASK = (Message(role="user", content="Fix it."),)
LIMITS = CallLimits(max_output_tokens=100, timeout=30)
RATE = prices.flat_rate(D(1), D(2), source="s", on=datetime.date(2026, 11, 24))
"""10 tokens in and 5 out: 0.00002 USD."""
HEADERS = {"portkey-self-hosted": {"x-portkey-provider": "openai"}}
every_gateway = pytest.mark.parametrize("name", FORMS)


def tier(name, url, **fields):
    given = {
        "dialect": "openai", "model": FORMS[name].model, "base_url": url, "gateway": name,
        "api_key_env": "THE_KEY", "window": 100_000, "attempt_usd": D(1),
        "headers": HEADERS.get(name, {}),
    }  # fmt: skip
    return Tier(**{**given, **fields})


def client(name, url, key=KEY, **fields):
    return OpenAIModel(tier(name, url, **fields), session="x#1", key=key)


def metered(tmp_path, model, rate=RATE):
    ledger = Ledger(tmp_path / "ledger.jsonl", D(1))
    hold = ledger.hold("cloud", D("0.5"), "x#1")
    return MeteredModel(model, hold, rate), hold


def settled(tmp_path):
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    return [line for line in lines if line["op"] == "settle"]


def test_the_table_names_every_gateway_of_the_fakes_and_where_it_is_known_from():
    known = gateways.all_gateways()
    assert set(FORMS) == set(known) - {"other"}
    assert all(row.source for name, row in known.items() if name != "other")
    assert {name for name, row in known.items() if row.tried == "run"} == {
        "litellm",
        "portkey-self-hosted",
    }


@every_gateway
def test_a_gateway_gets_its_key_where_it_wants_it_and_its_model_is_served(name):
    with GatewayServer(name) as server:
        answer = client(name, server.url).complete(ASK, limits=LIMITS)
    assert not server.refused
    assert answer.message.content == "ok"
    assert answer.served_by.startswith(name)
    carried = [header for header, value in server.seen[0][1].items() if KEY in value]
    auth = gateways.all_gateways()[name].auth
    assert carried == ["authorization" if auth == "bearer" else auth]


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"portkey-self-hosted"}))
def test_a_wrong_key_is_a_refused_key_whatever_the_gateway_calls_it(name):
    with GatewayServer(name) as server, pytest.raises(Unauthorised) as caught:
        client(name, server.url, key="sk-wrong-wrong-wrong").complete(ASK, limits=LIMITS)
    assert not caught.value.billed
    assert "wrong-wrong" not in str(caught.value)


@every_gateway
def test_a_model_that_a_gateway_does_not_serve_is_named_so(name):
    with GatewayServer(name) as server, pytest.raises(ModelUnknown):
        client(name, server.url, model="nosuch").complete(ASK, limits=LIMITS)


SERVED = {
    "openrouter": ("deepseek/deepseek-chat", "openrouter: DeepInfra"),
    "portkey": ("gpt-4.1", "portkey: openai"),
    "portkey-self-hosted": ("gpt-4.1", "portkey-self-hosted: openai, fallback config.targets[1]"),
    "litellm": ("gpt-4.1", "litellm: hosted_vllm/smol, fallback 1"),
    "azure": ("gpt-4.1-2025-04-14", "azure"),
}


@pytest.mark.parametrize(("name", "served"), SERVED.items())
def test_who_answered_is_attributed(name, served):
    with GatewayServer(name) as server:
        answer = client(name, server.url).complete(ASK, limits=LIMITS)
    assert (answer.model, answer.served_by) == served
    end = Trajectory.of([Step(index=0, request="", completion=answer)], "submitted", "")
    assert dict(end.served.by) == {f"{served[0]} by {served[1]}": 1}


@pytest.mark.parametrize(("name", "usd"), [("openrouter", "0.00002"), ("litellm", "0.0000205")])
def test_the_returned_cost_settles(tmp_path, name, usd):
    with GatewayServer(name) as server:
        model, hold = metered(tmp_path, client(name, server.url))
        answer = model.complete(ASK, limits=LIMITS)
    assert answer.usd == hold.spent == D(usd)
    assert answer.returned.listed == D("0.00002")
    assert prices.charged_usd(RATE, answer.usage, answer.returned) == answer.usd


def test_a_difference_of_more_than_one_percent_is_noted_and_logged_once(tmp_path, caplog):
    with GatewayServer("litellm") as server, caplog.at_level(logging.WARNING):
        model, _ = metered(tmp_path, client("litellm", server.url))
        for _ in range(3):
            model.complete(ASK, limits=LIMITS)
    notes = [line["note"] for line in settled(tmp_path)]
    assert len(notes) == 3
    assert all("0.0000205" in note and "price table 0.00002" in note for note in notes)
    assert caplog.text.count("the gateway says") == 1


def test_a_cost_within_one_percent_is_no_remark(tmp_path):
    with GatewayServer("litellm", headers={"x-litellm-response-cost": "2.01e-05"}) as server:
        model, hold = metered(tmp_path, client("litellm", server.url))
        model.complete(ASK, limits=LIMITS)
    assert hold.spent == D("0.0000201")
    assert settled(tmp_path)[0]["note"] == ""


def test_more_than_was_reserved_is_never_charged_and_is_said(tmp_path):
    with GatewayServer("litellm", headers={"x-litellm-response-cost": "7"}) as server:
        model, hold = metered(tmp_path, client("litellm", server.url))
        reserved = model.worst(ASK, (), LIMITS)
        answer = model.complete(ASK, limits=LIMITS)
    assert hold.spent == answer.usd == answer.returned.cap == reserved < 1
    assert answer.returned.usd == 7
    assert "over the reservation" in settled(tmp_path)[0]["note"]
    assert prices.charged_usd(RATE, answer.usage, answer.returned) == answer.usd


ABSURD = ["-1", "nan", "inf", "", "None", "1e99", "0.1 USD", "0x10"]


@pytest.mark.parametrize("cost", ABSURD)
def test_a_cost_that_cannot_be_true_counts_as_none(tmp_path, cost):
    with GatewayServer("litellm", headers={"x-litellm-response-cost": cost}) as server:
        model, hold = metered(tmp_path, client("litellm", server.url))
        answer = model.complete(ASK, limits=LIMITS)
    assert answer.returned is None
    assert hold.spent == D("0.00002"), "the price table's"


@pytest.mark.parametrize("cost", [True, "0.1", [1], {"usd": 1}, None])
def test_a_cost_of_another_kind_in_the_reply_breaks_nothing(tmp_path, cost):
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "cost": cost}
    with GatewayServer("openrouter", usage=usage) as server:
        model, hold = metered(tmp_path, client("openrouter", server.url))
        model.complete(ASK, limits=LIMITS)
    assert 0 < hold.spent < 1


def test_a_gateway_that_knows_no_price_and_says_zero_is_not_believed(tmp_path):
    with GatewayServer("litellm", headers={"x-litellm-response-cost": "0.0"}) as server:
        model, hold = metered(tmp_path, client("litellm", server.url))
        model.complete(ASK, limits=LIMITS)
    assert hold.spent == D("0.00002")


def test_a_price_of_your_own_saying_is_not_replaced_by_a_gateways(tmp_path):
    rate = prices.gpu_hour_rate(D(2), 1, RATE.date)
    with GatewayServer("litellm") as server:
        model, hold = metered(tmp_path, client("litellm", server.url), rate)
        answer = model.complete(ASK, limits=LIMITS)
    assert hold.spent == rate.usd(answer.usage)


def test_what_your_own_key_pays_at_the_provider_is_part_of_the_cost(tmp_path):
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.000001, "is_byok": True,
             "cost_details": {"upstream_inference_cost": 0.00002}}  # fmt: skip
    with GatewayServer("openrouter", usage=usage) as server:
        model, hold = metered(tmp_path, client("openrouter", server.url))
        model.complete(ASK, limits=LIMITS)
    assert hold.spent == D("0.000021")


def test_unknown_usage_stays_unknown_and_the_returned_cost_settles(tmp_path):
    with GatewayServer("litellm", usage=None) as server:
        model, hold = metered(tmp_path, client("litellm", server.url))
        answer = model.complete(ASK, limits=LIMITS)
    assert answer.usage_unknown
    assert answer.usage.prompt_tokens == answer.usage.output_tokens == 0
    assert hold.spent == D("0.0000205")
    assert "counts no tokens" in settled(tmp_path)[0]["note"]


def test_unknown_usage_without_a_cost_is_charged_as_reserved_and_marked(tmp_path):
    with GatewayServer("martian", usage=None) as server:
        model, hold = metered(tmp_path, client("martian", server.url))
        reserved = model.worst(ASK, (), LIMITS)
        answer = model.complete(ASK, limits=LIMITS)
    assert answer.usage_unknown
    assert hold.spent == reserved
    assert settled(tmp_path)[0]["note"] == NO_USAGE
    end = Trajectory.of([Step(index=0, request="", completion=answer)], "submitted", "")
    assert end.served.usage_unknown == 1


def test_a_header_from_the_environment_arrives_and_is_never_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("SECOND_SECRET", SECRET)
    headers = {"X-Portkey-Virtual-Key": "env:SECOND_SECRET", "x-portkey-trace-id": "run-1"}
    more = {"choices": [{"message": {"content": f"your key is {SECRET}"}, "finish_reason": "stop"}]}
    with GatewayServer("portkey", more=more) as server:
        made = client("portkey", server.url, headers=headers)
        answer = made.complete(ASK, limits=LIMITS)
    assert server.seen[0][1]["x-portkey-virtual-key"] == SECRET
    assert server.seen[0][1]["x-portkey-trace-id"] == "run-1"
    assert answer.message.content == "your key is [key]"
    assert SECRET not in tier("portkey", server.url, headers=headers).model_dump_json()


def test_a_header_whose_variable_is_not_set_is_refused_before_a_run():
    made = tier("portkey", "http://x/v1", headers={"x-portkey-virtual-key": "env:NOT_THERE"})
    with pytest.raises(UsageError, match="NOT_THERE"):
        tier_checks.key_of("cloud", made, {"THE_KEY": KEY})


FAULTS = {
    "takes no header": {"headers": {"x-evil": "1"}},
    "may hold a secret": {"headers": {"x-portkey-virtual-key": "pk-1"}},
    "write \"env:NAME\"": {"headers": {"x-portkey-config": '{"api_key": "abc"}'}},
    "one line": {"headers": {"x-portkey-trace-id": "a\nb"}},
    "did you mean 'portkey'": {"gateway": "portky"},
    "needs one of the headers": {"gateway": "portkey-self-hosted"},
    "name it": {"gateway": "", "base_url": "http://127.0.0.1/v1", "headers": {"x-a": "1"}},
}  # fmt: skip


@pytest.mark.parametrize(("said", "fields"), FAULTS.items())
def test_a_gateway_or_header_that_cannot_be_meant_is_refused(said, fields):
    with pytest.raises(ValueError, match=said):
        tier("portkey", "https://api.portkey.ai/v1", **fields)


ADDRESSES = {
    "https://openrouter.ai/api/v1": "openrouter",
    "https://bedrock-mantle.eu-west-1.api.aws/openai/v1": "bedrock",
    "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1": "bedrock",
    "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi": "vertex",
    "https://us-central1-aiplatform.googleapis.com/v1/projects/p": "vertex",
    "https://me.openai.azure.com/openai/v1": "azure",
    "https://api.withmartian.com/v1": "martian",
    "https://notopenrouter.ai.example.com/v1": None,
    "http://127.0.0.1:8001/v1": None,
    "": None,
}


@pytest.mark.parametrize(("address", "name"), ADDRESSES.items())
def test_a_gateway_is_known_by_its_address(address, name):
    found = gateways.gateway_of("", address)
    assert (found.name if found else None) == name


def test_a_tier_without_a_gateway_is_dumped_as_it_ever_was():
    """Digests of runs made before must not change."""
    bare = Tier(dialect="openai", model="m", window=9, attempt_usd=D(1)).model_dump(mode="json")
    assert not {"gateway", "headers"} & set(bare)
    plain = Trajectory(exit="submitted").model_dump(mode="json")
    assert not {"served"} & set(plain)


FIELDS = {"openrouter": "models", "litellm": "fallbacks"}


@pytest.mark.parametrize(("name", "field"), FIELDS.items())
def test_fallbacks_are_sent_as_the_gateway_names_them(name, field):
    with GatewayServer(name) as server:
        client(name, server.url, fallbacks=("gpt-4o", "o3")).complete(ASK, limits=LIMITS)
    assert not server.refused
    assert server.seen[0][2][field] == ["gpt-4o", "o3"]


def test_the_dearest_model_that_may_answer_is_reserved_for():
    day, given = datetime.date(2026, 11, 24), PriceSettings()
    fields = {"gateway": "litellm", "headers": {}, "model": "deepseek-chat"}
    made = tier("litellm", "http://127.0.0.1:4000/v1", **fields)
    both = made.model_copy(update={"fallbacks": ("gpt-4.1",)})
    rates = [tier_checks.rate_of("cloud", one, given, day)
             for one in (made, made.model_copy(update={"model": "gpt-4.1"}), both)]  # fmt: skip
    worst = [rate.max_usd(10_000, 1000, 60) for rate in rates]
    assert worst[2] == max(worst) > min(worst)
    unknown = made.model_copy(update={"fallbacks": ("nobody-knows",)})
    with pytest.raises(UsageError, match="nobody-knows"):
        tier_checks.rate_of("cloud", unknown, given, day)


def test_a_dearest_rate_holds_for_every_length_of_a_prompt():
    low = prices.PriceRate(bands=(
        prices.PriceBand(input=D(1), output=D(9), cache_read=D("0.1"), cache_write=D(1)),
        prices.PriceBand(above=1000, input=D(7), output=D(9), cache_read=D(1), cache_write=D(7)),
    ), source="a", date=RATE.date)  # fmt: skip
    rate = dearest_rate([low, RATE])
    for prompt in (1, 999, 1000, 1001, 5000):
        usage = Usage(input_tokens=prompt, output_tokens=7, cache_read_tokens=3)
        assert rate.usd(usage) >= max(low.usd(usage), RATE.usd(usage))
    assert dearest_rate([low]) is low


def test_fallbacks_where_nobody_takes_them_are_refused():
    with pytest.raises(ValueError, match="gateways openrouter, litellm"):
        tier("azure", "https://x.openai.azure.com/openai/v1", fallbacks=("gpt-4o",))


def worst_after(folder, cost):
    """What a call reserves after one that the gateway says cost so much; listed: 0.00002."""
    folder.mkdir()
    with GatewayServer("litellm", headers={"x-litellm-response-cost": cost}) as server:
        model, _ = metered(folder, client("litellm", server.url))
        model.complete(ASK, limits=LIMITS)
        again = model.worst(ASK, (), LIMITS)
        assert model.complete(ASK, limits=LIMITS).message.content == "ok"
    return again


def test_later_calls_are_reserved_for_by_what_a_gateway_really_takes(tmp_path):
    """Priced at half, each call of a gateway would else be charged less than it costs."""
    usual = worst_after(tmp_path / "a", "0.00002")
    assert worst_after(tmp_path / "b", "0.00004") == 2 * usual
    assert worst_after(tmp_path / "c", "0.00001") == usual


def test_one_absurd_cost_does_not_end_an_attempt(tmp_path):
    assert worst_after(tmp_path / "a", "7") == 4 * worst_after(tmp_path / "b", "0.00002")
