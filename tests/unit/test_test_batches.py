"""Batches of tests: which fit the time, how they are run, and when a break is sure."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import Any

import pytest

from swe_router.errors import VerifierError
from swe_router.records import Instance, Result
from swe_router.verifiers.testing import (
    batches,
    before_after,
    runners,
)
from swe_router.verifiers.testing.results import TestRun
from tests.doubles.batches import batch, run

INSTANCE = Instance(id="i", repo="o/n", base_commit="c0", problem="p")


class GoSandbox:
    """A sandbox in which ``go test`` tells what ``plan`` holds for the files that it was given."""

    identity, workdir = "go", "/app"

    def __init__(self, clock, plan):
        self.clock, self.plan = clock, plan
        self.ran: list[tuple[str, float]] = []
        self.others: list[str] = []
        self.written: dict[str, bytes] = {}
        self.report: bytes | Exception = b""

    def run(self, command, *, timeout, cwd=""):
        if "go test" not in command:
            self.others.append(command)
            return Result(exit_code=0, output="python /bin/py\ngo\n")
        self.ran.append((command.split("-count=1 ")[1].split(" >")[0], timeout))
        results, seconds = self.plan(self.ran[-1][0].split())
        late = seconds > timeout
        self.clock.now += min(seconds, timeout)
        rows = [{"Action": "fail" if one == "failed" else "pass", "Package": "p", "Test": test}
                for test, one in results.items()]  # fmt: skip
        self.report = "\n".join(map(json.dumps, rows)).encode()
        return Result(exit_code=0, output="o" * 600, timed_out=late, seconds=min(seconds, timeout))

    def read(self, path, *, limit=0):
        if isinstance(self.report, Exception):
            raise self.report
        return self.report

    def write(self, path, data):
        self.written[path] = data

    def close(self): ...
    def __enter__(self):
        return self

    def __exit__(self, *_): ...


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def go(plan):
    return GoSandbox(Clock(), plan)


def test_a_run_says_how_long_it_took_and_whether_it_came_to_its_end():
    box = go(lambda names: ({"TestA": "passed", "TestB": "failed"}, 3.0))
    made = runners.run_tests(box, "go", "", ["a/x_test.go"], 10.0)
    assert made.result_by_test == {"p/TestA": "passed", "p/TestB": "failed"}
    assert (made.ended, made.timed_out, made.seconds, made.timeout_seconds) == (
        True,
        False,
        3.0,
        10.0,
    )
    assert (made.output_tail, made.tampered) == ("", "")
    assert box.others[-1].startswith("rm -rf /tmp/swe-router-")
    late = runners.run_tests(
        go(lambda names: ({"TestA": "passed"}, 30.0)), "go", "", ["a.go"], 10.0
    )
    assert (late.ended, late.timed_out, late.seconds) == (False, True, 10.0)
    silent = runners.run_tests(go(lambda names: ({}, 1.0)), "go", "", ["a.go"], 10.0)
    assert (silent.result_by_test, silent.output_tail) == ({}, "o" * 500)
    assert runners.shown_command("unittest", ["a b"]) == (
        "PYTHONHASHSEED=0 python REPORTER/recorder.py -m unittest -q 'a b'"
    )
    facts, python = runners.detect_runners(box, 5.0)
    assert (facts >= {"go"}, python) == (True, "/bin/py")


def test_a_report_that_cannot_be_read_is_none_or_too_long():
    class Fails(GoSandbox):
        error: Exception = OSError()

        def read(self, path, *, limit=0):
            raise self.error

    box = Fails(Clock(), lambda names: ({"TestA": "passed"}, 1.0))
    assert runners.run_tests(box, "go", "", ["a.go"], 10.0).result_by_test == {}
    Fails.error = ValueError()
    with pytest.raises(VerifierError, match="the test report is over 64000000 bytes"):
        runners.run_tests(box, "go", "", ["a.go"], 10.0)
    assert box.others[-1].startswith("rm -rf "), "the folder goes in any case"


def timed(box, until=1000.0, **changes):
    context: Any = SimpleNamespace(
        clock=box.clock, open_sandbox=lambda of: box, cache={},
        apply=lambda sandbox, patch: Result(exit_code=int(patch == "bad"), output=""),
    )  # fmt: skip
    return before_after.BeforeAfterRunner(context, INSTANCE, "go", "", until, **changes)


FILES = [f"d{n}/x_test.go" for n in range(12)]


def each(seconds, **results):
    """Each folder has one test of its name, which takes so long."""

    def plan(names):
        tests = {one.removeprefix("./"): "passed" for one in names}
        tests |= {name: results[name] for name in tests if name in results}
        return {name: one for name, one in tests.items() if one != "gone"}, seconds * len(names)

    return plan


def in_turn(*plans):
    turns = itertools.cycle(plans)

    def plan(names):
        return next(turns)(names)

    return plan


def test_batches_of_quick_files_grow_and_are_shared_by_the_next_candidate():
    box = go(each(0.5))
    runner = timed(box)
    made = runner.run_at_base(FILES, 0.5, lambda: box)
    assert [len(one.files) for one in made] == [1, 4, 7]
    assert [one.files[0] for one in made] == [FILES[0], FILES[1], FILES[5]]
    count = len(box.ran)
    assert runner.run_at_base(FILES, 0.5, lambda: box) == made
    assert len(box.ran) == count, "nothing is run again"
    more = runner.run_at_base([*FILES, "zz/x_test.go"], 0.5, lambda: box)
    assert [one.files for one in more][:3] == [one.files for one in made]
    assert more[-1].files == ("zz/x_test.go",)
    assert [one.files for one in runner.run_at_base(FILES[:1], 0.5, lambda: box)] == [(FILES[0],)]


def test_batches_stop_where_the_time_or_the_evidence_is_enough():
    box = go(each(20.0))
    made = timed(box).run_at_base(FILES, 1.0, lambda: box)
    assert [len(one.files) for one in made] == [1, 2, 1, 1, 1], "sixty seconds of evidence"
    limits = [limit for _, limit in box.ran]
    assert limits == pytest.approx([600.0, 24.0, 9.6, 3.84, 2.0]), "one slow file has not all"
    box = go(each(1.0))
    assert timed(box, until=1.0).run_at_base(FILES, 1.0, lambda: box) == []
    box = go(each(100.0))
    timed(box, until=100.0).run_at_base(FILES, 0.5, lambda: box)
    assert box.ran[0][1] == 30.0


def trial(box, made, patch="good", until=1000.0, **changes):
    runner = timed(box, until, **changes)
    return runner, runner.run_with_patch(made, patch)


def test_all_batches_run_in_one_process_where_that_is_conclusive():
    box = go(each(0.5))
    made = timed(box).run_at_base(FILES[:5], 0.5, lambda: box)
    box.plan = each(0.5, d3="failed")
    before = len(box.ran)
    _, found = trial(box, made)
    assert len(box.ran) == before + 1
    assert box.ran[-1][1] == 60.0
    assert found.broken_tests == ["p/d3"]
    assert (found.batches_run, found.seconds, found.applied) == (made, 2.5, True)
    box.plan = each(0.5, d3="gone")
    _, found = trial(box, made)
    assert len(box.ran) == before + 1 + 1 + 2, "then one by one"
    assert found.results_after["p/d3"] == "gone"
    box.plan = each(0.5)
    trial(box, made, until=box.clock.now + 50)
    assert box.ran[-1][1] == pytest.approx(20.0), "0.4 of what is left"
    trial(box, made[:1], until=box.clock.now + 20)
    assert box.ran[-1][1] == pytest.approx(12.0), "0.6 of it, the rest is for pairs"
    assert trial(box, made, "bad")[1].applied is False
    assert trial(box, made[:1], "bad")[1].applied is False
    only = [batch("x", results={"t": "failed"})]
    assert trial(box, only)[1].results_after == {}, "nothing passed before"


def test_batches_for_which_there_is_no_time_are_left_out():
    box = go(each(1.0))
    made = timed(box).run_at_base(FILES[:9], 0.5, lambda: box)
    assert [len(one.files) for one in made] == [1, 4, 4]
    box.clock.now = 0.0
    _, found = trial(box, made, until=6.5)
    assert [len(one.files) for one in found.batches_run] == [1]
    assert found.batches_left_out == [*FILES[1:9]]
    box.clock.now = 0.0
    _, found = trial(box, made, until=1.9)
    assert (found.batches_run, found.batches_left_out) == ([], FILES[:9])


def test_what_broke_must_break_again_in_two_pairs():
    box = go(each(0.5))
    made = timed(box).run_at_base(FILES[:2], 0.5, lambda: box)
    box.plan = each(0.5, d0="failed")
    runner, found = trial(box, made)
    assert found.broken_tests == ["p/d0"]
    box.plan = in_turn(each(0.5), each(0.5, d0="failed"))
    runner.confirm_broken(found, "good")
    assert (found.confirming_pairs, found.confirmed, found.broken_tests) == (2, True, ["p/d0"])
    assert [name for name, _ in box.ran[-4:]] == ["./d0"] * 4
    again = before_after.BeforeAfterResult(results_after={"p/d0": "failed"}, batches_run=list(made))
    box.plan = each(0.5)
    runner.confirm_broken(again, "good")
    assert (again.broken_tests, again.results_after["p/d0"], again.confirmed) == (
        [],
        "flaky",
        False,
    )
    assert again.confirming_pairs == 1, "the base's half is shared"
    once = before_after.BeforeAfterResult(
        results_after={"p/d0": "failed"}, batches_run=list(made), confirming_pairs=1, confirmed=True
    )
    runner.confirm_broken(once, "good")
    assert (once.broken_tests, once.confirmed) == ([], True), "it was confirmed before"
    bad = before_after.BeforeAfterResult(results_after={"p/d0": "failed"}, batches_run=list(made))
    runner.confirm_broken(bad, "bad")
    assert (bad.confirming_pairs, bad.broken_tests) == (0, ["p/d0"])


def test_three_breaks_that_come_again_need_no_third_run():
    box = go(each(0.5))
    made = timed(box).run_at_base(FILES[:5], 0.5, lambda: box)
    broke = {"d1": "failed", "d2": "failed", "d3": "failed"}
    box.plan = each(0.5, **broke)
    runner, found = trial(box, made)
    box.plan = in_turn(each(0.5), each(0.5, **broke))
    runner.confirm_broken(found, "good")
    assert (found.confirming_pairs, found.confirmed) == (1, True)


def test_pairs_need_two_and_a_half_times_their_base_and_a_little():
    box = go(each(4.0))
    made = timed(box).run_at_base(FILES[:1], 0.5, lambda: box)
    box.clock.now = 0.0
    for until, pairs in ((11.9, 0), (12.0, 1)):
        box.plan = each(4.0, d0="failed")
        found = before_after.BeforeAfterResult(
            results_after={"p/d0": "failed"}, batches_run=list(made)
        )
        box.clock.now = 0.0
        box.plan = in_turn(each(4.0), each(4.0, d0="failed"))
        timed(box, until).confirm_broken(found, "good")
        assert found.confirming_pairs == pairs


def test_files_of_the_patch_are_put_back_and_taken_out_for_a_run():
    box = go(each(0.5))
    made = timed(box).run_at_base(FILES[:1], 0.5, lambda: box)
    trial(box, made, paths_to_restore=["a b.py"], paths_to_remove=["new.py"])
    assert [one for one in box.others if not one.startswith("rm -rf /tmp")] == [
        "git checkout -q HEAD -- 'a b.py'", "rm -rf -- new.py"
    ]  # fmt: skip


def test_the_batch_after_shared_ones_grows_from_the_last_of_them():
    box = go(each(0.1))
    runner = timed(box)
    assert [len(one.files) for one in runner.run_at_base(FILES[:5], 0.5, lambda: box)] == [1, 4]
    more = [f"e{n:02}/x_test.go" for n in range(30)]
    made = runner.run_at_base([*FILES[:5], *more], 0.5, lambda: box)
    assert [len(one.files) for one in made] == [1, 4, 16, 14]
    alone = timed(go(each(0.1))).run_at_base(FILES[:1], 0.5, lambda: go(each(0.1)))
    assert [len(one.files) for one in alone] == [1]


def test_the_base_of_a_pair_has_half_of_what_is_left():
    box = go(each(1.0))
    made = timed(box).run_at_base(FILES[:1], 0.5, lambda: box)
    box.clock.now = 0.0
    found = before_after.BeforeAfterResult(results_after={"p/d0": "failed"}, batches_run=list(made))
    count = len(box.ran)
    timed(box, 20.0).confirm_broken(found, "good")
    assert [limit for _, limit in box.ran[count:][:2]] == [10.0, 19.0]
    box.clock.now = 0.0
    late = timed(box, 20.0)
    late.context.cache.clear()
    box.plan = each(30.0)
    found = before_after.BeforeAfterResult(results_after={"p/d0": "failed"}, batches_run=list(made))
    late.confirm_broken(found, "good")
    assert (found.confirming_pairs, found.broken_tests) == (0, ["p/d0"]), (
        "a base that was cut is no base"
    )


def one_by_one(made, **changes):
    """Whether the batches are tried in one process first."""
    box = go(each(0.5))
    runner = timed(box, **changes)
    return runner._all_at_once(made, batches.merged_run(made))


def test_batches_run_in_one_process_only_where_that_leaves_time_and_trust():
    two = [batch("a"), batch("b")]
    assert one_by_one(two)
    assert not one_by_one(two[:1])
    assert not one_by_one([two[0], batch("b", tampered="x")])
    assert not one_by_one([two[0], batch("b", ended=False)])
    assert not one_by_one([two[0], batch("b", timed_out=True)])
    assert one_by_one(two, until=10.0), "0.4 of it is twice the base"
    assert not one_by_one(two, until=9.9)
    assert not one_by_one([batch("a", seconds=0.1), batch("b", seconds=0.1)], until=4.9)
    assert one_by_one([batch("a", seconds=0.1), batch("b", seconds=0.1)], until=5.0)


class Tampers(before_after.BeforeAfterRunner):
    """Reports what stands in ``paths_to_restore`` as tampering."""

    def _run_files(self, sandbox, files, timeout_seconds):
        return run({"x": "passed"}, tampered=self.paths_to_restore[0], seconds=1.0)


def test_a_report_that_was_tampered_with_once_stays_so():
    runner = timed(go(each(0.5)))
    found = before_after.BeforeAfterResult()
    for said in ("", "forged", ""):
        tampering = Tampers(runner.context, INSTANCE, "go", "", 1000.0, paths_to_restore=(said,))
        tampering._run_next_batch(found, go(each(0.5)), batch("a"))
    assert (found.tampered, found.seconds, len(found.batches_run)) == ("forged", 3.0, 3)
    slow, short = batch("a", seconds=4.0), before_after.BeforeAfterResult(batches_run=[batch("b")])
    for until, ran in ((5.9, 1), (6.0, 2)):
        Tampers(runner.context, INSTANCE, "go", "", until, paths_to_restore=("",))._run_next_batch(
            short, go(None), slow
        )
        assert len(short.batches_run) == ran, "half as much again as its base"


def test_a_run_of_which_nothing_is_known_did_not_end():
    nothing = TestRun()
    assert (nothing.ended, nothing.timed_out, nothing.seconds, nothing.timeout_seconds) == (
        False, False, 0.0, 0.0
    )  # fmt: skip
    assert TestRun.__test__ is False, "a name that pytest would collect"
    fresh = before_after.BeforeAfterResult()
    assert (fresh.applied, fresh.confirmed, fresh.confirming_pairs, fresh.seconds) == (
        True,
        False,
        0,
        0.0,
    )
