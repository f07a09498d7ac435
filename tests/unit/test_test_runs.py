"""Runs of tests: what a report says, what two runs come to, and which tests are near."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from swe_router.patch_files import PatchSummary
from swe_router.verifiers.evidence_records import RepoTestsEvidence
from swe_router.verifiers.testing import (
    comparison,
    existing_test_counts,
    nearby_tests,
    runners,
)
from swe_router.verifiers.testing.results import Report, TestRun, parse_recorded_lines
from tests.doubles.project import verdict


def run(results, **changes) -> TestRun:
    return TestRun(result_by_test=results, **{"ended": True, **changes})


# Reports.


def test_of_two_results_of_one_test_the_worse_counts():
    report = Report()
    for outcome in ("skipped", "passed", "odd", "failed", "passed", "error"):
        report.add("t", outcome, "f.py", f"why {outcome}")
    assert (report.result_by_test, report.file_by_test, report.failure_messages) == (
        {"t": "error"}, {"t": "f.py"}, {"t": "why error"}
    )  # fmt: skip
    again = Report()
    again.add("t", "failed", "f.py", "first")
    again.add("t", "failed", "f.py", "second")
    again.add("u", "failed")
    assert again.failure_messages == {"t": "first"}
    seen = Report({"/w/a::t": "passed"}, {"/w/a::t": "/w/a"}, {"/w/a::t": "x"}).relative_to("/w")
    assert (seen.result_by_test, seen.file_by_test, seen.failure_messages) == (
        {"a::t": "passed"}, {"a::t": "a"}, {"a::t": "x"}
    )  # fmt: skip


def signed(key, **entry):
    line = json.dumps(entry).encode()
    return hmac.new(key.encode(), line, hashlib.sha256).hexdigest()[:32].encode() + b" " + line


def test_lines_that_the_recorder_did_not_sign_or_that_are_gone_are_counted():
    lines = [signed("k", n=0, id="a", outcome="passed", file="f"), signed("k", n=1, end=True)]
    whole = parse_recorded_lines(b"\n".join(lines) + b"\n", "k")
    assert (whole.result_by_test, whole.ended, whole.tampering_signs) == ({"a": "passed"}, True, "")
    text = b"\n".join([lines[0], b"forged", b" ", b"[1]", b'{"n": 7}', b"torn"])
    forged = parse_recorded_lines(text, "k")
    assert forged.foreign == 3
    assert forged.tampering_signs == "3 line(s) of the test report were not written by the recorder"
    gone = parse_recorded_lines(signed("k", n=3, id="a", outcome="failed", why="w") + b"\n", "k")
    assert (gone.missing, gone.ended, gone.failure_messages) == (3, False, {"a": "w"})
    assert gone.tampering_signs == "3 line(s) of the test report are gone"
    assert parse_recorded_lines(b"", "k").missing == 0
    open_lines = b'{"id": "a", "outcome": "passed", "file": "f"}\n{"end": 1}\n[]\n'
    open_lines += b'{"id": 2, "outcome": "passed"}\n'
    assert runners.parse_unsigned_lines(open_lines) == ({"a": "passed"}, {"a": "f"}, False)
    assert parse_recorded_lines(open_lines).missing == 0
    after_end = parse_recorded_lines(b'{"end": true}\n{"id": "a", "outcome": "failed"}\n')
    assert (after_end.ended, after_end.result_by_test) == (True, {"a": "failed"})


# Two runs compared.

BEFORE = run(
    {"a": "passed", "b": "passed", "c": "failed"}, seconds=10.0, file_by_test={"a": "f", "b": "g"}
)


def after(results, **changes):
    return comparison.compare_runs(BEFORE, run(results, **changes))


def test_a_test_that_passed_before_is_what_it_is_after():
    assert after({"a": "passed", "b": "failed", "c": "passed"}) == {"a": "passed", "b": "failed"}
    assert after({"a": "skipped", "b": "error"}) == {"a": "gone", "b": "error"}
    assert after({"a": "passed"}) == {"a": "passed", "b": "gone"}
    assert after({}) == {"a": "error", "b": "error"}, "nothing loads any more"
    assert after({"a": "passed", "g": "error"}, file_by_test={"g": "g"})["b"] == "error"
    assert after({"a": "passed", "h": "error"}, file_by_test={"h": "h"})["b"] == "gone"
    assert after({"a": "passed", "x": "error"})["b"] == "error", "of no known file"
    broken_before = run({"b": "passed", "x": "error"})
    same = comparison.compare_runs(broken_before, run({"x": "error", "a": "passed"}))
    assert same == {"b": "gone"}, "it did not load before either"


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"ended": False}, "died"),
        ({"timed_out": True, "timeout_seconds": 50.0}, "hung"),
        ({"timed_out": True, "timeout_seconds": 49.9}, "unfinished"),
        ({"timed_out": True, "ended": False, "timeout_seconds": 50.0}, "hung"),
    ],
)
def test_a_run_that_stops_has_stopped_in_the_first_test_that_it_did_not_reach(changes, first):
    assert after({}, **changes) == {"a": first, "b": "unfinished"}
    assert after({"a": "passed"}, **changes) == {"a": "passed", "b": first}


def test_a_run_that_was_cut_before_says_nothing_of_what_it_does_not_reach():
    cut = run({"a": "passed", "b": "passed"}, ended=False)
    assert comparison.compare_runs(cut, run({}, ended=False)) == {"a": "cut", "b": "cut"}
    short = run({"a": "passed"}, seconds=1.0)
    late = run({}, timed_out=True, timeout_seconds=30.0)
    assert comparison.compare_runs(short, late) == {"a": "hung"}
    assert comparison.compare_runs(short, run({}, timed_out=True, timeout_seconds=29.0)) == {
        "a": "unfinished"
    }


def test_a_break_that_does_not_come_again_is_flaky():
    now = {"a": "failed", "b": "passed", "z": "hung"}
    again = comparison.with_flaky_tests(now, BEFORE, run({"a": "passed", "b": "failed"}))
    assert again == {"a": "flaky", "b": "passed", "z": "flaky"}
    assert comparison.with_flaky_tests(now, BEFORE, run({"a": "error", "b": "passed"}))["a"] == (
        "failed"
    )


def test_evidence_counts_all_and_lists_the_broken_first():
    before = run(
        {"a": "passed", "b": "passed", "n": "failed", "m": "error", "o": "passed", "k": "failed"},
        failure_messages={
            "n": "socket.gaierror",
            "m": "Network is unreachable",
            "o": "urlopen error",
            "k": "x",
        },
    )
    shown = comparison.evidence_of({"a": "passed", "b": "hung", "o": "flaky"}, before)
    assert shown == {
        "counts": {"passed_before": 3, "still_pass": 1, "broken": 1, "flaky": 1, "gone": 0,
                   "unfinished": 0, "cut": 0, "not_passed_before": 3},
        "tests": {"b": ["passed", "hung"], "a": ["passed", "passed"], "o": ["passed", "flaky"]},
        "listed": 3,
        "needed_network": ["m", "n"],
    }  # fmt: skip
    assert list(shown["tests"]) == ["b", "a", "o"]
    many = {f"t{n:03}": "failed" if n >= 50 else "passed" for n in range(280)}
    listed = comparison.evidence_of(many, run(many))
    assert (listed["listed"], "needed_network" in listed) == (230, False)
    assert set(next(iter(listed["tests"].values()))) == {"passed", "failed"}
    fewer = comparison.evidence_of(dict.fromkeys(many, "passed"), run(many))
    assert fewer["listed"] == 200


def evidence(*results, **more):
    return {
        "counts": comparison.outcome_counts(results),
        "tests": {f"t{n}": ["passed", one] for n, one in enumerate(results)}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [
        (evidence("passed"), "pass"),
        (evidence("failed", "passed"), "fail"),
        (evidence("failed", confirmed=False), "unknown"),
        (evidence("failed", confirmed=True), "fail"),
        (evidence("failed", tampered="x"), "unknown"),
        (evidence("passed", tampered="x"), "unknown"),
        (evidence("passed", meddles=["conftest.py"]), "unknown"),
        (evidence("failed", meddles=["conftest.py"]), "fail"),
        (evidence("passed", "unfinished"), "unknown"),
        (evidence("passed", "gone"), "pass"),
        (evidence("passed", "gone", "gone"), "unknown"),
        (evidence("passed", "cut", "cut"), "unknown"),
        (evidence("passed", "cut"), "pass"),
        (evidence("flaky"), "unknown"),
        (evidence(), "unknown"),
        ({}, "unknown"),
        ({"deleted_tests": ["t.py"]}, "fail"),
        ({**evidence("passed"), "tests": {"t0": ["passed", "failed"]}}, "contradictory"),
        ({**evidence("passed", "passed"), "tests": {"t0": ["passed", "failed"]}}, "contradictory"),
        ({**evidence("passed", "passed"), "tests": {"t0": ["passed", "passed"]}}, "pass"),
        ({**evidence("gone"), "tests": {"t0": ["passed", "passed"]}}, "contradictory"),
    ],
)
def test_an_outcome_follows_from_the_evidence(shown, outcome):
    assert comparison.outcome_of(RepoTestsEvidence.model_validate(shown)) == outcome


def test_signals_are_what_broke_what_peers_break_too_and_what_was_kept():
    def signals(result, *others, **shown):
        return existing_test_counts.signals(verdict(result, "repo-tests", **shown), others)

    tests = {f"t{n}": ["passed", "failed"] for n in range(10)}
    peer = verdict("fail", "agreement", contested=["t0", "other"])
    assert signals("fail", counts={"broken": 1}, tests={}) == {"tests_broken": 1.0}
    assert signals("fail", counts={"broken": 10}, tests=tests) == {"tests_broken": 2.0}
    nine = {"tests_broken": round(1 + math.log10(9), 4)}
    assert signals("fail", peer, counts={"broken": 10}, tests=tests) == nine
    one = {"t0": ["passed", "failed"]}
    assert signals("fail", peer, counts={"broken": 1}, tests=one) == {"tests_contested": 1.0}
    assert signals("fail", deleted_tests=["a"]) == {"tests_broken": 1.0}
    assert signals("pass", counts={"broken": 0}) == {"tests_kept": 1.0}
    assert signals("unknown", counts={"broken": 0}) == signals("unknown") == {}
    lots = signals("fail", counts={"broken": 10**9}, tests={})
    assert lots["tests_broken"] == existing_test_counts.MAX_TEST_SIGNAL
    tests = {"f.py::t": ["passed", "hung"], "u": ["passed", "gone"]}
    shown = verdict("fail", "repo-tests", tests=tests,
                    counts={"passed_before": 2, "still_pass": 1, "broken": 3})  # fmt: skip
    first, second = existing_test_counts.cells(shown)
    assert (first.test, first.after, first.source.by, first.source.base) == (
        "f.py::t", "failed", "f.py", "passed"
    )  # fmt: skip
    assert (second.after, second.source.by) == ("unknown", "")
    summary = existing_test_counts.summary(shown)
    assert (summary.passed_before, summary.still_pass, summary.broken) == (2, 1, 3)
    none = existing_test_counts.summary(verdict("unknown", "repo-tests"))
    assert (none.passed_before, none.still_pass, none.broken) == (0, 0, 0)


# Which tests are near.


@pytest.mark.parametrize(
    ("source", "test", "score"),
    [
        ("pkg/calc.py", "tests/test_calc.py", 100),
        ("pkg/calc.py", "pkg/tests/test_calc.py", 101),
        ("pkg/calc.rb", "spec/calc_spec.rb", 100),
        ("pkg/Calc.java", "test/CalcTest.java", 100),
        ("pkg/calc.py", "pkg/test_other.py", 81),
        ("a/pkg/calc.py", "tests/calcs/test_x.py", 60),
        ("a/pkg/calc.py", "tests/calc/test_x.py", 60),
        ("a/pkg/calc.py", "tests/test_pkg.py", 40),
        ("a/pkg/calc.py", "tests/test_mycalc.py", 20),
        ("a/pkg/abc.py", "tests/test_myabc.py", 0),
        ("calc.py", "tests/test_other.py", 0),
        ("a/calc.py", "a/b/test_x.py", 81),
        ("a/b/calc.py", "a/test_mycalc.py", 21),
        ("a/pkg/calc.py", "a/test_pkg.py", 41),
        ("a/pkg/calc.py", "a/calc/test_x.py", 61),
    ],
)
def test_names_of_a_source_and_a_test_are_alike(source, test, score):
    assert nearby_tests.name_similarity(source, test) == score


def test_paths_overlap_by_whole_parts_and_by_parts_within():
    overlap = nearby_tests._path_overlap
    assert overlap("tests/forms/test_x.py", ["django/forms/fields.py"]) == 1.0
    assert overlap("tests/test_fields.py", ["django/forms/fields.py"]) == 1.0
    assert overlap("tests/test_myfields.py", ["django/forms/fields.py"]) == 0.5
    assert overlap("django/test_x.py", ["django/forms/fields.py"]) == 0.0, "the top folder"
    assert overlap("tests/abc/test_x.py", ["p/abc/d.py"]) == 0.0, "three letters"
    assert overlap("tests/test_calc.py", ["calc.py"]) == 1.0
    assert nearby_tests._folder_distance("a/b/x.py", "a/c/d/y.py") == 3
    assert nearby_tests._folder_distance("x.py", "y.py") == 0
    assert nearby_tests._folder_distance("a/x.py", "a/b/x.py") == 1
    assert nearby_tests._folder_distance("a/b/x.py", "x.py") == 2
    assert nearby_tests._folder_distance("a/b/x.py", "a/b/y.py") == 0


def summary(path, *lines, before=None):
    return PatchSummary(path, path if before is None else before, False, (), (), tuple(lines))


def test_without_a_graph_the_best_names_are_near():
    known = ["tests/test_calc.py", "pkg/test_other.py", "tests/test_nothing.py", "t/test_calc.py"]
    found = nearby_tests.nearest_tests([summary("pkg/calc.py")], known, None, 3)
    assert found == (["t/test_calc.py", "tests/test_calc.py", "pkg/test_other.py"], "name")
    moved = [summary("new/place.py", before="pkg/calc.py")]
    assert nearby_tests.nearest_tests(moved, known, None, 1) == (["t/test_calc.py"], "name")
    assert nearby_tests.nearest_tests([summary("q/zz.py")], known, None, 3) == ([], "name")


def test_a_graph_names_the_tests_that_reach_the_change():
    class Graph:
        facts: Any = None

        def tests_reaching(self, changed):
            assert changed == ["pkg/calc.py"]
            return ["b.py", "a.py", "b.py", "unknown.py"]

    found = nearby_tests.nearest_tests([summary("pkg/calc.py")], ["a.py", "b.py"], Graph(), 9)
    assert found == (["b.py", "a.py"], "graph")
    none = nearby_tests.nearest_tests([summary("pkg/calc.py")], ["calc_test.py"], Graph(), 9)
    assert none == (["calc_test.py"], "name")


def test_definitions_that_a_patch_changes_are_named_with_their_owners():
    def definition(name, line, end):
        return SimpleNamespace(name=name, line=line, end=end)

    facts = SimpleNamespace(definitions=[definition("Calc.add", 3, 5), definition("sub", 7, 8),
                                         definition("Calc.__init__", 9, 9)])  # fmt: skip
    graph = SimpleNamespace(facts={"pkg/calc.py": facts})

    def names(*lines):
        return nearby_tests.changed_definitions([summary("pkg/calc.py", *lines)], graph)

    assert names(5) == {"add", "Calc"} == names(3)
    assert names(6) == names(2) == set()
    assert names(8, 9) == {"sub", "Calc"}
    assert nearby_tests.changed_definitions([summary("gone.py", 3)], graph) == set()
    calls = SimpleNamespace(
        calls=[SimpleNamespace(name="x.add"), SimpleNamespace(name="add")],
        imports=[SimpleNamespace(name="sub", module="calc"),
                 SimpleNamespace(name="", module="p.add")],
    )  # fmt: skip
    assert nearby_tests._uses_of_names(calls, {"add", "sub"}) == {"add": 3, "sub": 1}
    assert (
        nearby_tests._uses_of_names(calls, set())
        == nearby_tests._uses_of_names(None, {"add"})
        == {}
    )


def test_closeness_adds_up_graph_names_paths_and_steps():
    def closeness(path, weight, reached, changed=("src/forms/fields.py",)):
        graph = SimpleNamespace(file_graph=SimpleNamespace(number=lambda one, two: weight))
        return nearby_tests._closeness(path, changed, graph, reached)

    assert closeness("tests/test_other.py", 0, True) == pytest.approx(-0.3 - 0.8)
    assert closeness("tests/test_other.py", 0, False) == pytest.approx(-0.3 - 1.2)
    weighed = 0.5 + 0.3 * math.log1p(2) - 0.3 - 0.2
    assert closeness("tests/test_other.py", 2, True) == pytest.approx(weighed)
    assert closeness("tests/test_fields.py", 0, True) == pytest.approx(1.5 + 0.7 - 0.3 - 0.8)
    assert closeness("lib/other.py", 0, True) == pytest.approx(-0.3 - 0.8 - 1.0)


def call(name):
    return SimpleNamespace(name=name)


def ranked(facts, reached=(), changed=("src/calc.py",)):
    """Tests by a graph whose files stand at no distance."""
    defined = SimpleNamespace(
        definitions=[SimpleNamespace(name="add", line=1, end=9),
                     SimpleNamespace(name="sub", line=1, end=9)], calls=[], imports=[])  # fmt: skip
    graph = SimpleNamespace(
        facts={"src/calc.py": defined, **facts}, tests_reaching=lambda paths: list(reached),
        file_graph=SimpleNamespace(number=lambda one, two: 0),
    )  # fmt: skip
    known = sorted({*facts, *reached})
    return nearby_tests.nearest_tests([summary(path, 3) for path in changed], known, graph, 9)


def uses(*names):
    return SimpleNamespace(calls=[call(name) for name in names], imports=[])


def test_tests_that_use_what_changed_are_nearer_the_rarer_the_name():
    facts = {"tests/a.py": uses("add"), "tests/b.py": uses("sub"), "tests/c.py": uses("add", "sub"),
             "tests/d.py": uses("add"), "tests/e.py": uses("other")}  # fmt: skip
    found, how = ranked(facts)
    assert (found, how) == (["tests/c.py", "tests/b.py", "tests/a.py", "tests/d.py"], "graph")


def test_uses_of_a_name_count_up_to_five_and_a_reached_test_is_nearer():
    many = {"tests/a.py": uses(*["add"] * 5), "tests/b.py": uses(*["add"] * 9)}
    assert ranked(many)[0] == ["tests/a.py", "tests/b.py"], "nine are no more than five"
    fewer = {"tests/b.py": uses(*["add"] * 4), "tests/c.py": uses(*["add"] * 5)}
    assert ranked(fewer)[0] == ["tests/c.py", "tests/b.py"]
    both = {"tests/a.py": uses("add"), "tests/b.py": uses("add")}
    assert ranked(both, reached=["tests/b.py"])[0] == ["tests/b.py", "tests/a.py"]
    assert ranked({"tests/z.py": uses()}, reached=["tests/z.py"])[0] == ["tests/z.py"]
    # One use of a rare name (2 / ln 3 = 1.82) is worth more than being reached (0.2 x 2 = 0.4).
    apart = {"tests/a.py": uses(), "tests/b.py": uses("add")}
    assert ranked(apart, reached=["tests/a.py"])[0] == ["tests/b.py", "tests/a.py"]
    # A namesake (1.5 + 0.7) is nearer than one use, and not than two names used.
    named = {"tests/test_calc.py": uses(), "tests/b.py": uses("add")}
    assert ranked(named)[0] == ["tests/test_calc.py", "tests/b.py"]
    named["tests/b.py"] = uses("add", "sub")
    assert ranked(named)[0] == ["tests/b.py", "tests/test_calc.py"]
