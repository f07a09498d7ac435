"""Weighing: what raises and lowers a probability, what decides, and what is not claimed."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.estimates.acceptance import verdict_signals
from swe_router.estimates.acceptance.calibration import SignalWeights
from swe_router.records import Outcome, Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.acceptance import AcceptanceVerifier
from swe_router.verifiers.evidence_records import ReproductionEvidence
from swe_router.verifiers.patches.equivalence import change_key
from swe_router.verifiers.reproduction import issue_test_counts
from tests.doubles.project import INSTANCE, outcome, verdict
from tests.doubles.weighed import KIT, PATCH, SHIPPED, existing, reproduction


def weighed(*said: Verdict, **fields: Any) -> Verdict:
    return AcceptanceVerifier(VerifySettings(**fields)).verify(
        outcome(PATCH, *said), (), INSTANCE, KIT
    )


def p(*said: Verdict) -> float:
    score = weighed(*said).score
    assert score is not None
    return score


RESULTS = st.lists(st.sampled_from(["passed", "failed", "unknown"]), max_size=6)


@given(RESULTS, st.sampled_from(["written", "harvested"]), st.sampled_from(verdict_signals.CLASSES))
def test_a_further_failure_never_raises_and_a_further_pass_never_lowers(
    results: list[str], source: str, author: str
) -> None:
    def chance(*after: str) -> float:
        signals = verdict_signals.signals([reproduction(*after, source=source)])
        return SHIPPED.probability(signals, author, "")

    assert chance(*results, "failed") <= chance(*results) <= chance(*results, "passed")


@given(RESULTS)
def test_an_author_s_own_tests_never_raise_its_probability(results: list[str]) -> None:
    bare = p(existing())
    assert p(existing(), reproduction(*results, source="harvested", own=True)) <= bare


def test_a_test_that_the_author_s_own_model_wrote_is_its_own() -> None:
    own = {"t": {"source": "written", "by": "maker-3", "own": False, "after": "passed"}}
    assert issue_test_counts.votes(ReproductionEvidence(tests=own), "maker-3-preview") == {}
    assert issue_test_counts.votes(ReproductionEvidence(tests=own), "another") == {
        "written_passed": 1.0
    }


def test_what_one_run_left_has_one_vote() -> None:
    tests = {
        f"t{n}": {"source": "harvested", "by": "1-weak", "own": False, "after": after}
        for n, after in enumerate(["passed", "passed", "failed"])
    }
    assert issue_test_counts.votes(ReproductionEvidence(tests=tests)) == {"harvested_passed": 1.0}


@given(st.integers(0, 300), st.integers(1, 300))
def test_more_broken_tests_never_raise(broken: int, more: int) -> None:
    assert p(existing(broken + more)) <= p(existing(broken))


def test_a_contested_test_weighs_less_than_a_broken_one_and_more_than_none() -> None:
    tests = {"a": ["passed", "failed"], "b": ["passed", "failed"]}
    two = verdict("fail", "repo-tests", counts={"broken": 2}, tests=tests)
    seen = [p(two, verdict("unknown", "agreement", contested=c)) for c in (["a", "b"], ["a"], [])]
    assert p(existing()) > seen[0] > seen[1] > seen[2]


def test_a_verifier_that_was_not_asked_moves_nothing() -> None:
    silent = verdict("unknown", "reproduction", why="no test", tests={})
    bare = verdict("unknown", "behaviour", why="no patch")
    assert p(existing(), silent, bare) == p(existing())
    assert verdict_signals.signals([silent, bare, verdict("pass", "applies")]) == {}


def test_a_fact_fails_whatever_else_is_said() -> None:
    praised = [existing(), reproduction("passed", "passed", "passed")]
    for fact in ("applies", "syntax"):
        found = weighed(verdict("fail", fact), *praised, threshold=0.0)
        assert found.outcome == "fail"
        assert found.score is not None
        assert found.score < p(*praised)


def test_a_probability_that_does_not_follow_from_its_signals_is_named() -> None:
    weigher, made = (
        AcceptanceVerifier(VerifySettings()),
        weighed(existing(), reproduction("passed")),
    )
    assert weigher.check(made) == made.outcome
    assert made.score is not None
    lower = made.model_copy(update={"score": made.score - 0.01})
    assert weigher.check(lower).startswith("contradictory")
    strange = {**made.evidence, "author": "nobody"}
    assert weigher.check(made.model_copy(update={"evidence": strange})).startswith("contradictory")


def test_opinions_alone_are_no_ground_to_accept() -> None:
    sure = verdict("unknown", "behaviour", lift=3.0)
    found = weighed(verdict("pass", "applies"), verdict("pass", "syntax"), sure, threshold=0.0)
    assert found.outcome == "unknown"
    assert found.score is not None
    own = reproduction("passed", source="harvested", own=True)
    assert weighed(own, sure, threshold=0.0).outcome == "unknown"
    assert weighed(existing(), sure, threshold=0.0).outcome == "pass"


def test_the_threshold_decides_and_a_hand_set_one_claims_nothing() -> None:
    score = p(existing())
    assert weighed(existing(), threshold=score).outcome == "pass"
    above = weighed(existing(), threshold=min(1.0, score + 0.01))
    assert above.outcome == "fail"
    assert "by hand" in above.evidence["claim"]


def test_without_a_calibration_verdicts_are_counted() -> None:
    for said, then in (
        ([verdict("pass", "applies")], "pass"),
        ([verdict("pass", "applies"), existing(1)], "fail"),
        ([verdict("unknown", "repo-tests")], "unknown"),
        ([], "unknown"),
    ):
        found = weighed(*said, calibration="none")
        assert (found.outcome, found.score) == (then, None)


def test_a_score_that_was_tampered_with_is_seen_by_check() -> None:
    found = weighed(existing(), threshold=0.3)
    assert found.outcome == "pass"
    again = AcceptanceVerifier(VerifySettings()).check(found.model_copy(update={"score": 0.1}))
    assert again.startswith("contradictory")


def test_a_weight_without_a_signal_moves_nothing() -> None:
    one = SignalWeights(bias=0.0, weights={"tests_kept": 2.0})
    assert one.probability({}) == 0.5
    assert one.probability({"tests_kept": 1.0}) == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-4)


def test_the_models_name_alone_sets_the_class_of_the_author() -> None:
    made = outcome(PATCH, existing(), tier="gpt-4o-mini")
    found = AcceptanceVerifier(VerifySettings()).verify(made, (), INSTANCE, KIT)
    assert found.evidence["author"] == "unknown", "a tier's name is no model"

    def author(source: str) -> str:
        one = outcome(PATCH, existing())
        named = one.attempt.model_copy(update={"source": source})
        case = one.model_copy(update={"attempt": named})
        return str(
            AcceptanceVerifier(VerifySettings()).verify(case, (), INSTANCE, KIT).evidence["author"]
        )

    assert author("preds.json gpt-4o-mini 1") == "weak"
    assert author("preds.json x gpt-4o-mini") == author("preds.json x 1") == "unknown"
    assert author("gpt-4.json x 1") == "unknown"
    spelled = ("claude-sonnet-4.5", "Claude Sonnet 4.5", "claude_sonnet_4_5", "CLAUDE-Sonnet 4-5")
    assert {author(f"preds.json {name} 1") for name in spelled} == {"strong"}


def test_a_bar_by_money_decides_per_tier() -> None:
    score = p(existing())
    bars = {"weak": score - 0.01, "strong": score + 0.01}
    for tier, then in (("weak", "pass"), ("strong", "fail"), ("another", "fail")):
        made = outcome(PATCH, existing(), tier=tier)
        found = AcceptanceVerifier(VerifySettings(bars=bars)).verify(made, (), INSTANCE, KIT)
        assert found.outcome == then
        assert "costs least" in found.evidence["claim"]


def test_a_probability_next_to_its_bar_is_printed_with_the_digits_that_decide() -> None:
    score = p(existing())
    found = weighed(existing(), threshold=score + 0.0004)
    assert found.outcome == "fail"
    first, second = re.search(
        r"probability (\S+), accepted from (\S+) on", found.evidence["why"]
    ).groups()  # type: ignore[union-attr]
    assert first != second


def written_by(name: str, source: str, *said: Verdict, patch: str = PATCH) -> Outcome:
    one = outcome(patch, *said)
    attempt = one.attempt.model_copy(update={"id": name, "source": source})
    return one.model_copy(update={"attempt": attempt})


def test_one_change_has_one_verdict_whoever_wrote_it() -> None:
    """Only the other author's script may vote on a patch; the change is the same."""
    longer = PATCH.replace("@@ -1 +1 @@", "@@ -1 +1,2 @@") + "+\n"
    one = written_by("0.1", "p.json claude-opus-4-5 a", existing(), reproduction("passed"))
    own = reproduction("passed", source="harvested", own=True)
    two = written_by("0.2", "p.json gemini-3-pro b", existing(), own, patch=longer)
    weigher = AcceptanceVerifier(VerifySettings())
    first = weigher.verify(one, [two], INSTANCE, KIT)
    second = weigher.verify(two, [one], INSTANCE, KIT)
    assert first.score == second.score
    assert first.outcome == second.outcome
    assert second.evidence["same_change_as"] == "0.1"
    assert weigher.check(second) == second.outcome
    alone = weigher.verify(two, [], INSTANCE, KIT)
    assert alone.score != second.score


def test_what_differs_in_more_than_blanks_and_comments_has_a_verdict_of_its_own() -> None:
    head = "--- a/calc.py\n+++ b/calc.py\n@@ -1 +1 @@\n-x = 1\n"
    base = change_key(head + "+x = 2\n")
    assert change_key(head.replace("+1 @@", "+1,2 @@") + "+# why\n+x = 2  \n") == base
    assert change_key(head + "+    x = 2\n") != base
    assert change_key(head + "+x = 3\n") != base
    moved = head.replace("@@ -1 +1 @@", "@@ -7 +7 @@") + "+x = 2\n"
    assert change_key(moved) != base
    more = head + "+x = 2\n--- a/b.py\n+++ b/b.py\n@@ -3,0 +4 @@\n+# only talk\n"
    assert change_key("diff --git a/calc.py b/calc.py\n" + head + "+x = 2\n") == change_key(
        "diff --git a/calc.py b/calc.py\n"
        + more.replace("--- a/b.py", "diff --git a/b.py b/b.py\n--- a/b.py")
    )


ADDED = "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,3 @@\n x = 1\n+y = 2\n z = 3\n"


@pytest.mark.parametrize(
    "other",
    [
        "diff --git a/calc.py b/calc.py\n" + ADDED,
        ADDED.replace("a/calc.py\n", "a/calc.py\t2026-01-01 10:00:00\n"),
        ADDED + "@@ -40,2 +41,2 @@\n a = 1\n-b = 2\n+b = 2  \n",
        ADDED + "--- a/b.py\n+++ b/b.py\n@@ -3,0 +4 @@\n+# only talk\n",
    ],
    ids=["git-header", "time", "blanks-at-the-end", "second-file-without-header"],
)
def test_the_way_a_diff_is_written_makes_no_other_change(other: str) -> None:
    assert change_key(other) == change_key(ADDED)


def test_a_comment_behind_slashes_is_one_and_a_directive_is_not() -> None:
    added = ADDED.replace("calc.py", "calc.go")
    told = added.replace("+1,3 @@\n x = 1\n", "+1,4 @@\n x = 1\n+{} why\n")
    assert change_key(told.format("//")) == change_key(added)
    assert change_key(told.format("//go:embed")) != change_key(added)


@pytest.mark.parametrize(
    "head",
    ["new file mode 100644\n--- /dev/null\n+++ b/p/__init__.py\n@@ -0,0 +1 @@\n+# talk\n",
     "deleted file mode 100644\n--- a/p/__init__.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-# talk\n",
     "similarity index 90%\nrename from p/__init__.py\nrename to p/a.py\n--- a/p/__init__.py\n"
     "+++ b/p/a.py\n@@ -1,1 +1,2 @@\n x = 1\n+# talk\n"],
    ids=["made", "gone", "moved"],
)  # fmt: skip
def test_a_file_that_is_made_gone_or_moved_is_a_change_though_it_holds_comments(head: str) -> None:
    good = "diff --git a/calc.py b/calc.py\n" + ADDED
    other = good + "diff --git a/p/__init__.py b/p/__init__.py\n" + head
    assert change_key(other) != change_key(good)


def test_a_twin_that_does_not_apply_lends_and_borrows_nothing() -> None:
    good = written_by("0.1", "p.json a 1", existing(), reproduction("passed"))
    bad = written_by("0.2", "p.json b 2", verdict("fail", "applies"))
    found = AcceptanceVerifier(VerifySettings(threshold=0.1)).verify(bad, [good], INSTANCE, KIT)
    assert found.outcome == "fail"
