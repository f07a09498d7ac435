"""In which order verifiers are asked, how often, and the matrix that their tests fill."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from swe_router.errors import EngineGone, Lost
from swe_router.records import (
    CrossRun,
    Verdict,
)
from swe_router.solve import cross_evaluation, moves, verification
from tests.doubles.engine import (
    INSTANCE,
    context,
)
from tests.doubles.project import outcome, verdict

# In which order verifiers are asked.


@dataclass
class Stage:
    name: str
    stage: str = "candidate"
    runs_tests: bool = False
    combines: bool = False
    decisive: bool = False
    reuse: str = "never"
    asked: list[str] = field(default_factory=list)
    says: Any = "pass"

    def verify(self, made, peers, instance, its):
        self.asked.append(made.attempt.id)
        says = self.says.pop(0) if isinstance(self.says, list) else self.says
        if isinstance(says, Exception):
            raise says
        return Verdict(candidate=made.candidate.digest, verifier="other", outcome=says)

    def check(self, shown):
        return shown.outcome


def named(*stages):
    return [(one.name, one) for one in stages]


def test_verifiers_are_cut_before_the_first_that_needs_peers_and_before_each_combination():
    plain = [Stage("a"), Stage("b")]
    peers, later = Stage("p", "peers"), Stage("q", "peers")
    combined, again = Stage("c", "combination"), Stage("d", "combination")

    def cut(*stages):
        return [
            [name for name, _ in part] for part in verification._split_at_stages(named(*stages))
        ]

    assert cut(*plain) == [["a", "b"]]
    assert cut(*plain, peers, later) == [["a", "b"], ["p", "q"]]
    assert cut(*plain, peers, combined) == [["a", "b"], ["p"], ["c"]]
    assert cut(*plain, combined) == [["a", "b"], ["c"]]
    assert cut(peers, plain[0], combined, again) == [["p", "a"], ["c"], ["d"]]
    assert cut() == []


def test_neighbours_that_run_tests_work_side_by_side_where_there_are_cores():
    tests = [Stage("a", runs_tests=True), Stage("b", runs_tests=True), Stage("c"),
             Stage("d", runs_tests=True)]  # fmt: skip

    def grouped(cores):
        setup: Any = SimpleNamespace(max_sandboxes=cores, verifiers=named(*tests))
        return [[name for name, _ in part] for part in verification._parallel_groups(setup)]

    assert grouped(2) == [["a", "b"], ["c"], ["d"]]
    assert grouped(1) == [["a"], ["b"], ["c"], ["d"]]


def asked(*stages, patch="right", known=(), **changes):
    made = context(verifiers=named(*stages), **changes)
    case = outcome(patch, *known)
    found = verification.verdicts_on(made.verification, INSTANCE, case, ())
    return [(one.verifier, one.outcome) for one in found], found


def test_after_a_fact_that_refuses_only_combinations_are_asked():
    facts = Stage("facts", decisive=True, says="fail")
    opinion, combined = Stage("opinion"), Stage("all", "combination", combines=True)
    shown, found = asked(facts, opinion, combined)
    assert shown == [("facts", "fail"), ("all", "pass")], "by the name that the run knows it by"
    assert opinion.asked == []
    assert [one.combines for one in found] == [None, True]
    shown, _ = asked(Stage("facts", says="fail"), opinion)
    assert shown == [("facts", "fail"), ("opinion", "pass")]
    shown, _ = asked(Stage("later"), known=(verdict("fail", "applies"),))
    assert shown == [("applies", "fail")], "a recorded fact refuses too"
    assert verification.verdicts_on(
        context().verification, INSTANCE, outcome("x").model_copy(update={"candidate": None}), ()
    ) == ()  # fmt: skip


def test_a_verifier_whose_engine_went_away_is_asked_three_times_and_then_says_unknown():
    gone = EngineGone("no engine")
    shaky = Stage("shaky", says=[gone, gone, "pass"])
    assert asked(shaky)[0] == [("shaky", "pass")]
    assert len(shaky.asked) == 3
    broken = Stage("broken", says=[gone, gone, gone, "pass"])
    shown, found = asked(broken)
    assert shown == [("broken", "unknown")]
    assert found[0].evidence["broke"] == "EngineGone: no engine"
    lost = Stage("lost", says=[Lost("killed"), Lost("killed"), "pass"])
    assert asked(lost)[0] == [("lost", "unknown")], "a sandbox broke twice"
    stopped = Stage("stopped", says=[gone, "pass"])
    assert asked(stopped, stopping=lambda: True)[0] == [("stopped", "unknown")]


def test_a_verdict_takes_the_seconds_of_its_clock_and_says_what_it_cost():
    times = iter([0.0, 2.0, 5.5, 9.0, 8.0])
    _, found = asked(Stage("a"), Stage("b"), clock=lambda: next(times))
    assert [one.seconds for one in found] == [3.5, 0.0], "a clock that goes back takes no time"


def test_a_verdict_on_text_is_known_for_the_next_attempt_with_the_same_patch():
    reader = Stage("reader", reuse="text")
    made = context(verifiers=named(reader))
    first, second = outcome("right", number=1), outcome("right", number=2)
    one = verification.verdicts_on(made.verification, INSTANCE, first, ())
    two = verification.verdicts_on(made.verification, INSTANCE, second, ())
    assert reader.asked == ["1-weak"]
    assert "same_as" not in one[0].evidence
    assert two[0].evidence["same_as"] == "1-weak"
    assert two[0].seconds == 0.0


def test_one_candidate_goes_ahead_alone_and_the_others_share_the_cores():
    cores = []

    def look(one, share):
        cores.append((one.attempt.id, share))
        return one

    made = [outcome(patch, number=n) for n, patch in enumerate("abcaa", 1)]
    own = {one.candidate.digest: one.candidate for one in reversed(made)}
    found = verification._verify_leading_first(look, made, own, 4)
    assert found == tuple(made)
    by_id = dict(cores)
    assert cores[0] == ("1-weak", 4)
    assert [by_id[f"{n}-weak"] for n in (2, 3)] == [2, 2]
    assert [name for name, _ in cores[-2:]] == ["4-weak", "5-weak"]
    assert [share for _, share in cores[-2:]] == [4, 4]
    cores.clear()
    verification._verify_leading_first(look, made[:3], own, 1)
    assert [share for _, share in cores] == [1, 1, 1]


def test_work_side_by_side_keeps_its_order_and_one_item_needs_no_thread():
    here = threading.current_thread()
    assert cross_evaluation.map_in_parallel([1], lambda n: threading.current_thread() is here) == [
        True
    ]
    assert cross_evaluation.map_in_parallel([], str, 3) == []
    assert cross_evaluation.map_in_parallel(
        [1, 2], lambda n: threading.current_thread() is here, 1
    ) == [True, True]  # fmt: skip
    meeting = threading.Barrier(2, timeout=20)
    assert cross_evaluation.map_in_parallel([1, 2], lambda n: meeting.wait() >= 0, 2) == [
        True,
        True,
    ]


# The matrix of candidates and tests.


def repo(**tests):
    return verdict("unknown", "repo-tests", tests=tests)


def test_results_of_a_pair_that_contradict_each_other_are_unknown():
    agreed = cross_evaluation._agreed_result
    assert agreed({"passed", "unknown"}) == "passed"
    assert agreed({"passed", "failed"}) == "unknown"
    assert agreed({"unknown"}) == "unknown"
    assert cross_evaluation._joined_makers("a, b", "b, c") == "a, b, c"


def test_a_matrix_needs_two_patches():
    one, two = outcome("a", number=1), outcome("b", number=2)
    assert cross_evaluation.matrix_of((one,)) is None
    assert cross_evaluation.matrix_of((one, outcome(" \n", number=2))) is None
    run = CrossRun(patch="unknown", test="t", after="passed", said="")
    matrix = cross_evaluation.matrix_of((one, two), (run,))
    assert matrix is not None
    assert matrix.runs == (run,)
    assert set(matrix.same.values()) == {one.candidate.digest, two.candidate.digest}
    assert all(not row for row in matrix.results.values()), "a run on no row counts for none"


@dataclass
class Shares(Stage):
    """A verifier that runs tests of others, and finds a new cell at each candidate."""

    shares_tests: bool = True

    def cells(self, shown):
        return ()


def test_nothing_is_compared_without_candidates_or_a_verifier_that_shares_tests():
    told: list[str] = []

    def compared(history, *stages, **changes):
        told.clear()
        made = context(verifiers=named(*stages), progress=lambda *words: told.append(words[3]),
                       **changes)  # fmt: skip
        return moves.cross_runs(made, INSTANCE, history)

    two = (outcome("a", number=1), outcome("b", number=2))
    assert compared((), Shares("s")) == () == tuple(told)
    assert compared(two, Stage("s")) == () == tuple(told)
    assert compared(two, Shares("s"), cross_evaluate=False) == () == tuple(told)
    assert compared(two, Shares("s")) == ()
    assert told == ["comparing candidates"]
    with pytest.raises(moves.Interrupted):
        compared(two, Shares("s"), stopping=lambda: True)
