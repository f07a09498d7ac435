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
    log.decided(decision(GO), ["1-weak", "2-weak"])
    log.rescued(outcome("half"))
    log.broke(outcome("", number=1))
    assert [(move.attempts, move.outcomes) for move in log.moves()] == [
        (("1-weak", "2-weak"), None)
    ]
    left_out = SkippedPlans(move=0, attempts=("2-weak",), why="settled")
    log.outcomes([outcome("d")], left_out)
    log.verified([outcome("c", tier="imported")])
    log.decided(decision(Stop(why="done")), [])
    first, last = log.moves()
    assert (first.outcomes, first.left_out) == ((outcome("d"),), left_out)
    assert (first.stopped, last.stopped, last.attempts) == (False, True, ())
    assert last.left_out is None
    assert not last.never_begun
    assert "left_out" not in rows(log)[-1]


@pytest.mark.parametrize("line", [{"outcomes": []}, {"odd": 1}])
def test_an_outcome_without_a_decision_is_damage(log, line):
    log._moves.write_text(json.dumps(line) + "\n")
    with pytest.raises(UsageError, match=r"moves\.jsonl:1 holds an outcome without a decision"):
        log.moves()
    log._moves.write_text("")
    log.decided(decision(GO), ["1-weak"])
    with log._moves.open("a") as file:
        file.write('{"odd": 1}\n')
    with pytest.raises(UsageError, match=r"moves\.jsonl:2 holds an outcome without a decision"):
        log.moves()


def test_attempts_are_never_begun_when_none_of_them_had_the_money(log):
    log.decided(decision(GO), ["1-weak", "2-weak"])
    log.outcomes([never_begun(1), outcome("d", number=2)])
    log.decided(decision(GO), ["3-weak"])
    log.outcomes([never_begun(3)])
    log.decided(decision(GO), ["4-weak"])
    log.outcomes([])
    assert [move.never_begun for move in log.moves()] == [False, True, False]


def test_broken_attempts_are_those_of_one_name_and_its_repeats(log):
    for name in (1, 11):
        log.broke(outcome("", number=name))
    repeat = outcome("")
    log.broke(
        repeat.model_copy(update={"attempt": repeat.attempt.model_copy(update={"id": "1-weak.2"})})
    )
    assert [one.attempt.id for one in log.broken("1-weak")] == ["1-weak", "1-weak.2"]
    assert log.broken("2-weak") == ()


def test_the_last_rescue_counts(log):
    assert log.last_rescue() is None
    log.rescued(outcome("a"))
    log.rescued(outcome("b"))
    assert log.last_rescue() == outcome("b")


def test_numbers_of_attempts_are_never_used_twice(log):
    assert log.next_number() == 1
    log.decided(decision(GO), ["1-weak", "2-weak"])
    assert log.next_number() == 3
    log.record("7-mid", step(0))
    log.verified([outcome("c", tier="imported")])
    assert log.next_number() == 8
    log.restart()
    log.decided(decision(GO), ["8-weak"])
    log.restart()
    assert log.next_number() == 9
    names = {path.name for path in log._folder.iterdir()}
    assert names == {"moves.1.jsonl", "moves.2.jsonl", "moves.jsonl", "7-mid.jsonl"}


def test_an_instance_that_starts_anew_keeps_the_verdicts_on_what_it_came_with(log):
    log.restart()
    assert log.imported() is None
    came = outcome("c", verdict("pass"), tier="imported")
    log.verified([came])
    log.decided(decision(GO), ["1-weak"])
    log.restart()
    assert (log.imported(), log.moves()) == ((came,), [])
    assert [next(iter(row)) for row in rows(log)] == ["imported"]


def test_a_stop_is_taken_back_with_what_had_no_money_before_it(log):
    log.decided(decision(GO), ["1-weak"])
    log.outcomes([outcome("d")])
    log.decided(decision(GO), ["2-weak"])
    log.outcomes([never_begun(2)])
    log.decided(decision(Stop(why="no money")), [])
    log.reopen()
    assert rows(log)[-1] == {"reopened": 1}
    assert [move.outcomes for move in log.moves()] == [(outcome("d"),)]
    log.reopen()
    assert rows(log)[-1] == {"reopened": 1}
    log.decided(decision(Stop(why="again")), [])
    assert [move.stopped for move in log.moves()] == [False, True]


def test_a_record_belongs_to_the_moves_that_it_was_made_of(log):
    def record():
        return RunRecord(
            run="r", instance=ONE, features=Features(instance_id=ONE.id), outcomes=(),
            decisions=tuple(move.decided for move in log.moves()), status="empty",
        )  # fmt: skip

    assert log.belongs_to(record())
    log.decided(decision(GO), ["1-weak"])
    log.outcomes([never_begun(1)])
    log.decided(decision(Stop(why="no money")), [])
    old = record()
    assert log.belongs_to(old)
    log.reopen()
    assert not log.belongs_to(old)
    log.decided(decision(GO), ["2-weak"])
    assert log.belongs_to(record())
    log.restart()
    assert not log.belongs_to(old)


def test_steps_are_read_open_or_closed_and_without_receipts(log):
    assert log.steps("1-weak") == ()
    log.record("1-weak", step(0))
    log.keep("1-weak", receipt("q1"), among_steps=True)
    log.record("1-weak", step(1))
    assert log.steps("1-weak") == (step(0), step(1))
    log.close("1-weak")
    log.close("1-weak")
    assert log.steps("1-weak") == (step(0), step(1))
    assert [path.name for path in log._folder.iterdir()] == ["1-weak.jsonl.gz"]
    log.record("1-weak", step(2))
    assert log.steps("1-weak") == (step(0), step(1), step(2)), "closed, killed and continued"
    for name in ("../x", "a/b", ""):
        with pytest.raises(UsageError, match="attempt "):
            log.steps(name)


def test_a_paid_answer_is_given_back_once_to_the_same_request(log):
    Receipts(log, "1-weak").keep("q1", "r1", answer("one"))
    assert Receipts(log, "1-weak").paid("q2") is None
    again = Receipts(log, "1-weak")
    assert again.paid("q1") == answer("one")
    assert again.paid("q1") is None
    assert log.receipt("1-weak") == receipt("q1", "one")
    assert [path.name for path in log._folder.iterdir()] == ["1-weak.answer.json"]
    log.close("1-weak")
    assert log.receipt("1-weak") is None


def test_an_answer_whose_step_is_on_record_is_not_given_again(log):
    Receipts(log, "1-weak", among_steps=True).keep("r", "r1", answer("one"))
    assert Receipts(log, "1-weak").paid("r") == answer("one")
    log.record("1-weak", step(0))
    assert Receipts(log, "1-weak").paid("r") is None
    assert log.receipt("1-weak") == receipt("r", "one")


def test_the_last_receipt_of_every_attempt_that_is_open_is_known(log):
    assert list(log.receipts()) == []
    log.decided(decision(GO), ["1-weak"])
    log.keep("2-mid", receipt("q2"))
    log.keep("1-weak", receipt("q0"), among_steps=True)
    log.keep("1-weak", receipt("q1"), among_steps=True)
    log.record("3-strong", step(0))
    (log._folder / "notes.jsonl").write_text("")
    assert [one.request for one in log.receipts()] == ["q1", "q2"]
    log.tidy()
    assert [one.request for one in log.receipts()] == ["q1"]


@pytest.mark.parametrize(
    ("text", "fault"), [("{", "Expecting"), ("{}", "Field required"), ("[" * 99999, "")]
)
def test_a_damaged_receipt_is_named(log, text, fault):
    (log._folder / "1-weak.answer.json").write_text(text)
    with pytest.raises(UsageError, match=rf"1-weak\.answer\.json is damaged .{fault}.*: delete it"):
        log.receipt("1-weak")
