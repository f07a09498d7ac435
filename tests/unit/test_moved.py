"""A run folder that is moved or made read-only in mid-run: one sentence, nothing split."""

from __future__ import annotations

import errno

import pytest

from swe_router import jsonl
from swe_router.errors import DiskFull, UsageError
from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.records import BudgetView, Completion, Message, Stop
from swe_router.records import Decided as Said
from tests.doubles import earlier_runs

ANSWER = Completion(message=Message(role="assistant", content="x"))


def writes(run):
    """Everything that an instance writes while it is worked on."""
    tape = InstanceLog(run.attempt_folder("demo__confet-7"))
    purse = BudgetView(budget=1, spent=0, reserved=0, instances_left=1, clock=0.0)
    decided = Said(decision=Stop(why="enough"), purse=purse)
    notes = VerifierStore(run.attempt_folder("demo__confet-7") / "notes.jsonl")
    return {
        "moves": lambda: tape.decided(decided, ()),
        "a paid answer": lambda: Receipts(tape, "9-local", among_steps=True).keep("r", "1", ANSWER),
        "a writer's answer": lambda: Receipts(tape, "writer.9").keep("r", "1", ANSWER),
        "notes": lambda: notes.update(a=1),
    }


@pytest.mark.parametrize("what", ["moves", "a paid answer", "a writer's answer", "notes"])
def test_what_is_written_to_a_folder_that_was_moved_is_refused_and_makes_no_other(what, tmp_path):
    path = earlier_runs.unpacked("ray", tmp_path / "runs")
    write = writes(RunFolder(path))[what]
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"was moved.*swe-router resume"):
        write()
    assert not path.exists(), "the run is in one place"


@pytest.mark.parametrize("number", sorted(jsonl.GONE))
def test_a_folder_that_may_not_be_written_to_is_one_sentence(number, tmp_path):
    found = jsonl.full_disk(OSError(number, "no"), tmp_path / "records.jsonl")
    assert isinstance(found, UsageError)
    assert "records.jsonl" in str(found)


def test_a_full_disk_is_still_a_full_disk(tmp_path):
    assert isinstance(jsonl.full_disk(OSError(errno.ENOSPC, "no"), tmp_path), DiskFull)


def test_answers_that_wait_for_nothing_are_removed_when_the_instance_is_concluded(tmp_path):
    run = RunFolder(earlier_runs.unpacked("ray", tmp_path))
    folder = run.attempt_folder("demo__confet-7")
    Receipts(InstanceLog(folder), "writer.1-local").keep("r", "1", ANSWER)
    before = sorted(p.name for p in folder.iterdir() if "answer" not in p.name)
    InstanceLog(folder).tidy()
    assert sorted(p.name for p in folder.iterdir()) == before
