"""Keys: asked for before a call, and in no error, record or log after it."""

from __future__ import annotations

import json
import traceback

import pytest
from werkzeug import Response

from swe_router.errors import Refused, Unauthorised
from tests.doubles.providers import (
    KEY,
    LIMITS,
    TALK,
    every_dialect,
    model,
    path,
    plain,
    reply,
    serve,
)


@every_dialect
def test_the_key_never_comes_back_not_even_from_a_hostile_server(httpserver, dialect):
    def echo(request):
        said = json.dumps({"error": {"message": f"bad {request.headers['Authorization']} here"}})
        return Response(said, 400, content_type="application/json")

    httpserver.expect_request(path(dialect)).respond_with_handler(echo)
    with pytest.raises(Refused) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert "bad" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert KEY not in told + repr(vars(caught.value))
    assert caught.value.__context__ is None


@every_dialect
def test_the_key_enters_no_record_and_no_debug_log_of_the_sdk(httpserver, dialect, caplog):
    for name in ("openai", "anthropic", "httpx2"):
        caplog.set_level("DEBUG", logger=name)
    call = ("c1", "bash", json.dumps({"command": f"echo {KEY}"}))
    serve(
        httpserver,
        dialect,
        reply(dialect, text=f"your key is {KEY}", calls=[call], id=KEY, model=KEY),
        headers={"x-request-id": KEY, "request-id": KEY},
    )
    answer = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert KEY not in answer.model_dump_json() + caplog.text
    assert "[key]" in answer.message.content


@every_dialect
def test_no_key_is_said_before_anything_is_sent(dialect):
    with pytest.raises(Unauthorised, match="THE_KEY"):
        model(dialect, "http://127.0.0.1:9", key="").complete(TALK, limits=LIMITS)


@every_dialect
def test_a_server_of_ones_own_may_need_no_key(httpserver, dialect):
    serve(httpserver, dialect, reply(dialect))
    own = model(dialect, httpserver.url_for("").rstrip("/"), key="", api_key_env="")
    assert own.complete(TALK, limits=LIMITS).message.content == "ok"
