"""Metering: the worst case is reserved before a call, and every way a call ends is booked."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router import prices
from swe_router.errors import (
    BadReply,
    ContextTooLong,
    LedgerRefused,
    NoAnswer,
    Overloaded,
    RateLimited,
    Refused,
)
from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel, input_bound
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits, Completion, Message, Step, ToolCall, ToolSpec, Usage

D = Decimal

DAY = datetime.date(2026, 11, 24)
RATE = prices.flat_rate(D(2), D(10), cache_read=D("0.2"), cache_write=D("2.5"), source="s", on=DAY)
LIMITS = CallLimits(max_output_tokens=1000, timeout=10)
ASK = (Message(role="user", content="fix it"),)
TOOL = ToolSpec(name="bash", description="run", parameters={"type": "object"})


class Answers:
    """A model that gives what it is told to, in order."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0

    def complete(self, messages, tools=(), *, limits):
        self.calls += 1
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def said(text="ok", **usage):
    usage = usage or {"input_tokens": 10, "output_tokens": 5}
    return Completion(message=Message(role="assistant", content=text), usage=Usage(**usage))


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl", D("1"))


@pytest.fixture
def hold(ledger):
    return ledger.hold("local", D("0.5"), "x#1")


def metered(model, book, rate=RATE):
    return MeteredModel(model, book, rate)


def test_a_retry_says_its_cause_and_when():
    told: list[str] = []
    model = Answers(Overloaded("busy", status=502), RateLimited("slow", after=0.0), said())
    RetryingModel(model, 3, first_wait=0.001, notify=told.append).complete(ASK, limits=LIMITS)
    assert told == ["overloaded (HTTP 502): try 2 of 4 in 0 s", "rate limit: try 3 of 4 in 0 s"]


def test_an_answer_is_settled_at_its_price(hold):
    answer = metered(Answers(said()), hold).complete(ASK, limits=LIMITS)
    assert answer.usd == hold.spent == RATE.usd(Usage(input_tokens=10, output_tokens=5))


@pytest.mark.parametrize(
    "error", [RateLimited("x"), Overloaded("x"), Refused("x"), ContextTooLong("x")]
)
def test_a_call_that_was_not_billed_costs_nothing(hold, error):
    with pytest.raises(type(error)):
        metered(Answers(error), hold).complete(ASK, limits=LIMITS)
    assert hold.spent == 0
    assert hold.remaining == D("0.5")


@pytest.mark.parametrize("error", [NoAnswer("x"), BadReply("x"), KeyboardInterrupt(), ValueError()])
def test_a_call_that_may_have_been_billed_stays_charged(hold, ledger, error):
    model = metered(Answers(error), hold)
    worst = model.worst(ASK, (), LIMITS)
    with pytest.raises(type(error)):
        model.complete(ASK, limits=LIMITS)
    assert hold.spent == worst == ledger.figures().lost


def test_a_call_that_does_not_fit_is_refused_before_it_is_sent(ledger):
    model = Answers(said())
    with pytest.raises(LedgerRefused):
        metered(model, ledger.hold("t", D("0.001"), "x#1")).complete(ASK, limits=LIMITS)
    assert model.calls == 0


def test_an_answer_without_usage_is_charged_as_reserved_and_replays_so(hold, ledger):
    bare = Completion(message=Message(role="assistant", content="ok"))
    model = metered(Answers(bare), hold)
    worst = model.worst(ASK, (), LIMITS)
    answer = model.complete(ASK, limits=LIMITS)
    assert answer.usd == worst == RATE.usd(answer.usage)
    assert "no usage: charged as reserved" in (ledger._path).read_text()


def test_gpu_time_reserves_the_timeout_and_settles_the_wall_time(ledger):
    rate = prices.gpu_hour_rate(D("3600"), 1, DAY)
    hold = ledger.hold("local", D("0.5"), "x#1")
    model = metered(Answers(said(output_tokens=5, seconds=0.25)), hold, rate)
    with pytest.raises(LedgerRefused):
        model.complete(ASK, limits=LIMITS)
    short = CallLimits(max_output_tokens=10, timeout=0.5)
    assert model.complete(ASK, limits=short).usd == D("0.25")


def test_the_second_call_reserves_what_was_measured_plus_what_is_new(hold):
    long = Message(role="user", content="x" * 8000)
    first = said("y" * 4000, cache_write_tokens=2000, output_tokens=900)
    model = metered(Answers(first, said()), hold)
    cold = model.worst((long,), (TOOL,), LIMITS)
    answer = model.complete((long,), (TOOL,), limits=LIMITS)
    then = (long, answer.message, Message(role="tool", content="z" * 100))
    warm = model.worst(then, (TOOL,), LIMITS)
    assert warm < cold
    assert warm >= RATE.max_usd(2000 + 900 + 100, 1000, 10)
    elided = (long.model_copy(update={"content": "x" * 7000}), *then[1:])
    assert model.worst(elided, (TOOL,), LIMITS) > RATE.max_usd(7000 + 900, 1000, 10)


def test_an_elision_leaves_measured_what_it_did_not_touch(hold):
    kept, old = Message(role="user", content="k" * 9000), Message(role="tool", content="o" * 9000)
    model = metered(Answers(said("ok", input_tokens=5000, output_tokens=10)), hold)
    answer = model.complete((kept, old), limits=LIMITS)
    elided = (kept, old.model_copy(update={"content": "left out"}), answer.message)
    bound = RATE.max_usd(5000 + 10 + 8 + 100, 1000, 10)
    assert RATE.max_usd(5000 + 8, 1000, 10) <= model.worst(elided, (), LIMITS) <= bound


def test_a_huge_prompt_is_reserved_for_whole_whatever_the_tier_says_of_its_window(hold):
    huge = (Message(role="user", content="x" * 100_000),)
    model = metered(Answers(said(input_tokens=100_000, output_tokens=1000)), hold)
    worst = model.worst(huge, (), LIMITS)
    assert model.complete(huge, limits=LIMITS).usd <= worst


def test_reading_a_late_answer_costs_no_second_above_the_reservation(ledger):
    rate = prices.gpu_hour_rate(D("3600"), 1, DAY)
    hold = ledger.hold("local", D("0.5"), "x#1")
    late = metered(Answers(said(output_tokens=5, seconds=0.504)), hold, rate)
    late.complete(ASK, limits=CallLimits(max_output_tokens=10, timeout=0.5))
    assert (hold.spent, ledger.figures().overrun) == (D("0.5"), 0)


@given(
    texts=st.lists(st.text(max_size=50), min_size=1, max_size=5),
    arguments=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
)
@settings(deadline=None)
def test_the_input_bound_counts_every_byte_that_is_sent(texts, arguments):
    call = ToolCall(id="c", name="bash", arguments=arguments)
    messages = [Message(role="assistant", content=text, tool_calls=(call,)) for text in texts]
    said = "".join([*texts, *(arguments.values()), *arguments])
    sent = sum(len(t.encode("utf-8", "replace")) for t in texts)
    sent += sum(len(v.encode("utf-8", "replace")) for v in (*arguments.values(), *arguments))
    assert input_bound(messages, (TOOL,)) >= sent >= len(said) - len(texts)


def test_each_try_is_seen_by_the_ledger_and_only_the_billed_are_charged(hold, ledger):
    model = Answers(RateLimited("slow", after=0.0), Overloaded("busy"), said())
    tries = RetryingModel(metered(model, hold), 5, first_wait=0.001, longest_wait=0.002)
    answer = tries.complete(ASK, limits=LIMITS)
    assert hold.spent == answer.usd
    ops = [line.split('"')[3] for line in ledger._path.read_text().splitlines()]
    assert ops.count("reserve") == 3
    assert ops.count("void") == 2
    assert ops.count("settle") == 1


def test_an_unanswered_call_is_sent_again_only_once(hold):
    model = Answers(NoAnswer("a"), NoAnswer("b"), said())
    tries = RetryingModel(metered(model, hold), 5, first_wait=0.001)
    with pytest.raises(NoAnswer, match="b"):
        tries.complete(ASK, limits=LIMITS)
    assert model.calls == 2


@pytest.mark.parametrize("error", [Refused("x"), ContextTooLong("x"), LedgerRefused("x")])
def test_what_will_not_get_better_is_not_tried_again(error):
    model = Answers(error, said())
    with pytest.raises(type(error)):
        RetryingModel(model, 5, first_wait=0.001).complete(ASK, limits=LIMITS)
    assert model.calls == 1


def test_retries_end(hold):
    model = Answers(*(Overloaded(str(n)) for n in range(9)))
    with pytest.raises(Overloaded, match="2"):
        RetryingModel(metered(model, hold), 2, first_wait=0.001).complete(ASK, limits=LIMITS)
    assert model.calls == 3


def test_nothing_is_tried_again_after_the_attempts_time():
    model = Answers(*(Overloaded(str(n)) for n in range(9)))
    tries = RetryingModel(model, 8, first_wait=0.001, over=lambda: model.calls == 3)
    with pytest.raises(Overloaded, match="2"):
        tries.complete(ASK, limits=LIMITS)
    assert model.calls == 3


def test_no_retries_means_one_try():
    model = Answers(Overloaded("x"), said())
    with pytest.raises(Overloaded):
        RetryingModel(model, 0, first_wait=0.001).complete(ASK, limits=LIMITS)
    assert model.calls == 1


def test_a_retry_after_of_a_day_does_not_stop_the_run():
    model = Answers(RateLimited("slow", after=86_400.0), said())
    RetryingModel(model, 1, first_wait=0.001, longest_wait=0.01).complete(ASK, limits=LIMITS)
    assert model.calls == 2


def test_reasoning_that_is_handed_back_is_paid_for_after_an_elision_too(hold):
    thought = said("short", input_tokens=50, output_tokens=900)
    model = metered(Answers(thought), hold)
    answer = model.complete(ASK, limits=LIMITS)
    changed = (Message(role="user", content="fix"), answer.message)
    assert model.worst(changed, (), LIMITS) >= RATE.max_usd(900 + 3 + 5, 1000, 10)


def test_words_out_of_no_tokens_are_charged_as_reserved(hold):
    model = metered(Answers(said("a long answer", input_tokens=10)), hold)
    worst = model.worst(ASK, (), LIMITS)
    assert model.complete(ASK, limits=LIMITS).usd == worst


def test_a_retry_prints_nothing_on_stdout(hold, capsys):
    """``--json`` promises one value there and nothing else."""
    model = Answers(Overloaded("x"), said())
    RetryingModel(metered(model, hold), 1, first_wait=0.001).complete(ASK, limits=LIMITS)
    bare = Completion(message=Message(role="assistant", content="ok"))
    metered(Answers(bare), hold).complete(ASK, limits=LIMITS)
    assert capsys.readouterr().out == ""


class Killed(BaseException):
    """Stands for kill -9: nothing after it happens in this process."""


class DiesSettling:
    """A book whose process is killed when an answer is to be settled."""

    def __init__(self, hold):
        self.hold, self.reserved = hold, ""

    def reserve(self, usd):
        self.reserved = self.hold.reserve(usd)
        return self.reserved

    def settle(self, *_):
        raise Killed


def with_receipts(model, book, tape):
    return MeteredModel(model, book, RATE, receipts=Receipts(tape, "1-local"))


def test_an_answer_whose_step_was_never_recorded_is_not_paid_for_again(hold, tmp_path):
    tape, first, second = (
        InstanceLog(tmp_path / "x"),
        Answers(said("first")),
        Answers(said("second")),
    )
    answer = with_receipts(first, hold, tape).complete(ASK, limits=LIMITS)
    spent = hold.spent
    resumed = with_receipts(second, hold, tape)
    assert resumed.complete(ASK, limits=LIMITS) == answer
    assert (second.calls, hold.spent) == (0, spent)
    assert resumed.complete(ASK, limits=LIMITS).message.content == "second", "only once"


def test_a_resumed_attempt_reserves_as_little_as_one_that_was_never_killed(hold, tmp_path):
    """The answer that was paid for before tells how many tokens the conversation has."""
    long = (Message(role="user", content="fix it " * 2000),)
    tape, reply = InstanceLog(tmp_path / "x"), said("first", input_tokens=30, output_tokens=5)
    whole = with_receipts(Answers(reply), hold, tape)
    answer = whole.complete(long, limits=LIMITS)
    resumed = with_receipts(Answers(), hold, tape)
    cold = resumed.worst(long, (), LIMITS)
    assert resumed.complete(long, limits=LIMITS) == answer
    onward = (*long, answer.message, Message(role="user", content="go on"))
    assert resumed.worst(onward, (), LIMITS) == whole.worst(onward, (), LIMITS) < cold


def test_an_answer_is_on_disk_before_it_is_settled(hold, tmp_path):
    tape, book = InstanceLog(tmp_path / "x"), DiesSettling(hold)
    with pytest.raises(Killed):
        with_receipts(Answers(said("first")), book, tape).complete(ASK, limits=LIMITS)
    [receipt] = tape.receipts()
    assert (receipt.reservation, receipt.completion.message.content) == (book.reserved, "first")
    assert receipt.completion.usd == RATE.usd(Usage(input_tokens=10, output_tokens=5))


def test_an_answer_whose_step_is_on_the_tape_is_not_given_again(hold, tmp_path):
    tape, model = InstanceLog(tmp_path / "x"), Answers(said("first"), said("second"))
    answer = with_receipts(model, hold, tape).complete(ASK, limits=LIMITS)
    [receipt] = tape.receipts()
    step = Step(index=0, request=receipt.request, completion=answer)
    tape.record_step("1-local", step.sealed(""))
    again = with_receipts(model, hold, tape).complete(ASK, limits=LIMITS)
    assert again.message.content == "second"


def test_a_closed_attempt_that_is_gone_on_with_keeps_its_steps(tmp_path):
    tape = InstanceLog(tmp_path / "x")
    steps = [Step(index=n, request=str(n), completion=said()).sealed("") for n in range(2)]
    tape.record_step("1-local", steps[0])
    tape.close_attempt("1-local")
    tape.record_step("1-local", steps[1])
    tape.close_attempt("1-local")
    assert list(tape.steps("1-local")) == steps
