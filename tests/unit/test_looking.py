"""``--dry-run`` and ``doctor`` look at what a run would meet, and name every fault at once."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path

import pytest

from swe_router import settings
from swe_router.__main__ import main
from swe_router.cli.certificates import one_certificate
from swe_router.errors import ModelError, UsageError
from swe_router.instances import splits
from swe_router.models import server_probe
from swe_router.wiring import connectivity, preflight, repositories
from tests.doubles.served import Provider

PRESET = """
budget = 1
[tiers.local]
dialect = "{dialect}"
model = "m"
base_url = "{url}"
window = 32768
max_output_tokens = 1000
attempt_usd = 0.1
price = {{ input = 1.0, output = 2.0 }}
[verify]
names = ["applies"]
"""


def preset(tmp_path: Path, url: str, dialect: str = "openai") -> Path:
    file = tmp_path / "one.toml"
    file.write_text(PRESET.format(url=url, dialect=dialect))
    return file


def looked(tmp_path: Path, url: str, dialect: str = "openai", knocking: bool = False):
    resolved = settings.load(str(preset(tmp_path, url, dialect)))
    (found,) = connectivity.check_tiers(resolved, ["local"], with_test_call=knocking)
    return found


def refused(status, text):
    return Provider(listing=(status, {"error": {"message": text}}))


FOUND = {
    "the model is not listed": (Provider(models=("smol",)), "no", "does not serve 'm': it lists"),
    "no models at all": (Provider(models=()), "no", "lists no model at all"),
    "a smaller window": (Provider(window=4096), "no", "--set tiers.local.window=4096"),
    "the key is refused": (refused(401, "bad key"), "no", "refuses the key"),
    "no credit": (refused(402, "pay first"), "no", "HTTP 402"),
    "a gateway alone": (refused(502, "no backend"), "no", "HTTP 502"),
    "a page in HTML": (Provider(listing=(200, "<html>Log in</html>")), "no", "a page in HTML"),
    "a list may not be read": (refused(403, "not allowed"), "warning", "HTTP 403"),
    "a login is in between": (Provider(listing=(302, {})), "no", "HTTP 302, leads to"),
    "it has moved": (Provider(listing=(308, {})), "warning", "HTTP 308, leads to"),
    "no list": (Provider(listing=(200, {})), "ok", "gives no list of models"),
    "all well": (Provider(), "ok", "m by openai, served, window 100000"),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_server_is_asked_for_its_models(tmp_path, case):
    server, level, words = FOUND[case]
    with server:
        found = looked(tmp_path, server.url)
    assert (found.level, words in found.detail) == (level, True), found
    assert server.asked == 0, "a look costs nothing"


def test_a_vllm_address_without_its_v1_is_told(tmp_path):
    with refused(404, "Not Found") as server:
        found = looked(tmp_path, server.url, "vllm")
    assert found.level == "no"
    assert "lack /v1" in found.detail


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{closed}/v1", "nobody answers"),
        ("http://no-such-host.invalid/v1", "nobody answers"),
        ("https://127.0.0.1:{plain}/v1", "nobody answers"),
        ("http://127.0.0.1:{hung}/v1", "no answer comes"),
    ],
    ids=["wrong port", "no such name", "no TLS there", "hung"],
)
def test_a_server_that_cannot_be_reached_is_named_with_its_cause(tmp_path, url, words):
    with (
        Provider() as plain,
        socket.create_server(("127.0.0.1", 0)) as hung,
        socket.socket() as closed,
    ):
        closed.bind(("127.0.0.1", 0))  # bound and not listening
        ports = {
            "closed": closed.getsockname()[1],
            "plain": plain.port,
            "hung": hung.getsockname()[1],
        }
        resolved = settings.load(str(preset(tmp_path, url.format(**ports))))
        tier = resolved.tiers["local"]
        with pytest.raises(ModelError, match=r"connect|no answer in 0.3 s"):
            server_probe.list_models(tier, "", seconds=0.3)  # the hung one would not end by itself
        if "hung" in url:  # a patient look would take its seconds
            return
        found = looked(tmp_path, tier.base_url)
        assert found.level == "no"
        assert words in found.detail


def test_a_knock_makes_one_call_with_a_tool_and_says_what_refuses_it(tmp_path):
    said = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    body = {"object": "error", "message": said, "type": "BadRequestError", "code": 400}
    with Provider(refuse=lambda n: (400, body)) as server:
        found = looked(tmp_path, server.url, "vllm", knocking=True)
    assert found.level == "no"
    assert "--enable-auto-tool-choice" in found.detail
    with Provider() as server:
        found = looked(tmp_path, server.url, knocking=True)
    assert server.asked == 1
    assert found.level == "ok"
    assert "a call with a tool is answered (100 + 10 tokens)" in found.detail


def dry(tmp_path: Path, *words: str) -> int:
    local = ["--sandbox", "local", "--unsafe", "--out", str(tmp_path / "runs")]
    return main(["run", "--dry-run", "--json", *local, *words])


def test_a_dry_run_says_no_when_nobody_listens_and_yes_when_somebody_does(tmp_path, capsys):
    with Provider() as server:
        file = preset(tmp_path, server.url)
        given = ["--split", "demo", "--preset", str(file), "--no-grade"]
        assert dry(tmp_path, *given) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["ok"] is True
        assert told["problems"] == []
        assert {"tier local", "disk", "cache", "repositories"} <= {
            row["check"] for row in told["checks"]
        }
        server.stop()
        assert dry(tmp_path, *given) == 1
        told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert ["nobody answers" in problem for problem in told["problems"]] == [True]
    assert not (tmp_path / "runs").exists()


def test_every_fault_is_named_at_once(tmp_path, capsys, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    own = {
        "instance_id": "a__b-1",
        "repo": "a/b",
        "base_commit": "c" * 40,
        "problem_statement": "It breaks.",
        "image": "a/b:1",
        "eval_script": "",
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
    }
    rows = tmp_path / "own.jsonl"
    rows.write_text(json.dumps(own) + "\n")
    (tmp_path / "none").mkdir()
    sets = ["--set", "tiers.local.base_url=http://127.0.0.1:9/v1"]
    more = ["--repos", str(tmp_path / "none"), "--no-grade", "--budget", "0.2", *sets]
    assert dry(tmp_path, "--preset", "hybrid", "--split", str(rows), *more) == 2
    said = capsys.readouterr().err
    for words in (
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "pays for no attempt",
        "nobody answers at http://127.0.0.1:9/v1",
        "no repository of a/b",
    ):
        assert words in said


def test_the_only_tier_of_a_policy_must_be_payable(tmp_path, capsys):
    asked = ["--policy", "fixed", "--policy-set", "tier=cloud", "--budget", "0.2"]
    assert dry(tmp_path, "--split", "demo", *asked) == 2
    assert "the only tier 'cloud' has a limit of $0.25 each" in capsys.readouterr().err
    assert dry(tmp_path, "--split", "demo", "--budget", "0.2") == 0
    told = json.loads(capsys.readouterr().out)
    assert any("'cloud'" in one and "never tried" in one for one in told["warnings"])


def test_a_dry_run_says_how_far_the_money_goes(tmp_path, capsys):
    table = tmp_path / "past.csv"
    rows = ["instance_id,system,resolved,usd,seconds"]
    for n in range(20):
        rows += [f"o__r-{n},small,{n % 2},0.02,60", f"o__r-{n},large,1,0.20,120"]
    table.write_text("\n".join(rows) + "\n")
    asked = ["--split", "demo", "--outcomes", str(table)]
    assert dry(tmp_path, *asked, "--budget", "0.25") == 0
    poor = json.loads(capsys.readouterr().out)["outlook"]
    assert dry(tmp_path, *asked, "--budget", "30") == 0
    rich = json.loads(capsys.readouterr().out)["outlook"]
    assert rich["instances"] == {"expected": 15.0, "low": 15.0, "high": 15.0}
    assert poor["instances"]["expected"] < 15.0
    assert poor["usd"]["high"] <= 0.25
    assert poor["usd_of_all"] == rich["usd_of_all"]
    # An instance costs 0.02 and, where that was not accepted, 0.20 more.
    assert 15 * 0.02 < rich["usd"]["low"] < rich["usd"]["expected"] < 15 * 0.22
    assert rich["hours"]["expected"] > 15 * 60 / 3600
    assert rich["table"] == "past.csv"
    assert rich["stands_for"] == {"local": "small", "cloud": "large"}


def test_doctor_looks_at_what_run_would_use(tmp_path, capsys):
    assert main(["doctor", "--json", "--sandbox", "local", "--unsafe", "--out", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    names = {row["check"] for row in told["checks"]}
    assert {"tier local", "tier cloud", "tier writer"} <= names, (
        "the demo's, as run without options"
    )
    with Provider(models=("other",)) as server:
        file = preset(tmp_path, server.url)
        given = ["--preset", str(file), "--split", "demo", "--sandbox", "local", "--unsafe"]
        assert main(["doctor", "--json", *given, "--out", str(tmp_path)]) == 1
    assert "does not serve 'm'" in json.loads(capsys.readouterr().out)["problems"][0]


def test_a_home_that_cannot_be_written_to_is_no_reason_to_fail(tmp_path, monkeypatch):
    """Root writes anywhere, so the home is a file here."""
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    tempfile.tempdir = None
    try:
        said: list[str] = []
        cache = repositories.repo_cache("", said.append)
        assert cache.path(splits.load_instances("demo")[0]).is_relative_to(
            tmp_path / f"swe-router-{os.getuid()}"
        )
        assert "cannot be written to: repositories are kept in" in said[0]
        assert connectivity.check_caches()[0] == "warning"
        mode = (tmp_path / f"swe-router-{os.getuid()}").stat().st_mode
        assert mode & 0o077 == 0, "others could put a repository there"
    finally:
        tempfile.tempdir = None


@pytest.mark.parametrize("given", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"])
def test_one_variable_for_a_companys_certificate_serves_every_client(tmp_path, given):
    file = tmp_path / "company.pem"
    file.write_text("")
    environ = {given: str(file)}
    one_certificate(environ)
    assert set(environ) == {
        "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"
    }  # fmt: skip
    assert set(environ.values()) == {str(file)}


def test_certificates_that_are_not_there_are_told():
    with pytest.raises(UsageError, match="/nowhere/company"):
        connectivity.check_proxies({"SSL_CERT_FILE": "/nowhere/company.pem"})
    assert "NO_PROXY" in connectivity.check_proxies({"no_proxy": "localhost"})


def test_no_tier_is_payable_names_the_tier():
    few = settings.load("demo", sets=["budget=0.01"])
    assert list(preflight.unpayable_tiers(few, few.ladder)) == ["local", "cloud"]
