"""The matrix of candidates and tests: what is in it, what completes it, what it never repeats."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

from swe_router.errors import VerifierError
from swe_router.records import CrossRun, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.solve.cross_evaluation import (
    map_in_parallel,
    matrix_of,
    outcomes_with_gaps,
    run_missing_tests,
)
from swe_router.verifiers.reproduction import issue_test_counts
from tests.doubles.project import INSTANCE, outcome, verdict

KIT = VerificationContext(open_sandbox=lambda of: None, apply=lambda sandbox, text: None)  # type: ignore[arg-type,return-value]


def diff(line: str, context: str = "") -> str:
    hunk = (
        f"@@ -2,2 +2,2 @@\n near\n-old\n+{line}\n"
        if not context
        else f"@@ -1,3 +1,3 @@\n {context}\n near\n-old\n+{line}\n"
    )
    return f"diff --git a/f b/f\nindex 1..2\n--- a/f\n+++ b/f\n{hunk}"


def repo(**tests: str) -> Verdict:
    return verdict("pass", tests={f"tests/a.py::{k}": ["passed", v] for k, v in tests.items()})


def facts(by: str, after: str, source: str = "harvested") -> dict[str, Any]:
    return {"source": source, "by": by, "own": False, "digest": f"{source}{by}", "text": "t",
            "base": "failed", "reason": "r", "after": after, "said": f"{by} said"}  # fmt: skip


def shown(*tests: dict[str, Any]) -> Verdict:
    return verdict("unknown", "reproduction", tests={f"t{n}": t for n, t in enumerate(tests)})


def digest(of: Outcome) -> str:
    assert of.candidate is not None
    return of.candidate.digest


def test_one_candidate_needs_no_matrix():
    assert matrix_of([]) is None
    assert matrix_of([outcome(diff("a")), outcome("", number=2)]) is None


def test_results_are_taken_as_the_evidence_has_them():
    first = outcome(
        diff("a"), repo(ok="passed", bad="failed", load="error", hang="hung", odd="flaky")
    )
    second = outcome(diff("b"), shown(facts("1-weak", "passed")), number=2)
    matrix = matrix_of([first, second])
    assert matrix is not None
    row = matrix.row(digest(first))
    assert [row[f"tests/a.py::{t}"] for t in ("ok", "bad", "load", "hang", "odd")] == [
        "passed", "failed", "failed", "failed", "unknown",
    ]  # fmt: skip
    assert matrix.tests["tests/a.py::ok"].by == "tests/a.py"
    (test,) = matrix.row(digest(second))
    assert (matrix.tests[test].kind, matrix.tests[test].by) == ("harvested", "1-weak")


def test_patches_with_one_effect_share_a_row_and_a_contradiction_says_nothing():
    one = outcome(diff("a"), repo(x="passed", y="passed"))
    same = outcome(diff("a", context="c"), repo(x="failed", z="failed"), number=2)
    matrix = matrix_of([one, same])
    assert matrix is not None
    assert matrix.same[digest(same)] == digest(one)
    row = matrix.row(digest(same))
    assert row == matrix.row(digest(one))
    assert [row[f"tests/a.py::{t}"] for t in "xyz"] == ["unknown", "passed", "failed"]


def test_a_test_that_two_attempts_left_belongs_to_both():
    left = facts("1-weak", "passed") | {"digest": "d"}
    also = facts("2-weak", "passed") | {"digest": "d"}
    matrix = matrix_of([outcome(diff("a"), shown(left)), outcome(diff("b"), shown(also), number=2)])
    assert matrix is not None
    assert [source.by for source in matrix.tests.values()] == ["1-weak, 2-weak"]


@dataclass
class Reruns:
    """A ``reproduction`` that knows every test of the peers, and remembers whom it saw."""

    shares_tests = True
    cells = staticmethod(issue_test_counts.cells)

    says: str = "failed"
    asked: list[str] = field(default_factory=list)
    wait: Barrier | None = None

    def verify(self, of, peers, instance, context):
        assert context.writer is None
        self.asked.append(of.attempt.id)
        if self.wait is not None:
            self.wait.wait(timeout=120)
        if self.says == "broken":
            raise VerifierError("no")
        known = [
            t for one in (of, *peers) for v in one.verdicts for t in v.evidence["tests"].values()
        ]
        tests = {t["digest"]: {**t, "after": self.says} for t in known}
        return verdict("unknown", "reproduction", tests=tests)

    def check(self, verdict):
        return verdict.outcome


def three() -> list[Outcome]:
    return [
        outcome(diff("a"), shown(facts("1-weak", "passed"))),
        outcome(diff("b"), shown(facts("1-weak", "passed"), facts("2-weak", "passed")), number=2),
        outcome(diff("a", context="c"), shown(), number=3),
    ]


def test_a_later_test_is_run_on_the_earlier_candidate_once_and_only_there():
    made, again = three(), Reruns()
    (run,) = run_missing_tests(made, INSTANCE, KIT, again)
    assert again.asked == ["1-weak"], "the twin's row stands for both"
    assert (run.patch, run.after, run.said) == (digest(made[0]), "failed", "2-weak said")
    matrix = matrix_of(made, [run])
    assert matrix is not None
    assert matrix.row(digest(made[2]))[run.test] == "failed"
    assert outcomes_with_gaps(made, matrix) == []
    assert matrix.runs == (run,)


def test_what_cannot_be_run_stays_a_gap_and_what_does_not_apply_is_none():
    assert run_missing_tests(three(), INSTANCE, KIT, Reruns("broken")) == ()
    refused = [o.model_copy(update={"verdicts": (*o.verdicts, verdict("fail", "applies"))})
               for o in three()]  # fmt: skip
    assert run_missing_tests(refused, INSTANCE, KIT, again := Reruns()) == ()
    assert again.asked == []


def test_candidates_are_looked_at_side_by_side():
    """Each waits for the other: one after the other would never end."""
    pair = [
        outcome(diff("a"), shown(facts("3-weak", "passed"))),
        outcome(diff("b"), shown(facts("4-weak", "passed")), number=2),
    ]
    again = Reruns(wait=Barrier(2))
    assert len(run_missing_tests(pair, INSTANCE, KIT, again, workers=2)) == 2
    assert map_in_parallel(range(5), lambda n: n + 1, workers=3) == [1, 2, 3, 4, 5]


def test_a_run_of_a_patch_that_nobody_made_is_not_taken():
    matrix = matrix_of(three(), [CrossRun(patch="other", test="t", after="passed")])
    assert matrix is not None
    assert "other" not in matrix.results
