"""Money can be added to a run: on record, never paid twice, and replayed under the right cap."""

from __future__ import annotations

import fcntl
import json
from decimal import Decimal

import pytest

from swe_router import assets
from swe_router.__main__ import main
from swe_router.commands import replay
from swe_router.commands.run import run_driver
from swe_router.errors import JournalError, UsageError
from swe_router.integrity import unfinished
from swe_router.journal.header import header_of_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import log_reader
from swe_router.policies.cascade import Cascade
from swe_router.solve.engine import solve
from tests.doubles.copies import copied
from tests.doubles.engine import FEATURES, INSTANCE, ExactPurse, Patches, Plays, context, plan
from tests.doubles.office import Office, WouldWait

D = Decimal
TWO = (plan("local", "1"), plan("cloud", "5"))


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path / "ledger.jsonl")


def test_a_raise_is_on_record_and_every_open_book_goes_by_it(office):
    driver, other = office.ledger("a"), office.ledger("b")
    driver.hold("local", D("0.7"), "x#1")
    assert other.raise_cap(D("2"), "me@here") is True
    assert driver.view().budget == D("2")
    assert driver.hold("cloud", D("1.2"), "y#1").remaining == D("1.2")
    [entry] = [row for row in map(json.loads, office.path.open()) if row["op"] == "raise"]
    assert (entry["budget"], entry["by"]) == ("2", "me@here")
    assert entry["pid"] > 0
    state = log_reader.read_ledger(office.path)
    assert (state.opened, state.budget, state.caps) == (D("1"), D("2"), (D("1"), D("2")))
    figures = driver.figures()
    assert figures.settled + figures.lost + figures.reserved + figures.unused == D("2")


def test_a_raise_ends_the_wait_of_who_waits_for_money(office):
    office.ledger("a").hold("local", D("0.7"), "x#1")
    waiting = office.ledger("b", sleep=lambda _: office.ledger("c").raise_cap(D("3"), "me@here"))
    assert waiting.hold("local", D("0.7"), "y#1").remaining == D("0.7")


def test_a_cap_is_never_lowered_and_the_same_again_writes_nothing(office):
    book = office.ledger("a")
    assert book.raise_cap(D("1.00"), "me@here") is False
    with pytest.raises(UsageError, match=r"is \$1, .*\$0\.5 would lower it"):
        book.raise_cap(D("0.5"), "me@here")
    assert [json.loads(line)["op"] for line in office.path.open()] == ["open"]
    book.hold("local", D("0.9"), "x#1")
    with pytest.raises(WouldWait):
        office.ledger("b").hold("local", D("0.9"), "x#1")


def test_a_ledger_whose_raise_lowers_the_cap_is_corrupt(office):
    office.ledger("a")
    with office.path.open("a") as file:
        file.write('{"op":"raise","at":1,"budget":"0.1","by":"x@y","pid":1}\n')
    with pytest.raises(JournalError, match="not raised"):
        office.ledger("b")


class Counted(Plays):
    """Counts the attempts that were really made."""

    made = 0

    def solve(self, *arguments):
        self.made += 1
        return super().solve(*arguments)


def poor(tape, scaffold, budget="3"):
    wrong = context(
        tape, ExactPurse(budget=D(budget)), scaffold, snapshot=lambda b: Patches("wrong")
    )
    return solve(INSTANCE, FEATURES, policy=Cascade(TWO), context=wrong, run_name="r")


def rich(tape, scaffold):
    purse = ExactPurse(budget=D("30"))
    return solve(
        INSTANCE,
        FEATURES,
        policy=Cascade(TWO),
        context=context(tape, purse, scaffold),
        run_name="r",
    )


def test_what_ended_for_lack_of_money_goes_on_with_its_rejected_candidate_as_history(tmp_path):
    tape, scaffold = InstanceLog(tmp_path), Counted()
    first = poor(tape, scaffold)
    assert [type(one.decision).__name__ for one in first.decisions] == ["Try", "Stop"]
    assert tape.belongs_to(first)
    tape.reopen()
    assert not tape.belongs_to(first), "a driver killed now would forget that it is owed"
    again = rich(InstanceLog(tmp_path), scaffold)
    assert [one.attempt.id for one in again.outcomes] == ["1-local", "2-cloud"]
    assert again.outcomes[0] == first.outcomes[0]
    assert (scaffold.made, again.unpaid, again.chosen) == (2, False, "2-cloud")
    assert tape.belongs_to(again)
    assert tuple(move.decided for move in tape.moves()) == again.decisions


def test_an_attempt_that_had_no_money_to_begin_is_made_once_there_is_some(tmp_path):
    class Outrun(ExactPurse):
        def hold(self, tier, usd, key):
            self.budget = D(0)
            return super().hold(tier, usd, key)

    tape, scaffold = InstanceLog(tmp_path), Counted()
    ladder = Cascade(TWO[:1])
    refused = context(tape, Outrun(), scaffold)
    first = solve(INSTANCE, FEATURES, policy=ladder, context=refused, run_name="r")
    assert (first.status, first.unpaid, scaffold.made) == ("budget", True, 0)
    tape.reopen()
    again = solve(
        INSTANCE, FEATURES, policy=ladder, context=context(tape, None, scaffold), run_name="r"
    )
    assert [one.attempt.id for one in again.outcomes] == ["2-local"]
    assert (again.status, scaffold.made) == ("candidate", 1)


@pytest.mark.parametrize(
    ("retry", "cap", "how"),
    [
        ("none", "3", ""),
        ("infra", "3", ""),
        ("limit", "3", "on"),
        ("all", "3", "on"),
        ("none", "3.01", "on"),
        ("infra", "3.01", "on"),
    ],
)
def test_lack_of_money_is_owed_after_a_raise_or_when_it_is_asked_for(tmp_path, retry, cap, how):
    assert unfinished.retry_mode(poor(InstanceLog(tmp_path), Plays()), retry, D(cap)) == how


@pytest.mark.parametrize(
    ("exit_", "patch", "how"),
    [("steps", "wrong", "anew"), ("time", "wrong", "anew"), ("steps", "right", ""),
     ("submitted", "wrong", "")],
)  # fmt: skip
def test_retry_limit_takes_what_ended_at_a_limit_and_was_not_accepted(tmp_path, exit_, patch, how):
    cut = context(
        InstanceLog(tmp_path), scaffold=Plays(exit=exit_), snapshot=lambda b: Patches(patch)
    )
    made = solve(INSTANCE, FEATURES, policy=Cascade(TWO), context=cut, run_name="r")
    assert unfinished.retry_mode(made, "limit", D(10)) == how
    assert unfinished.retry_mode(made, "infra", D(10)) == ""


def test_a_lesson_of_a_record_that_was_gone_on_with_is_told_once(tmp_path):
    run = RunFolder.create(tmp_path, "r", {"settings": {}}, [INSTANCE])
    tape, scaffold = InstanceLog(run.attempt_folder(INSTANCE.id)), Plays()
    run.add_record(poor(tape, scaffold))
    tape.reopen()
    run.add_record(rich(tape, scaffold))
    [told] = unfinished.records_to_learn(run)
    assert len(told.outcomes) == 2


SAMPLE = assets.assets_root() / "runs" / "sample"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    copied(SAMPLE, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def resume(run, *words):
    return main(["resume", str(run.path), *words, "--json"])


def edited(run, change):
    tree = json.loads(run.settings_file.read_text())
    change(tree["settings"])
    run.settings_file.write_text(json.dumps(tree))


def test_an_edited_budget_is_refused_and_the_way_to_raise_it_is_named(run, capsys):
    edited(run, lambda tree: tree.update(budget="500"))
    for words in ((), ("--budget", "600")):
        assert resume(run, *words) == 2
        said = capsys.readouterr().err
        assert "`swe-router resume" in said
        assert "--budget USD` raises the cap" in said


def test_a_cap_with_an_exponent_is_told_and_kept_in_dollars(run, capsys):
    assert resume(run, "--budget", "1e2") == 0
    assert f"the cap of {run.name} is $100 now, raised from $1" in capsys.readouterr().err
    assert '"budget":"100"' in run.ledger_file.read_text()


def test_a_raise_of_a_finished_run_is_kept_shown_and_replays(run, capsys):
    assert resume(run, "--budget", "7.5") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["budget"], facts["ended"]) == (7.5, "done")
    [raised] = facts["raises"]
    assert "@" in raised["by"]
    assert header_of_run(run).settings.budget == 1, "the settings are sealed"
    one = replay.replay_run(str(run.path), run.path.parent)
    assert one.exit_code == 0, one.view
    assert resume(run, "--budget", "2") == 2
    assert "would lower it" in capsys.readouterr().err


def test_a_run_that_another_process_drives_is_raised_and_left_to_its_driver(run, capsys):
    with run.lock_file.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert resume(run, "--budget", "9") == 0
    assert json.loads(capsys.readouterr().out) == {
        "run": run.name, "budget": 9.0, "driven": True,
    }  # fmt: skip
    assert log_reader.read_ledger(run.ledger_file).budget == 9


def test_a_decision_under_a_cap_that_the_run_never_had_diverges(run):
    rows = [json.loads(line) for line in run.records_file.open()]
    rows[0]["decisions"][0]["purse"]["budget"] = "4"
    run.records_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = replay.replay_run(str(run.path), run.path.parent)
    said = shown.facts[rows[0]["instance"]["id"]]["divergences"]
    assert any(line.startswith("decision 1 cap: recorded 4") for line in said)


def test_resuming_with_another_budget_names_the_command_that_adds_money(run):
    header = header_of_run(run)
    wished = header.settings.model_copy(update={"budget": D("20")})
    with pytest.raises(UsageError, match=r"budget differ.*resume .* --budget 20` raises its cap"):
        run_driver.require_same_settings(run, wished)
    assert resume(run, "--budget", "20") == 0
    run_driver.require_same_settings(run, wished)
    run_driver.require_same_settings(run, header.settings)
