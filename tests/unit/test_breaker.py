"""A service that is away is met once by a run, waited for together, and given up in the end."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass, field

import pytest

from swe_router.breaker import Breaker, Patience
from swe_router.errors import (
    BadReply,
    DiskFull,
    EngineGone,
    ImageMissing,
    LedgerRefused,
    ModelUnknown,
    NoAnswer,
    NoConnection,
    NoCredit,
    NoImageStore,
    Overloaded,
    RateLimited,
    StillAway,
    Unauthorised,
)

AWAY = [
    NoConnection("could not connect"),
    Unauthorised("HTTP 401", status=401),
    NoCredit("your credit balance is too low", status=400),
    ModelUnknown("no such model", status=404),
    Overloaded("HTTP 502: bad gateway", status=502),
    Overloaded("HTTP 529", status=529),
    RateLimited("HTTP 429", status=429),
    NoImageStore("dial tcp"),
    EngineGone("refused"),
    DiskFull("no space left"),
]


@dataclass
class Time:
    """A clock that sleeping moves on."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Service:
    """Fails until ``back``, by the clock; counts what it was asked."""

    def __init__(self, time, error, back=float("inf")):
        self.time, self.error, self.back, self.asked = time, error, back, 0

    def __call__(self):
        self.asked += 1
        if self.time.now < self.back:
            raise self.error
        return "answer"


def breaker(tmp_path, time, said=None, **more):
    patience = Patience(**more.pop("patience", {}))
    tell = said.append if said is not None else (lambda line: None)
    return Breaker(
        tmp_path, lambda name: patience, clock=time.clock, sleep=time.sleep, notify=tell, **more
    )


@pytest.mark.parametrize("error", AWAY, ids=lambda e: f"{type(e).__name__}-{e.args[0][:12]}")
def test_a_call_waits_for_a_service_that_comes_back_and_never_fails_for_it(tmp_path, error):
    time, said = Time(), []
    service = Service(time, error, back=1090.0)
    assert breaker(tmp_path, time, said).call_when_available("tier a", service) == "answer"
    assert 1090.0 <= time.now <= 1111.0
    assert service.asked <= 10
    assert len([line for line in said if "is paused" in line]) == 1
    assert said[-1].startswith("tier a is back after")
    assert not (tmp_path / "breaker.json").exists()


def test_waits_grow_and_one_process_of_many_knocks(tmp_path):
    time = Time()
    service = Service(time, NoConnection("refused"), back=1200.0)
    many = [breaker(tmp_path, time) for _ in range(4)]
    knocked = []
    for n, one in enumerate(many):
        # Each waits in turn, on one clock: what the first learned, the later know.
        def call(n=n):
            knocked.append((n, time.now))
            return service()

        one.call_when_available("tier a", call)
    times = [at for _, at in knocked if at < 1200.0]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[:3] == [pytest.approx(2.0), pytest.approx(4.0), pytest.approx(8.0)]
    assert max(gaps) <= 20.5
    assert len(knocked) <= len(times) + 4


def test_500_instances_meet_a_service_that_stays_away_once_and_not_500_times(tmp_path):
    time, ended = Time(), []
    service = Service(time, NoConnection("refused"))
    one = breaker(
        tmp_path,
        time,
        on_give_up=lambda: ended.append(time.now),
        patience={"give_up_seconds": 240.0},
    )
    for n in range(500):
        with pytest.raises(StillAway, match="no connection"):
            one.call_when_available("tier a", service, instance_id=str(n))
    assert service.asked <= 16
    assert ended == [pytest.approx(1240.0, abs=1.0)]
    assert time.now == pytest.approx(1240.0, abs=1.0)
    assert one.given_up()["tier a"].cause == "no connection"


def test_what_was_given_up_is_refused_at_once_but_for_a_knock_when_its_time_has_come(tmp_path):
    time, said = Time(), []
    service = Service(time, NoConnection("refused"))
    one = breaker(tmp_path, time, said, patience={"give_up_seconds": 30.0})
    with pytest.raises(StillAway):
        one.call_when_available("tier a", service)
    asked, at = service.asked, time.now
    for _ in range(5):
        with pytest.raises(StillAway):
            one.call_when_available("tier a", service)
        with pytest.raises(StillAway):
            one.require("tier a")
    assert (service.asked, time.now) == (asked, at), "waited for, or asked again, at once"
    time.now += 25.0
    one.require("tier a")
    with pytest.raises(StillAway):
        one.call_when_available("tier a", service)
    assert (service.asked, time.now) == (asked + 1, at + 25.0)
    assert said[-1].startswith("tier a is given up"), "each such knock is told of"
    time.now, service.back = time.now + 25.0, 0.0
    assert one.call_when_available("tier a", service) == "answer"
    assert said[-1].startswith("tier a is back")
    assert one.call_when_available("tier a", service) == "answer"
    one.require("tier a")


def test_an_answer_that_comes_while_the_run_ends_leaves_it_on_record_why(tmp_path):
    time, stop = Time(), []
    one = breaker(
        tmp_path, time, stopping=lambda: bool(stop), on_give_up=lambda: stop.append(1),
        patience={"give_up_seconds": 5.0},
    )  # fmt: skip
    with pytest.raises(StillAway):
        one.call_when_available("tier a", Service(time, NoConnection("refused")))
    one._record_success("tier a")
    assert list(one.given_up()) == ["tier a"]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Unauthorised("HTTP 401", status=401), 120.0),
        (NoCredit("your credit balance is too low", status=400), 120.0),
        (ModelUnknown("no such model", status=404), 120.0),
        (NoConnection("refused"), 240.0),
        (Overloaded("HTTP 502", status=502), 240.0),
        (EngineGone("refused"), 240.0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_somebody_has_to_mend_is_waited_for_half_as_long(tmp_path, error, seconds):
    time = Time()
    with pytest.raises(StillAway):
        breaker(tmp_path, time).call_when_available("tier a", Service(time, error))
    assert time.now == pytest.approx(1000.0 + seconds, abs=1.0)


def test_a_shorter_patience_holds_for_what_somebody_has_to_mend_too(tmp_path):
    time = Time()
    one = breaker(tmp_path, time, patience={"give_up_seconds": 7.0})
    with pytest.raises(StillAway):
        one.call_when_available("tier a", Service(time, Unauthorised("HTTP 401", status=401)))
    assert time.now == pytest.approx(1007.0, abs=1.0)


def test_a_new_launch_forgets_what_was_given_up(tmp_path):
    time = Time()
    one = breaker(tmp_path, time, patience={"give_up_seconds": 1.0})
    with pytest.raises(StillAway):
        one.call_when_available("tier a", Service(time, NoConnection("refused")))
    one.forget()
    assert one.call_when_available("tier a", lambda: 3) == 3


def test_an_answer_resets_the_count_and_other_services_go_on(tmp_path):
    time = Time()
    one = breaker(tmp_path, time)
    errors = iter([NoConnection("1"), None, NoConnection("2"), NoConnection("3"), None])

    def call():
        error = next(errors)
        if error:
            raise error
        return "answer"

    said: list[str] = []
    one.notify = said.append
    one.call_when_available("tier a", call)
    one.call_when_available("tier a", call)
    assert said == []
    assert one.call_when_available("tier b", lambda: 1) == 1


def test_one_bad_answer_is_that_calls_own_and_is_passed_on_at_once(tmp_path):
    time = Time()
    one = breaker(tmp_path, time)
    for error in (BadReply("nonsense"), LedgerRefused("no money"), Overloaded("500", status=500)):
        with pytest.raises(type(error)):
            one.call_when_available("tier a", Service(time, error), instance_id="i")
    assert time.slept == []


@pytest.mark.parametrize("error", [NoAnswer("timeout"), ImageMissing("i"), Overloaded("oom")])
def test_the_third_instance_in_a_row_with_the_same_failure_is_held(tmp_path, error):
    time, said = Time(), []
    one = breaker(tmp_path, time, said)
    for n in (1, 2):
        with pytest.raises(type(error)):
            one.call_when_available("tier a", Service(time, error), instance_id=f"i-{n}")
    with pytest.raises(type(error)):  # the same instance again says nothing new
        one.call_when_available("tier a", Service(time, error), instance_id="i-2")
    time.now += 1000.0  # how long ago those were says nothing of how long it is waited for
    service = Service(time, error, back=time.now + 30.0)
    assert one.call_when_available("tier a", service, instance_id="i-3") == "answer"
    assert any("is paused" in line for line in said)


def test_a_timeout_is_the_servers_when_the_server_does_not_answer_a_knock_either(tmp_path):
    time = Time()
    one = breaker(tmp_path, time)
    knocks = []

    def check():
        knocks.append(time.now)
        if time.now < 1060.0:
            raise NoAnswer("nothing came back")

    service = Service(time, NoAnswer("timeout"), back=1060.0)
    assert (
        one.call_when_available("tier a", service, instance_id="i", check_service=check) == "answer"
    )
    assert service.asked == 2  # a call that may be billed is not used to knock with
    assert len(knocks) > 3


def test_a_stop_ends_the_waiting_at_once_and_gives_nothing_up(tmp_path):
    time = Time()
    one = breaker(tmp_path, time, stopping=lambda: time.now > 1005.0)
    with pytest.raises(StillAway):
        one.call_when_available("tier a", Service(time, NoConnection("refused")))
    assert time.now < 1007.0
    assert one.given_up() == {}


def test_time_spent_waiting_is_not_on_the_clock_of_limits(tmp_path):
    time = Time()
    one = breaker(tmp_path, time)
    begun = one.now()
    one.call_when_available("tier a", Service(time, NoConnection("refused"), back=1090.0))
    assert time.now - 1000.0 >= 90.0
    assert one.now() - begun == pytest.approx(0.0)


def test_calls_that_a_service_leaves_hanging_are_not_on_the_clock_of_limits_either(tmp_path):
    time = Time()
    one = breaker(tmp_path, time)
    service = Service(time, NoConnection("refused"), back=1090.0)

    def slow():
        time.now += 5.0
        return service()

    begun = one.now()
    one.call_when_available("tier a", slow)
    assert service.asked > 2
    assert one.now() - begun == pytest.approx(5.0), "more than the one call that was answered"


def test_a_failure_that_is_the_calls_own_stays_on_the_clock(tmp_path):
    time = Time()
    one = breaker(tmp_path, time)

    def slow():
        time.now += 5.0
        raise NoAnswer("timeout")

    begun = one.now()
    with pytest.raises(NoAnswer):
        one.call_when_available("tier a", slow, instance_id="i")
    assert one.now() - begun == pytest.approx(5.0)


def test_a_damaged_file_of_another_version_is_found_out_anew(tmp_path):
    (tmp_path / "breaker.json").write_text(json.dumps({"tier a": {"colour": "red"}}))
    assert breaker(tmp_path, Time()).call_when_available("tier a", lambda: 1) == 1


def test_threads_that_fail_together_are_paused_together(tmp_path):
    said: list[str] = []
    back = threading.Event()
    one = Breaker(
        tmp_path, lambda name: Patience(first_wait=0.02, longest_wait=0.05), notify=said.append
    )
    done, asked = [], []

    def call():
        asked.append(1)
        if not back.is_set():
            raise NoConnection("refused")
        return 1

    threads = [
        threading.Thread(
            target=lambda n=n: done.append(one.call_when_available("t", call, instance_id=str(n)))
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    threading.Timer(0.3, back.set).start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(done) == 8
    assert len([line for line in said if "is paused" in line]) == 1
    assert len([line for line in said if "is back" in line]) == 1
