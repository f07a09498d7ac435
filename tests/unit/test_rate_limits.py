"""Rates of tiers: no minute has more calls or tokens than allowed, whoever makes them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from swe_router import settings
from swe_router.breaker import Breaker, Patience
from swe_router.errors import Overloaded, RateLimited, StillAway
from swe_router.ledger import Ledger
from swe_router.models.paced_model import PacedModel
from swe_router.rate_limits import COOLDOWN, MINUTE, RateLimit, RatePacer
from swe_router.records import CallLimits, Completion, Instance, Message, Usage
from swe_router.settings import name_of
from swe_router.wiring import service_breaker
from swe_router.wiring.models import ModelFactory
from tests.doubles.providers import RATE
from tests.doubles.served import Provider

TIER = "tier cloud"
ASK = (Message(role="user", content="x" * 400),)
LIMITS = CallLimits(max_output_tokens=100, timeout=30)


class Clock:
    def __init__(self):
        self.now, self.slept = 1000.0, 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pacer(tmp_path, clock):
    return RatePacer(tmp_path, clock=clock, sleep=clock.sleep)


def most_in_a_minute(times):
    return max(sum(at - MINUTE < one <= at for one in times) for at in times)


def test_no_minute_has_more_calls_than_the_limit(pacer, clock):
    times = []
    for _ in range(35):
        pacer.admit(TIER, RateLimit(rpm=10), 1)
        times.append(clock.now)
        clock.now += 0.5
    assert most_in_a_minute(times) == 10
    assert times[-1] - times[0] == pytest.approx(3 * MINUTE, abs=5)


def test_no_minute_has_more_tokens_than_the_limit_once_they_are_counted(pacer, clock):
    limit, spent = RateLimit(tpm=1000), []
    for _ in range(12):
        call = pacer.admit(TIER, limit, 400)
        spent.append((clock.now, 300))
        pacer.answered(TIER, limit, call, 300)
    for at, _ in spent:
        assert sum(n for when, n in spent if at - MINUTE < when <= at) <= 1000


def test_a_call_of_more_than_a_minutes_tokens_goes_alone_and_is_not_held_for_ever(pacer, clock):
    limit = RateLimit(tpm=100)
    for _ in range(3):
        call = pacer.admit(TIER, limit, 5000)
        pacer.answered(TIER, limit, call, 5000)
    assert clock.slept == pytest.approx(2 * MINUTE, abs=1)


def test_tiers_do_not_take_from_each_other(pacer, clock):
    for name in ("a", "b", "c"):
        pacer.admit(name, RateLimit(rpm=1), 1)
    assert clock.slept == 0


def test_an_adaptive_tier_has_no_limit_before_it_is_refused(pacer, clock):
    for _ in range(500):
        pacer.admit(TIER, RateLimit(adaptive=True), 1)
    assert clock.slept == 0
    assert pacer.found_rpm(TIER) is None


def test_a_refusal_shrinks_an_adaptive_limit_once_per_burst(pacer, clock):
    limit = RateLimit(adaptive=True)
    calls = [pacer.admit(TIER, limit, 1) for _ in range(100)]
    for call in calls[:5]:
        pacer.refused(TIER, limit, call, None)
    assert pacer.found_rpm(TIER) == 80
    clock.now += COOLDOWN + 1
    pacer.refused(TIER, limit, calls[9], None)
    assert pacer.found_rpm(TIER) == 64


def test_success_grows_an_adaptive_limit_up_to_rpm_and_never_above(pacer, clock):
    limit = RateLimit(rpm=12, adaptive=True)
    calls = [pacer.admit(TIER, limit, 1) for _ in range(10)]
    pacer.refused(TIER, limit, calls[0], None)
    found = [pacer.found_rpm(TIER)]
    for _ in range(200):
        pacer.answered(TIER, limit, pacer.admit(TIER, limit, 1), 1)
        found.append(pacer.found_rpm(TIER))
    assert found[0] == 8
    assert found == sorted(found)
    assert found[-1] == 12


def test_a_server_error_shrinks_nothing(pacer):
    limit = RateLimit(adaptive=True)
    refused = pacer.admit(TIER, limit, 1)
    pacer.refused(TIER, limit, refused, None)
    before = pacer.found_rpm(TIER)
    for _ in range(5):
        pacer.ended(TIER, pacer.admit(TIER, limit, 1))
    assert pacer.found_rpm(TIER) == before


def test_a_refusal_holds_the_calls_after_it_for_as_long_as_the_provider_asks(pacer, clock):
    limit = RateLimit(adaptive=True)
    pacer.refused(TIER, limit, pacer.admit(TIER, limit, 1), 7)
    pacer.admit(TIER, limit, 1)
    assert clock.slept >= 7


def test_threads_and_processes_share_one_rate(tmp_path):
    """Real processes and a real clock: of 12 calls under a limit of 8, eight go at once."""
    program = (
        "import sys,time;from pathlib import Path;from swe_router.rate_limits import *\n"
        "stop=time.time()+1\n"
        "pacer=RatePacer(Path(sys.argv[1]),stopping=lambda:time.time()>stop)\n"
        "for _ in range(4):\n"
        "  pacer.admit('tier cloud',RateLimit(rpm=8),1);print('went',flush=True)\n"
    )
    given = [sys.executable, "-c", program, str(tmp_path)]
    started = [subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
               for _ in range(3)]  # fmt: skip
    went = sum(one.communicate()[0].count("went") for one in started)
    assert went == 8
    rows = json.loads((tmp_path / "rates.json").read_text())
    assert len(rows[TIER]["calls"]) == 8, "a call that was given up is forgotten"


def test_a_wait_ends_when_the_run_stops(tmp_path, clock):
    pacer = RatePacer(tmp_path, stopping=lambda: clock.slept > 3, clock=clock, sleep=clock.sleep)
    pacer.admit(TIER, RateLimit(rpm=1), 1)
    with pytest.raises(StillAway, match="stops"):
        pacer.admit(TIER, RateLimit(rpm=1), 1)
    assert clock.slept < 5


def test_time_spent_waiting_for_a_rate_is_no_time_of_the_attempt(tmp_path, clock):
    breaker = Breaker(tmp_path, lambda name: Patience(), clock=clock, limit_clock=clock)
    pacer = RatePacer(tmp_path, stop_clock=breaker.stop_limit_clock, clock=clock, sleep=clock.sleep)
    begun, lines = breaker.now(), []
    for _ in range(2):
        pacer.admit(TIER, RateLimit(rpm=1), 1, lines.append)
    assert clock.slept >= MINUTE
    assert breaker.now() - begun < 1
    assert lines == ["held: tier cloud: its rate limit, 60 s"]


def test_a_damaged_file_stops_nobody(pacer, tmp_path):
    for text in ("", "[]", '{"tier cloud": 5}', '{"tier cloud": {"calls": [{"at": 1}]}}'):
        (tmp_path / "rates.json").write_text(text)
        pacer.admit(TIER, RateLimit(rpm=10), 1)


class Model:
    def __init__(self, *answers):
        self.answers = list(answers)

    def complete(self, messages, tools=(), *, limits):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def answer(tokens):
    used = Usage(input_tokens=tokens, output_tokens=5)
    return Completion(message=Message(role="assistant", content="ok"), usage=used)


def paced(pacer, model, **limit):
    return PacedModel(model, pacer, TIER, RateLimit(**limit))


def test_what_a_call_took_takes_the_place_of_the_guess(pacer, tmp_path):
    paced(pacer, Model(answer(40)), tpm=1000).complete(ASK, limits=LIMITS)
    rows = json.loads((tmp_path / "rates.json").read_text())
    assert [call["tokens"] for call in rows[TIER]["calls"]] == [45]


def test_each_way_a_call_ends_is_known_to_the_rate(pacer):
    model = paced(pacer, Model(Overloaded("503"), RateLimited("429"), answer(1)), adaptive=True)
    with pytest.raises(Overloaded):
        model.complete(ASK, limits=LIMITS)
    assert pacer.found_rpm(TIER) is None, "not on a server error"
    with pytest.raises(RateLimited):
        model.complete(ASK, limits=LIMITS)
    assert pacer.found_rpm(TIER) == pytest.approx(1.6)
    assert model.complete(ASK, limits=LIMITS).message.content == "ok"


def test_many_threads_never_lose_a_call(tmp_path):
    pacer = RatePacer(tmp_path)
    calls = [threading.Thread(target=pacer.admit, args=(TIER, RateLimit(rpm=1000), 1))
             for _ in range(40)]  # fmt: skip
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    rows = json.loads((tmp_path / "rates.json").read_text())
    assert len({call["id"] for call in rows[TIER]["calls"]}) == 40


def test_a_rate_is_pace_and_not_part_of_what_a_run_is():
    sets = ["tiers.local.rpm=30", "tiers.local.tpm=90000", "tiers.local.adaptive=true"]
    plain = settings.load("hybrid")
    given = settings.load("hybrid", sets=sets)
    assert given.digest() == plain.digest()
    assert name_of(plain.model_dump(mode="json")) == plain.digest()
    assert not {"rpm", "tpm", "adaptive"} & set(plain.model_dump(mode="json")["tiers"]["local"])
    kept = service_breaker.patience_in(given.model_dump(mode="json"))
    assert kept["tiers"]["local"]["rpm"] == 30
    bare = service_breaker.without_patience(given.model_dump(mode="json"))
    assert bare == service_breaker.without_patience(plain.model_dump(mode="json"))


def test_the_files_of_a_rate_are_left_whole(pacer, tmp_path):
    pacer.admit(TIER, RateLimit(rpm=1), 1)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["rates.json", "rates.lock"]


def test_ratings_of_issues_keep_to_the_rate_of_their_tier(tmp_path, pacer, clock):
    with Provider() as server:
        tier = {"dialect": "vllm", "model": "m", "window": 9000, "base_url": server.url,
                "attempt_usd": 1, "rpm": 1}  # fmt: skip
        given = settings.load("demo", table={"tiers": {"rater": tier}})
        book = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
        factory = ModelFactory(
            given, {"rater": RATE}, lambda: book, lambda: False, pacer=lambda: pacer
        )
        for name in ("a", "b"):
            one = Instance(id=name, repo="o/n", base_commit="c", problem="p")
            factory.for_ratings("rater", one).complete(ASK, limits=LIMITS)
    assert server.asked == 2
    assert clock.slept >= MINUTE
