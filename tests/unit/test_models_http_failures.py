"""What the model clients make of servers that fail, and what stays charged."""

from __future__ import annotations

import json
import socket
import threading
import time
from decimal import Decimal

import pytest

from swe_router.errors import (
    BadReply,
    ContextTooLong,
    ModelUnknown,
    NoAnswer,
    NoConnection,
    NoCredit,
    Overloaded,
    RateLimited,
    Refused,
    Unauthorised,
)
from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits
from tests.doubles.providers import (
    LIMITS,
    RATE,
    TALK,
    every_dialect,
    model,
    path,
    plain,
    reply,
    serve,
)

START = {"type": "message_start", "message": {**reply("anthropic", text=""), "stop_reason": None}}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("event: message_start\ndata: {nonsense\n\n", BadReply),
        (f"event: message_start\ndata: {json.dumps(START)}\n\n", NoAnswer),
        ('event: message_start\ndata: {"type": "message_start"}\n\n', BadReply),
        ("", BadReply),
    ],
)
def test_half_a_stream_is_no_answer(httpserver, text, error):
    httpserver.expect_request(path("anthropic")).respond_with_data(
        text, content_type="text/event-stream"
    )
    big = CallLimits(max_output_tokens=64_000, timeout=60)
    with pytest.raises(error):
        plain("anthropic", httpserver.url_for("").rstrip("/")).complete(TALK, limits=big)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "no", Unauthorised),
        (403, "no", Unauthorised),
        (400, {"error": {"message": "bad field"}}, Refused),
        (404, {"error": {"message": "no such model"}}, ModelUnknown),
        (422, {"error": {"message": "bad field"}}, Refused),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000"}}, ContextTooLong),
        (400, {"error": {"code": "context_length_exceeded", "message": "too big"}}, ContextTooLong),
        (
            400,
            {"error": {"message": "This model's maximum context length is 4096"}},
            ContextTooLong,
        ),
        (413, "too large", ContextTooLong),
        (408, "", Overloaded),
        (409, "", Overloaded),
        (500, "<html>oops</html>", Overloaded),
        (503, "", Overloaded),
        (504, "upstream timed out", NoAnswer),
        (524, "", NoAnswer),
        (529, {"error": {"type": "overloaded_error"}}, Overloaded),
        (429, {"error": {"message": "slow down"}}, RateLimited),
        (429, {"error": {"code": "insufficient_quota"}}, NoCredit),
    ],
)
@every_dialect
def test_a_status_is_named_after_what_it_means(httpserver, dialect, status, body, error):
    serve(httpserver, dialect, body, status)
    with pytest.raises(error) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert type(caught.value) is error
    assert len(httpserver.log) == 1, "the SDK must not retry behind the ledger's back"


@every_dialect
def test_a_rate_limit_is_waited_out_and_each_try_is_in_the_ledger(httpserver, dialect, tmp_path):
    serve(httpserver, dialect, "slow down", 429, {"Retry-After": "0.05"})
    serve(httpserver, dialect, reply(dialect))
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
    meter = MeteredModel(plain(dialect, httpserver.url_for("").rstrip("/")), hold, RATE)
    start = time.monotonic()
    answer = RetryingModel(meter, 3, first_wait=0.001).complete(TALK, limits=LIMITS)
    assert time.monotonic() - start >= 0.05
    assert answer.usd == hold.spent == RATE.usd(answer.usage)
    ops = [json.loads(line)["op"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert ops == ["open", "hold", "reserve", "void", "reserve", "settle"]


@pytest.mark.parametrize(
    "body",
    ["", "nonsense", "[]", '{"choices": []}', '{"choices": [{"message": 3}]}', "{}", "[" * 5000,
     '{"a": NaN}', '{"content": 3}', '{"content": [3]}', '{"output": [7]}'],
)  # fmt: skip
@every_dialect
def test_a_reply_that_is_not_of_the_dialect_is_a_bad_reply(httpserver, dialect, body):
    serve(httpserver, dialect, body)
    with pytest.raises(BadReply) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert len(str(caught.value)) < 600


class Rude(threading.Thread):
    """A server that says ``parts`` with pauses (numbers, seconds) between, then hangs up."""

    def __init__(self, *parts):
        super().__init__(daemon=True)
        self.parts = parts
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            try:
                line, _ = self.door.accept()
            except OSError:
                return
            with line:
                line.recv(65536)
                try:
                    for part in self.parts:
                        time.sleep(part) if isinstance(part, float) else line.sendall(part)
                except OSError:
                    continue

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.door.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90000000\r\n\r\n{"


@every_dialect
def test_a_hang_up_in_the_answer_stays_charged(dialect, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
    with Rude(HEAD) as server:
        meter = MeteredModel(model(dialect, server.url), hold, RATE)
        with pytest.raises(NoAnswer):
            meter.complete(TALK, limits=LIMITS)
    assert hold.spent == ledger.figures().lost > 0


@pytest.mark.parametrize(
    "parts", [(60.0,), (HEAD, *([0.1, b" "] * 600))], ids=["silent", "trickle"]
)
@every_dialect
def test_an_answer_has_its_time_and_no_more(dialect, parts):
    short = CallLimits(max_output_tokens=10, timeout=0.3)
    start = time.monotonic()
    with Rude(*parts) as server, pytest.raises(NoAnswer):
        model(dialect, server.url).complete(TALK, limits=short)
    assert time.monotonic() - start < 50.0, "it waited for the whole minute of the answer"


def test_a_reply_without_end_is_cut_off():
    flood = b" " * 4_000_000
    with Rude(HEAD, *([flood] * 12)) as server, pytest.raises(BadReply, match="longer than"):
        model("chat", server.url).complete(TALK, limits=LIMITS)


@every_dialect
def test_a_refused_connection_was_not_billed(dialect):
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
    with pytest.raises(NoConnection, match="could not connect"):
        model(dialect, url).complete(TALK, limits=LIMITS)
