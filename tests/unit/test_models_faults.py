"""What is made of the errors of providers and gateways, in their own words and wherever they stand.

The texts are those of public bug reports and of the providers' documentation.
"""

from __future__ import annotations

import json

import pytest

from swe_router.errors import (
    BadReply,
    ContextTooLong,
    ModelUnknown,
    NoAnswer,
    NoCredit,
    Overloaded,
    RateLimited,
    Refused,
    SettingRefused,
    Unauthorised,
)
from swe_router.models import error_mapping
from swe_router.records import CallLimits
from tests.doubles.providers import LIMITS, TALK, every_dialect, plain, reply, serve


def kind(status, body, cap=100):
    sent = ("model", "messages", "max_tokens", "temperature", "tools", "tool_choice", "seed")
    return type(
        error_mapping.to_model_error(
            error_mapping.ProviderError.of(body), status, "", cap=cap, sent=sent
        )
    )


def said(message, type_="invalid_request_error", **more):
    return {"error": {"message": message, "type": type_, **more}}


NO_CREDIT = [
    (400, said("Your credit balance is too low to access the Anthropic API. Please go to Plans &"
               " Billing to upgrade or purchase credits.")),
    (400, said("You have reached your specified API usage limits. You will regain access on"
               " 2026-12-01 at 00:00 UTC.")),
    (429, said("You exceeded your current quota, please check your plan and billing details.",
               "insufficient_quota", code="insufficient_quota")),
    (429, said("You exceeded your current quota, please check your plan and billing details.")),
    (400, said("Billing hard limit has been reached", code="billing_hard_limit_reached")),
    (429, said("Your account is not active, please check your billing details on our website.",
               "billing_not_active", code="billing_not_active")),
    (402, said("Insufficient Balance", "unknown_error")),
    (400, said("Budget has been exceeded! Current cost: 10.2, Max budget: 10.0", "budget_exceeded",
               code="400")),
    (400, said("ExceededBudget: User=u1 over budget. Spend=5.1, Budget=5.0", "budget_exceeded")),
    (402, said("This request requires more credits, or fewer max_tokens. You requested up to 4096"
               " tokens, but can only afford 10.", code=402)),
    (403, said("Key limit exceeded (total limit). Manage it in the settings.", code=403)),
    (429, said("Your account org-1<ak-1> is suspended, please check your plan and billing details",
               "exceeded_current_quota_error")),
    (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in"
           " good standing.", "request_id": "x"}),
    (403, said("Team has run out of credits: you ran out of credits or hit the spending limit")),
    (429, said("Monthly spend limit reached for this workspace.", "rate_limit_error")),
    (200, {"error": {"message": "Insufficient credits. Add more using the page", "code": 402}}),
    (500, said("RateLimitError: You exceeded your current quota, please check your plan and billing"
               " details.", code="insufficient_quota")),
    (400, said("Monthly spend limit of $100 reached for project proj_x")),
    (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Your prepayment"
                     " credits are depleted. Please go to AI Studio to manage your billing."}}),
    (403, said("Your account has no credits left", "")),
    (403, said("Account balance is negative", "")),
    (400, said("Zero balance. Please recharge your account.")),
    (403, said("Your account does not have sufficient funds", "permission_error")),
    (400, said("The free quota of this model has been used up.")),
    (429, said("Weekly/Monthly Limit Exhausted. Your limit will reset on Monday", code="1310")),
    (403, said("This API key has exhausted its budget of $10", "forbidden")),
    (412, said("Account a is suspended, possibly due to reaching the monthly spending limit or"
               " failure to pay past invoices.")),
    (400, said("Insufficient wallet balance for this request")),
]  # fmt: skip
UNKNOWN = [
    (404, said("model: claude-sonnet-9", "not_found_error")),
    (404, said("The model `gpt-99` does not exist or you do not have access to it.",
               code="model_not_found")),
    (400, said("The model `llama-2` has been decommissioned and is no longer supported. Please"
               " refer to the docs.", code="model_decommissioned")),
    (400, said("gpt-99 is not a valid model ID", code=400)),
    (400, said("Model Not Exist")),
    (404, said("The API deployment for this resource does not exist.", code="DeploymentNotFound")),
    (400, said("/chat/completions: Invalid model name passed in model=gpt-99")),
    (404, {"object": "error", "message": "The model `coder` does not exist.",
           "type": "NotFoundError", "param": "model", "code": 404}),
    (404, said("No endpoints found that support tool use.", code=404)),
    (403, said("Project `proj_1` does not have access to model `o3`", code="model_not_found")),
    (200, said("The model `coder` does not exist.", "NotFoundError", code=404)),
    (404, said("no such model")),
    (404, said("model 'llama3' not found, try pulling it first", "api_error")),
    (400, said("The requested model is not supported.", code="model_not_supported", param="model")),
    (400, {"message": "The provided model identifier is invalid."}),
    (400, {"message": "Invocation of model ID a.b-v1:0 with on-demand throughput isn\u2019t"
           " supported. Retry your request with a profile.", "__type": "ValidationException"}),
]  # fmt: skip
KEY = [
    (401, said("invalid x-api-key", "authentication_error")),
    (400, said("This organization has been disabled.")),
    (400, said("Organization has been restricted. Please reach out to support.",
               code="organization_restricted")),
    (400, said("API key expired. Please renew the API key.", "", status="INVALID_ARGUMENT")),
    (400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
                     "status": "INVALID_ARGUMENT"}}),
    (403, said("Country, region, or territory not supported",
               code="unsupported_country_region_territory")),
    (401, said("Your account has been deactivated", code="account_deactivated")),
    (400, said("Key is blocked. Your virtual key is disabled by the admin")),
    (200, {"type": "error", "error": {"type": "authentication_error", "message": "no"}}),
    (400, said("API Key not found. Please pass a valid API key.", "", status="INVALID_ARGUMENT")),
    (400, said("Your API key has been flagged for suspicious activity")),
]  # fmt: skip
BUSY = [
    (200, {"error": {"message": "Provider returned error", "code": 502}}, Overloaded),
    (200, {"error": {"message": "Provider returned error", "code": "502"}}, Overloaded),
    (200, {"error": {"message": "x", "code": "rate_limit_exceeded"}}, RateLimited),
    (200, {"type": "error", "error": {"type": "overloaded_error", "message": "O"}}, Overloaded),
    (200, {"error": "Service Unavailable"}, Overloaded),
    (200, {"error": "Too Many Requests"}, RateLimited),
    (200, {"error": "upstream request timeout: timed out"}, NoAnswer),
    (200, {"error": {"message": "Provider returned error", "code": 400, "metadata": {
        "raw": '{"error":{"type":"overloaded_error","message":"Overloaded"}}'}}}, Overloaded),
    (400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {
        "raw": '{"error":{"message":"Rate limit","code":"429"}}', "provider_name": "x"}}},
     RateLimited),
    (400, {"error": {"message": "x", "code": 503}}, Overloaded),
    (500, {"error": {"message": "x", "code": 429}}, RateLimited),
    (200, [{"error": {"code": 503, "message": "The model is overloaded.",
                      "status": "UNAVAILABLE"}}], Overloaded),
    (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your"
           " current quota, please check your plan and billing details."}}, RateLimited),
    (429, said("Rate limit reached for gpt-4.1 in organization org-1 on tokens per min (TPM): Limit"
               " 30000, Used 29000. Please try again in 2s. Visit the billing page to add a payment"
               " method.", "tokens", code="rate_limit_exceeded"), RateLimited),
    (429, said("This request would exceed your organization's rate limit of 30,000 input tokens per"
               " minute.", "rate_limit_error"), RateLimited),
    (529, said("Overloaded", "overloaded_error"), Overloaded),
    (503, said("The model is currently loading", ""), Overloaded),
    (504, "upstream timed out", NoAnswer),
    (200, {"code": "Throttling", "message": "Requests throttled", "request_id": "1"}, RateLimited),
    (200, {"detail": "Internal Server Error"}, Overloaded),
    (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, RateLimited),
    (200, {"error": {"message": "no reason at all"}}, Overloaded),
]  # fmt: skip
CONVERSATION = [
    (400, said("messages.3: `tool_use` ids must be unique"), Refused),
    (400, said("messages: text content blocks must be non-empty"), Refused),
    (400, said("Invalid 'messages[2].tool_calls[0].function.name': string does not match pattern.",
               param="messages[2].tool_calls[0].function.name", code="invalid_value"), Refused),
    (400, said("messages[3]: the text 'rate limit, try again later' is not allowed"), Refused),
    (400, said("[{'type': 'string_type', 'loc': ('body', 'messages', 3, 'content'), 'input': 'the"
               " model was not found, api key invalid, credit balance too low, try again later'}]"),
     Refused),
    (400, {"error": {"message": "bad field"}}, Refused),
    (422, {"error": {"message": "bad field"}}, Refused),
    (403, {"error": {"message": "Your input was flagged", "code": 403,
                     "metadata": {"flagged_input": "x"}}}, Refused),
    (400, said("The response was filtered", code="content_filter"), Refused),
    (400, said("prompt is too long: 210000 tokens > 200000 maximum"), ContextTooLong),
    (400, {"error": {"code": "context_length_exceeded", "message": "too big"}}, ContextTooLong),
    (400, said("This model's maximum context length is 4096 tokens. However, your prompt contains"
               " at least 4097 input tokens."), ContextTooLong),
    (400, said("max_tokens must be at least 1, got 0."), ContextTooLong),
    (400, said("input length and `max_tokens` exceed context limit: 199950 + 100 > 200000"),
     ContextTooLong),
    (400, said("the request exceeds the available context size", "exceed_context_size_error"),
     ContextTooLong),
    (400, said("Please reduce the length of the messages or completion."), ContextTooLong),
    (400, said("Range of input length should be [1, 129024]"), ContextTooLong),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."
           " Given: 5000 `inputs` tokens and 256 `max_new_tokens`"}, ContextTooLong),
    (413, "too large", ContextTooLong),
    (400, said("This model's maximum prompt length is 131072 but the request contains 140000"
               " tokens."), ContextTooLong),
    (400, said("messages: text is too long: maximum 9000000 characters"), ContextTooLong),
    (400, said("messages.4: `temperature` cannot both be asked for and answered"), Refused),
    (200, said("maximum context length is 4096 tokens", code=400), ContextTooLong),
]  # fmt: skip
SETTING = [
    (400, said("max_tokens=5000 cannot be greater than max_model_len=4096. Please request fewer"
               " output tokens.", "BadRequestError", code=400)),
    (400, said("max_tokens is too large: 5000. This model supports at most 4096 completion tokens,"
               " whereas you provided 5000.", param="max_tokens", code="invalid_value")),
    (400, said("'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum"
               " context length is 4096 tokens and your request has 30 input tokens.")),
    (400, said("max_tokens: 5000 > 4096, which is the maximum allowed number of output tokens")),
    (400, said("Unsupported value: 'temperature' does not support 0.2 with this model.",
               param="temperature", code="unsupported_value")),
    (400, said('"auto" tool choice requires --enable-auto-tool-choice to be set',
               param="tool_choice")),
    (400, said("`temperature` and `seed` cannot both be specified for this model.")),
    (400, said("tools.0.custom.input_schema: JSON schema is invalid")),
    (400, said("Range of max_tokens should be [1, 8192]", code="invalid_parameter_error")),
    (404, "404 page not found"),
    (404, {"detail": "Not Found"}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), NO_CREDIT)
def test_an_account_without_money_is_no_conversation_that_is_refused(status, body):
    assert kind(status, body) is NoCredit


@pytest.mark.parametrize(("status", "body"), UNKNOWN)
def test_a_model_that_is_not_served_is_no_conversation_that_is_refused(status, body):
    assert kind(status, body) is ModelUnknown


@pytest.mark.parametrize(("status", "body"), KEY)
def test_a_key_or_account_that_is_refused_says_so_with_any_status(status, body):
    assert kind(status, body) is Unauthorised


@pytest.mark.parametrize(("status", "body", "error"), BUSY)
def test_a_busy_provider_is_known_by_its_own_code_or_type(status, body, error):
    if status == 200:
        body = error_mapping.error_in_reply(body)
    assert kind(status, body) is error


@pytest.mark.parametrize(("status", "body", "error"), CONVERSATION)
def test_a_conversation_that_is_refused_stays_the_end_of_its_attempt(status, body, error):
    assert kind(status, body) is error


@pytest.mark.parametrize(("status", "body"), SETTING)
def test_a_setting_that_no_conversation_could_mend_is_told_apart(status, body):
    assert kind(status, body, cap=5000) is SettingRefused
    assert SettingRefused.says_nothing_of_instance
    assert not SettingRefused.counts


ERRORS_IN_A_GOOD_REPLY = [
    ({"error": {"message": "Provider returned error", "code": 502}}, Overloaded, False),
    ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, RateLimited, False),
    ({"error": {"type": "insufficient_quota", "message": "x"}}, NoCredit, False),
    ({"error": {"message": "x", "code": 504}}, NoAnswer, True),
    ({"error": "overloaded"}, Overloaded, False),
    ({"error": {"message": "x", "code": 502}, "usage": {"input_tokens": 9, "prompt_tokens": 9}},
     Overloaded, True),
    ("<html><head><title>502 Bad Gateway</title></head></html>", Overloaded, False),
    ("<!DOCTYPE html><html><h1>Service unavailable</h1><p>Error 1 of proxy</p></html>",
     Overloaded, False),
    ("<html><title>Sign in to the company network</title></html>", Unauthorised, False),
    ("<html><title>429 Too Many Requests</title></html>", RateLimited, False),
    ("upstream connect error or disconnect/reset before headers", Overloaded, False),
    ('event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n', Overloaded,
     False),
]  # fmt: skip


@pytest.mark.parametrize(("body", "error", "billed"), ERRORS_IN_A_GOOD_REPLY)
@every_dialect
def test_an_error_in_a_good_reply_is_what_its_own_code_says(
    httpserver, dialect, body, error, billed
):
    serve(httpserver, dialect, body, 200, {"Retry-After": "7"})
    with pytest.raises(error) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert type(caught.value) is error
    assert (caught.value.billed, caught.value.counts) == (billed, False)
    assert caught.value.after == 7


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"finish_reason": "error", "message": {"content": ""}}, Overloaded),
        ({"finish_reason": "error", "error": {"code": 429, "message": "x"}}, RateLimited),
        ({"error": {"code": 502, "message": "x"}, "message": {"content": "Half an"}}, Overloaded),
        ({"message": {"content": "", "error": {"code": 503, "message": "x"}}}, Overloaded),
        (
            {"finish_reason": "insufficient_system_resource", "message": {"content": "H"}},
            Overloaded,
        ),
        ({"finish_reason": "abort", "message": {"content": "H"}}, Overloaded),
    ],
)
def test_an_error_in_a_choice_is_no_answer_of_the_model(httpserver, choice, error):
    serve(httpserver, "chat", {"choices": [{"index": 0, **choice}]})
    with pytest.raises(error) as caught:
        plain("chat", httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert not caught.value.counts


@pytest.mark.parametrize(
    ("code", "error"),
    [("server_error", Overloaded), ("rate_limit_exceeded", RateLimited), ("", Overloaded)],
)
def test_a_response_that_failed_is_read_by_its_code(httpserver, code, error):
    failed = {"status": "failed", "output": [], "error": {"code": code, "message": "x"}}
    serve(httpserver, "responses", failed if code else {"status": "failed", "output": []})
    with pytest.raises(error):
        plain("responses", httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)


@pytest.mark.parametrize("nothing", [None, "", {}, {"code": 0, "message": ""}, False, []])
@every_dialect
def test_an_error_field_that_says_nothing_hides_no_answer(httpserver, dialect, nothing):
    serve(httpserver, dialect, reply(dialect, text="fine", error=nothing))
    answer = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert answer.message.content == "fine"


BIG = CallLimits(max_output_tokens=64_000, timeout=60)
BEGUN = {"type": "message_start", "message": {**reply("anthropic", text=""), "stop_reason": None}}


def event(value):
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n"


@pytest.mark.parametrize(("before", "billed"), [("", False), (event(BEGUN), True)])
@pytest.mark.parametrize(
    ("type_", "error"),
    [
        ("overloaded_error", Overloaded),
        ("rate_limit_error", RateLimited),
        ("api_error", Overloaded),
    ],
)
def test_an_error_event_of_a_stream_is_what_its_type_says(httpserver, before, billed, type_, error):
    text = before + event({"type": "error", "error": {"type": type_, "message": "m"}})
    httpserver.expect_request("/v1/messages").respond_with_data(
        text, content_type="text/event-stream"
    )
    with pytest.raises(error) as caught:
        plain("anthropic", httpserver.url_for("").rstrip("/")).complete(TALK, limits=BIG)
    assert caught.value.billed == billed, "what began to answer may have been billed"


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        ("<html><title>502 Bad Gateway</title></html>", "text/html", Overloaded),
        (json.dumps({"error": {"type": "overloaded_error"}}), "application/json", Overloaded),
        ("no JSON", "application/json", BadReply),
    ],
)
def test_what_stands_in_the_place_of_a_stream_is_read_too(httpserver, body, kind, error):
    httpserver.expect_request("/v1/messages").respond_with_data(body, content_type=kind)
    with pytest.raises(error):
        plain("anthropic", httpserver.url_for("").rstrip("/")).complete(TALK, limits=BIG)


def test_a_whole_answer_in_the_place_of_a_stream_is_an_answer(httpserver):
    serve(httpserver, "anthropic", reply("anthropic", text="all of it"))
    answer = plain("anthropic", httpserver.url_for("").rstrip("/")).complete(TALK, limits=BIG)
    assert answer.message.content == "all of it"


FULL = [
    ("vllm", {"finish_reason": "length"}, (4093, 3), "window"),
    ("vllm", {"finish_reason": "length"}, (500, 100), "length"),
    ("chat", {"finish_reason": "length"}, (95_000, 60), "window"),
    ("chat", {"finish_reason": "length"}, (500, 60), "length"),
    ("chat", {"finish_reason": "model_context_window_exceeded"}, (500, 60), "window"),
    ("anthropic", {"stop_reason": "model_context_window_exceeded"}, (500, 60), "window"),
    ("anthropic", {"stop_reason": "max_tokens"}, (95_000, 60), "window"),
    ("anthropic", {"stop_reason": "max_tokens"}, (500, 100), "length"),
    ("responses", {"reason": "max_output_tokens"}, (95_000, 3), "window"),
    ("responses", {"reason": "max_output_tokens"}, (500, 100), "length"),
    ("responses", {"reason": "context_window_exceeded"}, (500, 60), "window"),
]


@pytest.mark.parametrize(("dialect", "how", "tokens", "stop"), FULL)
def test_a_window_that_is_full_is_told_apart_from_a_cap_that_is_reached(
    httpserver, dialect, how, tokens, stop
):
    prompt, output = tokens
    usage = {"prompt_tokens": prompt, "completion_tokens": output}
    usage |= {"input_tokens": prompt, "output_tokens": output}
    answer = reply(dialect, usage=usage)
    if dialect == "responses":
        answer |= {"status": "incomplete", "incomplete_details": how}
    elif dialect == "anthropic":
        answer |= how
    else:
        answer["choices"][0] |= how
    serve(httpserver, dialect, answer)
    found = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert found.stop == stop
