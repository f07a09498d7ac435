"""What verifiers pay for stands on their verdicts, whatever ends them and whoever dies."""

from __future__ import annotations

import json
from contextlib import contextmanager
from decimal import Decimal

import pytest

from swe_router import assets
from swe_router.commands import replay
from swe_router.errors import DiskFull, Lost, WouldNotStart
from swe_router.integrity.unexplained_spend import unexplained_calls
from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.ledger import Ledger
from swe_router.ledger.log_reader import read_ledger
from swe_router.models.metered import MeteredModel
from swe_router.records import CallLimits, Completion, Message, Result, Usage, Verdict
from swe_router.records.requests import request_digest
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.solve.engine import solve
from swe_router.solve.verification import VerificationSetup, verdicts_on
from swe_router.verifiers.judge import JudgeVerifier
from swe_router.verifiers.reproduction import test_writer
from swe_router.verifiers.reproduction.repository_context import RepositoryContext
from tests.doubles.agent import PlayedModel
from tests.doubles.copies import copied
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    FakeSandbox,
    Ladder,
    ListMemory,
    Plays,
    context,
    plan,
    step_of,
)
from tests.doubles.project import outcome
from tests.unit.test_metered import RATE, Answers

D = Decimal
DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
AROUND = RepositoryContext(
    runner="pytest", python="python", base_files=("x.py",), example_path="", excerpt=""
)
GOOD = {
    **dict.fromkeys(("cause", "complete", "focused", "general", "consistent"), 3),
    "probability": 0.7,
    "why": "ok",
}


def says(text):
    usage = Usage(input_tokens=100, output_tokens=50)
    return Completion(message=Message(role="assistant", content=text), model="m", usage=usage)


def test_what_the_clock_says_is_no_part_of_a_requests_identity():
    ask = (Message(role="user", content="fix it"),)
    limits = [CallLimits(max_output_tokens=9, timeout=60, within=left) for left in (None, 5, 90)]
    assert len({request_digest(ask, (), one) for one in limits}) == 1
    assert [one.seconds for one in limits] == [60, 5, 60]
    other = CallLimits(max_output_tokens=9, timeout=61)
    assert request_digest(ask, (), other) != request_digest(ask, (), limits[0])


class FullDisk(dict):
    """Notes that cannot be written: the process ends between the settlement and its line."""

    def __setitem__(self, key, value):
        raise DiskFull("no space left")


def kit_of(role, answers, ledger, tape, clock, notes):
    book = ledger.overhead("demo__x-1/verify:1-weak", D("0.5"))
    model = MeteredModel(answers, book, RATE, receipts=Receipts(tape, f"{role}.1-weak"))
    return VerificationContext(
        open_sandbox=None, apply=None, deadline=600.0, clock=lambda: clock, notes=notes,
        **{role: model},
    )  # fmt: skip


@pytest.mark.parametrize("role", ["writer", "judge"])
def test_an_answer_paid_before_a_death_is_had_again_at_another_time(tmp_path, role):
    def asked(context):
        if role == "writer":
            return test_writer.written_tests(1, INSTANCE, AROUND, context, "1-weak")[0]
        return JudgeVerifier(VerifySettings()).verify(outcome(DIFF), (), INSTANCE, context)

    answers = Answers(says("```\nassert 1\n```" if role == "writer" else json.dumps(GOOD)))
    ledger, tape = Ledger(tmp_path / "ledger.jsonl", D("1")), InstanceLog(tmp_path)
    with pytest.raises(DiskFull):
        asked(kit_of(role, answers, ledger, tape, 1.0, FullDisk()))
    spent = ledger.view().spent
    again = asked(
        kit_of(role, answers, ledger, tape, 77.0, VerifierStore(tmp_path / "notes.jsonl"))
    )
    assert again
    assert (answers.calls, ledger.view().spent) == (1, spent)


class Pays:
    """A verifier that asks its model and then loses its sandbox."""

    def __init__(self, role="writer", note=True, breaks=True):
        self.role, self.note, self.breaks = role, note, breaks

    def verify(self, outcome, peers, instance, context):
        model = getattr(context, self.role)
        if model is not None and "reproduction:1" not in context.notes:
            limits = CallLimits(max_output_tokens=9, seed=1)
            answer = model.complete((Message(role="user", content="?"),), (), limits=limits)
            call = {"sample": 1, "usd": str(answer.usd), "usage": answer.usage.model_dump()}
            if self.note:
                context.notes["reproduction:1"] = {"charged_to": outcome.attempt.id, "call": call}
        if self.breaks:
            raise Lost("container killed")
        return Verdict(candidate=outcome.candidate.digest, verifier="reproduction",
                       outcome="unknown")  # fmt: skip

    def check(self, verdict):
        return verdict.outcome


def checks(verifier, notes, name="reproduction", **roles):
    @contextmanager
    def open_sandbox(instance):
        yield FakeSandbox()

    shared = VerificationContext(
        open_sandbox=open_sandbox, apply=lambda sandbox, text: Result(exit_code=0, output=""),
        notes=notes,
    )  # fmt: skip
    return VerificationSetup(context=shared, verifiers=[(name, verifier)], **roles)


@pytest.mark.parametrize("note", [True, False])
@pytest.mark.parametrize("role", ["writer", "judge"])
@pytest.mark.parametrize("breaks", [True, False])
def test_a_verdict_has_its_price_however_it_ends(note, role, breaks):
    model = PlayedModel(says("a test"))
    [made] = verdicts_on(
        checks(Pays(role, note, breaks), {}, **{f"{role}_for": lambda attempt_id: model}),
        INSTANCE, outcome(DIFF), (),
    )  # fmt: skip
    assert ("broke" in made.evidence, made.usd) == (breaks, D("0.01"))
    assert [call["usd"] for call in made.evidence["calls"]] == ["0.01"]


def test_what_an_earlier_process_paid_for_this_attempt_is_on_the_verdict_and_for_another_is_not():
    call = {"sample": 1, "usd": "0.03", "usage": {}}
    for attempt_id, usd in (("1-weak", "0.03"), ("2-strong", "0")):
        notes = {"reproduction:1": {"charged_to": attempt_id, "call": call}}
        [made] = verdicts_on(checks(Pays(), notes), INSTANCE, outcome(DIFF), ())
        assert made.usd == D(usd)


def test_a_judge_whose_process_died_before_its_verdict_was_told_has_its_price_in_the_next():
    notes, model = {}, PlayedModel(says(json.dumps(GOOD)))
    told = [
        verdicts_on(
            checks(JudgeVerifier(VerifySettings()), notes, "judge", judge_for=lambda _: model),
            INSTANCE, one, (),
        )[0]
        for one in (outcome(DIFF), outcome(DIFF), outcome(DIFF, number=2))
    ]  # fmt: skip
    assert [verdict.usd for verdict in told] == [D("0.01"), D("0.01"), D("0")]
    assert told[2].evidence["paid_before"] == "0.01"


class Killed(BaseException):
    """The driver is gone."""


def test_the_repeat_of_an_attempt_whose_sandbox_broke_is_gone_on_with_after_a_kill():
    sandboxes = iter([Lost("sandbox killed")])

    @contextmanager
    def open_sandbox(instance):
        for error in sandboxes:
            raise error
        yield FakeSandbox()

    def kill():
        raise Killed

    memory = ListMemory()
    ladder = Ladder([plan("local")])
    dies = context(memory, scaffold=Plays(before_end=kill), open_sandbox=open_sandbox)
    with pytest.raises(Killed):
        solve(INSTANCE, FEATURES, policy=ladder, context=dies, run_name="r")
    assert set(memory.told) == {"1-local.2"}, "the repeat was paid for"
    record = solve(INSTANCE, FEATURES, policy=ladder, context=context(memory), run_name="r")
    assert [one.attempt.id for one in record.outcomes] == ["1-local", "1-local.2"]
    assert record.outcomes[0].attempt.failure.kind == "Lost"
    assert record.usd == sum(step.completion.usd for step in memory.told["1-local.2"])


@pytest.mark.parametrize("ends", ["sandbox", "limit"])
def test_an_answer_paid_before_a_crash_is_a_step_though_the_resume_ended_before_it(ends):
    def open_sandbox(instance):
        raise WouldNotStart("killed by signal 9")

    memory, answer = ListMemory(), step_of(1).completion
    memory.record_step("1-local", step_of(0).sealed(""))
    memory.unused["1-local"] = ("digest", answer)
    parts = {"open_sandbox": open_sandbox} if ends == "sandbox" else {}
    tools = context(memory, scaffold=Plays(steps=1, exit="time"), **parts)
    record = solve(INSTANCE, FEATURES, policy=Ladder([plan("local")]), context=tools, run_name="r")
    first, last = record.outcomes[0].attempt, memory.steps("1-local")[-1]
    assert (last.request, last.completion, last.actions) == ("digest", answer, ())
    assert first.trajectory.steps == 2
    assert first.trajectory.usd == sum(s.completion.usd for s in memory.steps("1-local"))
    assert first.trajectory.seal == last.seal == last.sealed(step_of(0).sealed("").seal).seal


def test_the_answer_of_a_step_on_file_is_not_unused(tmp_path):
    log, answer = InstanceLog(tmp_path), step_of(0).completion
    Receipts(log, "1-local", among_steps=True).keep("r", "r1", answer)
    assert log.unused_answer("1-local") == ("r", answer)
    log.record_step("1-local", step_of(0))
    assert log.unused_answer("1-local") is None


def test_the_tape_remembers_a_broken_attempt_under_any_tiers_name(tmp_path):
    tape = InstanceLog(tmp_path)
    made = solve(
        INSTANCE, FEATURES, policy=Ladder([plan("gpt-4.1")]), context=context(tape), run_name="r"
    )
    tape.record_broken(made.outcomes[0])
    assert [one.attempt.id for one in InstanceLog(tmp_path).broken_outcomes("1-gpt-4.1")] == [
        "1-gpt-4.1"
    ]
    assert InstanceLog(tmp_path).broken_outcomes("2-gpt-4.1") == ()
    assert len(tape.moves()) == 2


SAMPLE = assets.assets_root() / "runs" / "sample"
CALL = {"at": 1.0, "tier": "local", "usd": "0.02", "hold": "", "party": "h|b|1|1|1"}


@pytest.mark.parametrize(
    ("last", "fate"),
    [
        ({"op": "settle", "usd": "0.01", "usage": {}, "note": ""}, "$0.01 settled"),
        ({"op": "lose", "why": "gone"}, "$0.02 lost"),
        (None, "$0.02 still reserved"),
    ],
)
@pytest.mark.parametrize("attempt", ["1-local.2", "verify:9-cloud"])
def test_money_that_no_record_explains_is_named_by_replay(tmp_path, last, fate, attempt):
    run = copied(SAMPLE, tmp_path / "run")
    key = f"demo__confet-3/{attempt}"
    rows = [{"op": "reserve", "id": "r9999", "key": key, **CALL}]
    rows += [{"at": 2.0, "id": "r9999", **last}] if last else []
    with (run / "ledger.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    shown = replay.replay_run(str(run), tmp_path)
    line = f"ledger: {fate} for {key}, which no record explains"
    assert shown.exit_code == 1
    assert line in shown.facts["demo__confet-3"]["divergences"]


@pytest.mark.parametrize(("noted", "explained"), [("0.02", True), ("0.01", False), (None, False)])
def test_a_verifiers_call_for_an_attempt_that_broke_after_it_is_explained_by_its_answer(
    tmp_path, noted, explained
):
    run = copied(SAMPLE, tmp_path / "run")
    record = next(iter(RunFolder(run).records().values()))
    name = record.instance.id
    broken = record.outcomes[0].model_copy(
        update={
            "attempt": record.outcomes[0].attempt.model_copy(update={"id": "9-cloud"}),
            "candidate": None,
            "verdicts": (),
        }
    )
    record = record.model_copy(update={"outcomes": (*record.outcomes, broken)})
    with (run / "records.jsonl").open("a") as file:
        file.write(record.model_dump_json() + "\n")
    key = f"{name}/verify:9-cloud"
    with (run / "ledger.jsonl").open("a") as file:
        for row in (
            {"op": "reserve", "id": "r9999", "key": key, **CALL},
            {"op": "settle", "at": 2.0, "id": "r9999", "usd": "0.02", "usage": {}, "note": ""},
        ):
            file.write(json.dumps(row) + "\n")
    if noted:
        note = {"charged_to": "9-cloud", "call": {"sample": 1, "usd": noted, "usage": {}}}
        VerifierStore(RunFolder(run).attempt_folder(name) / "notes.jsonl")["reproduction:9"] = note
    lines = unexplained_calls(RunFolder(run), read_ledger(run / "ledger.jsonl")).get(name, [])
    assert any(key in line for line in lines) != explained
