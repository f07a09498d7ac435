"""Batches of tests: how many files, how long, and what they come to together."""

from __future__ import annotations

from swe_router.verifiers.testing import (
    batches,
)
from tests.doubles.batches import batch


def test_a_batch_grows_by_four_when_it_was_quick_and_by_two_otherwise():
    assert batches.next_batch_size(batch("a", seconds=2.9)) == 4
    assert batches.next_batch_size(batch("a", "b", seconds=3.0)) == 4
    assert batches.next_batch_size(batch("a", seconds=0.1, ended=False)) == 2


def test_a_batch_may_take_as_long_as_a_hang_shows_and_a_little_more():
    assert batches.timeout_seconds(batch("a", seconds=1.0)) == 60.0
    assert batches.timeout_seconds(batch("a", seconds=100.0)) == 600.0
    assert batches.timeout_seconds(batch("a", seconds=1.0, ended=False)) == 4.0
    assert batches.timeout_seconds(batch("a", seconds=10.0, ended=False)) == 15.0


def test_a_batch_is_cut_to_the_files_of_the_tests_that_broke():
    whole = batch("a", "b", "c")
    assert batches.batch_with_tests(whole, ["b::t"]).files == ("b",)
    assert batches.batch_with_tests(whole, ["c::t", "a::t", "z::t"]).files == ("a", "c")
    assert batches.batch_with_tests(whole, ["z::t"]).files == ()
    unknown = batch("a", "b", results={"x": "passed"}, owners={"y": "a"})
    assert batches.batch_with_tests(unknown, ["x"]).files == ("a", "b")


def test_first_batches_are_three_files_with_their_own_tests():
    chosen = batches.first_batches([batch("a", "b"), batch("c", "d"), batch("e")])
    assert [one.files for one in chosen] == [("a", "b"), ("c",)]
    assert list(chosen[1].base_run.result_by_test) == ["c::t"]
    odd = batch("a", "b", "c", "d", results={"x": "passed"}, owners={"x": "elsewhere"})
    chosen = batches.first_batches([odd, batch("e")])
    assert [one.files for one in chosen] == [("a", "b", "c", "d")]
    assert list(chosen[0].base_run.result_by_test) == ["x"]
    assert batches.first_batches([batch(), batch("a")])[0].files == ("a",)


def test_batches_add_up_to_one_run():
    one = batch("a", seconds=1.5, failure_messages={"a::t": "x"})
    two = batch("b", seconds=2.0, ended=False, timed_out=True, output_tail="end")
    whole = batches.merged_run([one, two])
    assert (whole.ended, whole.timed_out, whole.seconds, whole.output_tail) == (
        False,
        True,
        3.5,
        "end",
    )
    assert whole.result_by_test == {"a::t": "passed", "b::t": "passed"}
    assert (whole.file_by_test, whole.failure_messages) == (
        {"a::t": "a", "b::t": "b"},
        {"a::t": "x"},
    )
    assert batches.merged_run([one, batch("c")]).ended
    assert not batches.merged_run([one]).timed_out
