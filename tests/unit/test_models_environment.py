"""Variables that the SDKs read for other tools move no tier to another server or account."""

from __future__ import annotations

from tests.doubles.providers import LIMITS, TALK, model, path, reply, sent, serve

STRAY = {
    "OPENAI_ORG_ID": "org-of-another",
    "OPENAI_PROJECT_ID": "proj-of-another",
    "OPENAI_ADMIN_KEY": "sk-admin-of-another",
    "OPENAI_CUSTOM_HEADERS": "X-Other: secret\nAuthorization: Bearer other-key",
    "ANTHROPIC_AUTH_TOKEN": "token-of-another",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Other: secret\nx-api-key: other-key",
    "ANTHROPIC_PROFILE": "other",
}


def test_no_variable_of_an_sdk_moves_a_tier_or_goes_to_its_server(httpserver, monkeypatch):
    for dialect in ("anthropic", "chat", "responses"):
        serve(httpserver, dialect, reply(dialect))
    url = httpserver.url_for("").rstrip("/")
    elsewhere = {"OPENAI_BASE_URL": f"{url}/other", "ANTHROPIC_BASE_URL": f"{url}/other"}
    for name, value in {**STRAY, **elsewhere}.items():
        monkeypatch.setenv(name, value)
    homes = {}
    for dialect in ("anthropic", "chat", "responses"):
        homes[dialect] = str(model(dialect, url, base_url="")._client.base_url)
        model(dialect, url, key="the-key-of-the-tier").complete(TALK, limits=LIMITS)
    assert homes == {
        "anthropic": "https://api.anthropic.com",
        "chat": "https://api.openai.com/v1/",
        "responses": "https://api.openai.com/v1/",
    }
    asked = [request for request, _ in httpserver.log]
    assert [request.path for request in asked] == [
        path(dialect) for dialect in ("anthropic", "chat", "responses")
    ]
    assert sent(httpserver)["model"] == "o3"
    for request in asked:
        told = str(request.headers)
        assert "the-key-of-the-tier" in told
        assert "other" not in told.lower(), "headers, organisation and key of another tool"
        assert "secret" not in told
