"""What a resume owes, by the state of each instance and by --retry."""

from __future__ import annotations

import pytest

from swe_router.errors import UsageError
from swe_router.integrity.unfinished import pending_instances
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.solve.engine import solve
from tests.doubles.engine import FEATURES, INSTANCE, Ladder, context, plan

STATES = ("candidate", "empty", "budget", "infra")


@pytest.fixture
def run(tmp_path):
    names = (*STATES, "unfinished")
    made = [INSTANCE.model_copy(update={"id": f"demo__x-{name}"}) for name in names]
    return RunFolder.create(tmp_path, "r", {"settings": {}}, made)


def conclude(run, name):
    """A record of that status, made as the engine makes it, on its own tape."""
    [instance] = [one for one in run.instances() if one.id.endswith(name)]
    tape = InstanceLog(run.attempt_folder(instance.id))
    policy = Ladder([plan("local")])
    record = solve(instance, FEATURES, policy=policy, context=context(tape), run_name=run.name)
    run.add_record(record.model_copy(update={"status": name}))
    return tape


@pytest.mark.parametrize(
    ("retry", "again"),
    [
        ("none", set()),
        ("infra", {"infra"}),
        ("limit", {"infra", "budget"}),
        ("all", {"infra", "budget", "empty"}),
    ],
)
def test_retry_takes_what_it_says_and_never_a_candidate(run, retry, again):
    for name in STATES:
        conclude(run, name)
    assert {one.id.partition("-")[2] for one in pending_instances(run, retry)} == {
        *again,
        "unfinished",
    }


def test_an_instance_begun_anew_is_owed_though_it_has_a_record(run):
    tape = conclude(run, "budget")
    tape.restart()
    assert "demo__x-budget" in {one.id for one in pending_instances(run, "none")}, (
        "its new moves would be lost"
    )


def test_a_torn_record_is_owed_and_the_next_one_stands_whole(run):
    conclude(run, "empty")
    with run.records_file.open("ab") as file:
        file.write(b'{"run": "r", "instance": {"id": "demo__x-cand')
    assert "demo__x-candidate" in {one.id for one in pending_instances(run, "none")}
    conclude(run, "candidate")
    assert set(run.records()) == {"demo__x-empty", "demo__x-candidate"}


def test_a_second_driver_is_refused_until_the_first_ends(run):
    again = RunFolder(run.path)
    with run.locked(), pytest.raises(UsageError, match="driven by another process"), again.locked():
        raise AssertionError("two drivers")
    with again.locked():
        assert not again.stopping()


def test_a_new_driver_waits_for_the_workers_of_a_killed_one(run):
    with (
        run.working(),
        pytest.raises(UsageError, match="still at work"),
        RunFolder(run.path, max_orphan_wait_seconds=0.05).locked(),
    ):
        raise AssertionError("it did not wait")
    with RunFolder(run.path, max_orphan_wait_seconds=0.05).locked():
        pass
