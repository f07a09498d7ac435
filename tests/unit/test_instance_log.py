"""The log of one instance: what a successor of a killed worker reads of it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from swe_router.errors import UsageError
from swe_router.journal.instance_log import InstanceLog, Receipt, Receipts
from swe_router.records import (
    Completion,
    Features,
    Instance,
    Message,
    RecordedDecision,
    RunRecord,
    SkippedPlans,
    Stop,
    Try,
)
from tests.doubles.earlier import step
from tests.doubles.engine import ExactPurse, plan
from tests.doubles.project import outcome, verdict

ONE = Instance(id="o__r-1", repo="o/r", base_commit="c", problem="It breaks.")
GO = Try(plans=(plan("weak"),), why="go")


@pytest.fixture
def log(tmp_path):
    (tmp_path / "o__r-1").mkdir()
    return InstanceLog(tmp_path / "o__r-1")


def decision(move):
    return RecordedDecision(decision=move, purse=ExactPurse().view())


def never_begun(number):
    made = outcome("", ended="budget", number=number)
    end = made.attempt.trajectory.model_copy(
        update={"why": "an attempt on tier weak needs 1 USD: it does not fit"}
    )
    return made.model_copy(update={"attempt": made.attempt.model_copy(update={"trajectory": end})})


def rows(log):
    return [json.loads(line) for line in log._moves.read_text().splitlines()]


def answer(text):
    return Completion(message=Message(role="assistant", content=text), usd=Decimal("0.1"))


def receipt(request, text="paid"):
    return Receipt(request=request, reservation="r1", completion=answer(text))


def test_moves_are_decisions_with_what_came_of_them(log):
    assert log.moves() == []
    log.record_decision(decision(GO), ["1-weak", "2-weak"])
    log.record_rescued(outcome("half"))
    log.record_broken(outcome("", number=1))
    assert [(move.attempts, move.outcomes) for move in log.moves()] == [
        (("1-weak", "2-weak"), None)
    ]
    left_out = SkippedPlans(move=0, attempts=("2-weak",), why="settled")
    log.record_outcomes([outcome("d")], left_out)
    log.record_verified_imports([outcome("c", tier="imported")])
    log.record_decision(decision(Stop(why="done")), [])
    first, last = log.moves()
    assert (first.outcomes, first.left_out) == ((outcome("d"),), left_out)
    assert (first.is_stop, last.is_stop, last.attempts) == (False, True, ())
    assert last.left_out is None
    assert not last.never_begun
    assert "left_out" not in rows(log)[-1]


@pytest.mark.parametrize("line", [{"outcomes": []}, {"odd": 1}])
def test_an_outcome_without_a_decision_is_damage(log, line):
    log._moves.write_text(json.dumps(line) + "\n")
    with pytest.raises(UsageError, match=r"moves\.jsonl:1 holds an outcome without a decision"):
        log.moves()
    log._moves.write_text("")
    log.record_decision(decision(GO), ["1-weak"])
    with log._moves.open("a") as file:
        file.write('{"odd": 1}\n')
    with pytest.raises(UsageError, match=r"moves\.jsonl:2 holds an outcome without a decision"):
        log.moves()


def test_attempts_are_never_begun_when_none_of_them_had_the_money(log):
    log.record_decision(decision(GO), ["1-weak", "2-weak"])
    log.record_outcomes([never_begun(1), outcome("d", number=2)])
    log.record_decision(decision(GO), ["3-weak"])
    log.record_outcomes([never_begun(3)])
    log.record_decision(decision(GO), ["4-weak"])
    log.record_outcomes([])
    assert [move.never_begun for move in log.moves()] == [False, True, False]


def test_broken_attempts_are_those_of_one_name_and_its_repeats(log):
    for name in (1, 11):
        log.record_broken(outcome("", number=name))
    repeat = outcome("")
    log.record_broken(
        repeat.model_copy(update={"attempt": repeat.attempt.model_copy(update={"id": "1-weak.2"})})
    )
    assert [one.attempt.id for one in log.broken_outcomes("1-weak")] == ["1-weak", "1-weak.2"]
    assert log.broken_outcomes("2-weak") == ()


def test_the_last_rescue_counts(log):
    assert log.last_rescue() is None
    log.record_rescued(outcome("a"))
    log.record_rescued(outcome("b"))
    assert log.last_rescue() == outcome("b")


def test_numbers_of_attempts_are_never_used_twice(log):
    assert log.next_attempt_number() == 1
    log.record_decision(decision(GO), ["1-weak", "2-weak"])
    assert log.next_attempt_number() == 3
    log.record_step("7-mid", step(0))
    log.record_verified_imports([outcome("c", tier="imported")])
    assert log.next_attempt_number() == 8
    log.restart()
    log.record_decision(decision(GO), ["8-weak"])
    log.restart()
    assert log.next_attempt_number() == 9
    names = {path.name for path in log._folder.iterdir()}
    assert names == {"moves.1.jsonl", "moves.2.jsonl", "moves.jsonl", "7-mid.jsonl"}


def test_an_instance_that_starts_anew_keeps_the_verdicts_on_what_it_came_with(log):
    log.restart()
    assert log.verified_imports() is None
    came = outcome("c", verdict("pass"), tier="imported")
    log.record_verified_imports([came])
    log.record_decision(decision(GO), ["1-weak"])
    log.restart()
    assert (log.verified_imports(), log.moves()) == ((came,), [])
    assert [next(iter(row)) for row in rows(log)] == ["imported"]


def test_a_stop_is_taken_back_with_what_had_no_money_before_it(log):
    log.record_decision(decision(GO), ["1-weak"])
    log.record_outcomes([outcome("d")])
    log.record_decision(decision(GO), ["2-weak"])
    log.record_outcomes([never_begun(2)])
    log.record_decision(decision(Stop(why="no money")), [])
    log.reopen()
    assert rows(log)[-1] == {"reopened": 1}
    assert [move.outcomes for move in log.moves()] == [(outcome("d"),)]
    log.reopen()
    assert rows(log)[-1] == {"reopened": 1}
    log.record_decision(decision(Stop(why="again")), [])
    assert [move.is_stop for move in log.moves()] == [False, True]


def test_a_record_belongs_to_the_moves_that_it_was_made_of(log):
    def record():
        return RunRecord(
            run="r", instance=ONE, features=Features(instance_id=ONE.id), outcomes=(),
            decisions=tuple(move.decided for move in log.moves()), status="empty",
        )  # fmt: skip

    assert log.belongs_to(record())
    log.record_decision(decision(GO), ["1-weak"])
    log.record_outcomes([never_begun(1)])
    log.record_decision(decision(Stop(why="no money")), [])
    old = record()
    assert log.belongs_to(old)
    log.reopen()
    assert not log.belongs_to(old)
    log.record_decision(decision(GO), ["2-weak"])
    assert log.belongs_to(record())
    log.restart()
    assert not log.belongs_to(old)


def test_steps_are_read_open_or_closed_and_without_receipts(log):
    assert log.steps("1-weak") == ()
    log.record_step("1-weak", step(0))
    log.keep_receipt("1-weak", receipt("q1"), among_steps=True)
    log.record_step("1-weak", step(1))
    assert log.steps("1-weak") == (step(0), step(1))
    log.close_attempt("1-weak")
    log.close_attempt("1-weak")
    assert log.steps("1-weak") == (step(0), step(1))
    assert [path.name for path in log._folder.iterdir()] == ["1-weak.jsonl.gz"]
    log.record_step("1-weak", step(2))
    assert log.steps("1-weak") == (step(0), step(1), step(2)), "closed, killed and continued"
    for name in ("../x", "a/b", ""):
        with pytest.raises(UsageError, match="attempt "):
            log.steps(name)


def test_a_paid_answer_is_given_back_once_to_the_same_request(log):
    Receipts(log, "1-weak").keep("q1", "r1", answer("one"))
    assert Receipts(log, "1-weak").paid_answer("q2") is None
    again = Receipts(log, "1-weak")
    assert again.paid_answer("q1") == answer("one")
    assert again.paid_answer("q1") is None
    assert log.receipt("1-weak") == receipt("q1", "one")
    assert [path.name for path in log._folder.iterdir()] == ["1-weak.answer.json"]
    log.close_attempt("1-weak")
    assert log.receipt("1-weak") is None


def test_an_answer_whose_step_is_on_record_is_not_given_again(log):
    Receipts(log, "1-weak", among_steps=True).keep("r", "r1", answer("one"))
    assert Receipts(log, "1-weak").paid_answer("r") == answer("one")
    log.record_step("1-weak", step(0))
    assert Receipts(log, "1-weak").paid_answer("r") is None
    assert log.receipt("1-weak") == receipt("r", "one")


def test_the_last_receipt_of_every_attempt_that_is_open_is_known(log):
    assert list(log.receipts()) == []
    log.record_decision(decision(GO), ["1-weak"])
    log.keep_receipt("2-mid", receipt("q2"))
    log.keep_receipt("1-weak", receipt("q0"), among_steps=True)
    log.keep_receipt("1-weak", receipt("q1"), among_steps=True)
    log.record_step("3-strong", step(0))
    (log._folder / "notes.jsonl").write_text("")
    assert [one.request for one in log.receipts()] == ["q1", "q2"]
    log.remove_used_receipts()
    assert [one.request for one in log.receipts()] == ["q1"]


@pytest.mark.parametrize(
    ("text", "fault"), [("{", "Expecting"), ("{}", "Field required"), ("[" * 99999, "")]
)
def test_a_damaged_receipt_is_named(log, text, fault):
    (log._folder / "1-weak.answer.json").write_text(text)
    with pytest.raises(UsageError, match=rf"1-weak\.answer\.json is damaged .{fault}.*: delete it"):
        log.receipt("1-weak")
