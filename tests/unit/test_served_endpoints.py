"""What runs learn of a server that ``serve`` keeps up: its key, and that it is coming back."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from math import inf

import pytest

from swe_router import served_endpoints, settings
from swe_router.breaker import Breaker, Patience
from swe_router.errors import NoConnection, StillAway, UsageError
from swe_router.models import server_probe, tier_checks
from swe_router.models.waiting_model import service_name
from swe_router.served_endpoints import ServedEndpoint
from swe_router.settings import Tier
from swe_router.wiring import connectivity, service_breaker

URL = "http://127.0.0.1:8765/v1"
READY = ServedEndpoint(8765, "m", "ready", 0.0, os.getpid())


@pytest.fixture
def folder(tmp_path):
    found = served_endpoints.endpoints_folder({"XDG_STATE_HOME": str(tmp_path)})
    found.mkdir(parents=True)
    return found


@contextmanager
def served(folder, endpoint=READY):
    """As a live supervisor leaves it."""
    handle = os.open(folder / f"{endpoint.port}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    served_endpoints.write_private(served_endpoints.key_file(endpoint.port, folder), "sk-1\n")
    served_endpoints.write_record(endpoint, folder)
    try:
        yield
    finally:
        os.close(handle)


def tier(**fields):
    return Tier(**{
        "dialect": "vllm", "model": "m", "base_url": URL, "window": 4096,
        "attempt_usd": Decimal(1), **fields,
    })  # fmt: skip


@pytest.mark.parametrize("url", [URL, "http://localhost:8765", "http://[::1]:8765/v1"])
def test_the_key_of_a_served_endpoint_is_found_by_its_address(folder, url):
    with served(folder):
        assert served_endpoints.key_at(url, folder) == "sk-1"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8766/v1", "https://127.0.0.1:8765/v1", "http://evil.example:8765/v1",
     "http://127.0.0.1.evil.example:8765/v1", "http://127.0.0.1:x/v1", "", "ftp://127.0.0.1:8765"],
)  # fmt: skip
def test_the_key_goes_to_no_other_address(folder, url):
    with served(folder):
        assert served_endpoints.key_at(url, folder) == ""


def test_the_record_of_a_dead_supervisor_is_no_server(folder):
    with served(folder):
        pass
    assert served_endpoints.endpoint_at(URL, folder) is None
    assert served_endpoints.key_at(URL, folder) == ""


def test_a_damaged_record_is_no_server(folder):
    with served(folder):
        (folder / "8765.json").write_text("{")
        assert served_endpoints.endpoint_at(URL, folder) is None


def test_a_tier_takes_the_key_of_its_served_endpoint_and_the_environment_goes_first(
    folder, tmp_path
):
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    named = tier(api_key_env="K")
    with served(folder):
        assert tier_checks.key_of("local", tier(), environ) == "sk-1"
        assert tier_checks.key_of("local", named, environ) == "sk-1"
        assert tier_checks.key_of("local", named, {**environ, "K": "mine"}) == "mine"
    assert tier_checks.key_of("local", tier(), environ) == ""
    with pytest.raises(UsageError, match="set the environment variable K"):
        tier_checks.key_of("local", named, environ)


@pytest.fixture
def state_home(tmp_path):
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path)
    yield tmp_path
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before


def test_a_server_that_is_being_restarted_counts_as_away_whatever_still_answers(folder, state_home):
    away = replace(READY, state="restarting", why="it ended with exit code 1")
    with served(folder, away), pytest.raises(NoConnection, match="restarting the server: it ended"):
        server_probe.check_server(tier(), "")


def test_a_run_waits_without_end_for_a_server_that_is_coming_and_not_for_another(
    folder, state_home
):
    run = settings.load("demo", table={"tiers.local": tier().model_dump(mode="json")})
    usual = run.breaker.give_up_seconds
    name = service_name("local")
    with served(folder, replace(READY, state="restarting")):
        assert service_breaker.patience_for(run, name).give_up_seconds == inf
        assert service_breaker.patience_for(run, service_name("cloud")).give_up_seconds == usual
    with served(folder):
        assert service_breaker.patience_for(run, name).give_up_seconds == usual
    assert service_breaker.patience_for(run, name).give_up_seconds == usual


def test_a_call_outlasts_a_restart_of_any_length_and_ends_once_serve_gives_up(tmp_path):
    """240 s of patience; the server is away for an hour, and its supervisor says so."""
    clock = [0.0]
    coming = [True]
    calls = [0]

    def patience(service):
        return Patience(give_up_seconds=inf if coming[0] else 240.0)

    def call():
        calls[0] += 1
        if clock[0] < 3600:
            raise NoConnection("refused")
        return "answer"

    def sleep(seconds):
        clock[0] += 10

    lines = []
    breaker = Breaker(tmp_path, patience, clock=lambda: clock[0], sleep=sleep, notify=lines.append)
    assert breaker.call_when_available("tier local", call) == "answer"
    assert any("it is coming back" in line for line in lines)
    clock[0], coming[0] = 0.0, False
    with pytest.raises(StillAway):
        breaker.call_when_available("tier local", call)
    assert clock[0] < 600


def test_what_is_written_for_the_owner_replaces_what_was_there(tmp_path):
    path = tmp_path / "8765.key"
    path.write_text("old")
    path.chmod(0o644)
    served_endpoints.write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


@pytest.mark.parametrize("state", ["starting", "restarting"])
def test_doctor_calls_a_server_that_is_coming_no_fault(folder, state_home, state):
    run = settings.load("demo", table={"tiers.local": tier().model_dump(mode="json")})
    with served(folder, replace(READY, state=state)):
        (found,) = connectivity.check_tiers(run, ["local"])
    assert (found.level, f"serve is {state} it" in found.detail) == ("warning", True)
    (gone,) = connectivity.check_tiers(run, ["local"])
    assert gone.level == "no"
    assert "start the server (swe-router serve)" in gone.detail
