"""Behaviour, agreement and judge: what they read, what they refuse, and what changes nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.errors import LedgerRefused, Overloaded, UsageError
from swe_router.estimates import behaviour as fits
from swe_router.records import Action, Completion, Message, Outcome, Step, ToolCall, Verdict
from swe_router.seams import Kit
from swe_router.settings import VerifySettings
from swe_router.verifiers import alike, conduct, paths, shape
from swe_router.verifiers.agreement import Agreement, score_of
from swe_router.verifiers.behaviour import Behaviour
from swe_router.verifiers.judge import Judge, messages, ratings
from tests.doubles.agent import PlayedModel
from tests.doubles.project import INSTANCE, outcome, verdict

KIT = Kit(open_sandbox=lambda instance: None, apply=lambda box, patch: None)  # type: ignore[arg-type, return-value]
SETTINGS = VerifySettings()


def diff(
    added: str, removed: str = "", path: str = "pkg/core.py", scope: str = "def run(x):"
) -> str:
    minus = [f"-{line}" for line in removed.splitlines()]
    plus = [f"+{line}" for line in added.splitlines()]
    head = f"--- a/{path}\n+++ b/{path}\n@@ -10,{len(minus)} +10,{len(plus)} @@ {scope}\n"
    return head + "\n".join([*minus, *plus]) + "\n"


def bash(command: str, code: int | None = 0, shown: str = "", say: str = "") -> Step:
    call = ToolCall(id=command, name="bash", arguments={"command": command})
    action = Action(call=call, observation=shown, exit_code=code)
    answer = Completion(message=Message(role="assistant", content=say))
    return Step(index=0, request="r", completion=answer, actions=(action,))


# --- the patch's shape and the run's conduct


def test_the_issue_s_own_fix_and_names_are_seen() -> None:
    issue = "In `pkg/core.py` the method run() should do\n\n    return value or default\n"
    found = shape.signals(
        diff("    return value or default", "    return value"), issue, paths.is_test
    )
    assert found["issue_fix_taken"] == found["issue_names_file"] == found["issue_names_scope"] == 1
    other = shape.signals(diff("    return None", path="pkg/other.py"), issue, paths.is_test)
    assert other["issue_fix_taken"] == other["issue_names_file"] == 0


def test_tests_and_scratch_do_not_count_as_size() -> None:
    source = diff("    return 2", "    return 1")
    patch = source + diff("def test_a():\n    assert 1\n", path="tests/test_core.py")
    patch += "--- /dev/null\n+++ b/reproduce.py\n@@ -0,0 +1,1 @@\n+print(1)\n"
    found = shape.signals(patch, "", paths.is_test)
    assert (found["patch_files"], found["patch_added"], found["patch_removed"]) == (1, 1, 1)
    assert (found["patch_tests"], found["patch_scratch"]) == (1, 1)
    assert shape.signals("no diff", "", paths.is_test) == {}


def test_a_run_is_read_whatever_the_scaffold() -> None:
    steps = [
        bash("grep -rn foo pkg"),
        bash("sed -i 's/a/b/' pkg/core.py"),
        bash("cat > reproduce.py <<'EOF'\nimport pkg\nEOF"),
        bash("python reproduce.py", 1),
        bash("sed -i 's/b/c/' pkg/core.py"),
        bash("python -m pytest tests/test_core.py", None, "1 failed\n[exit code 1]", "Hmm, wait."),
        bash("git checkout pkg/core.py"),
    ]
    found = conduct.signals(outcome("d").attempt, steps)
    assert found["run_steps"] == 7
    assert (found["run_edits"], found["run_files"], found["run_edits_again"]) == (3, 2, 1)
    assert (found["run_tests"], found["run_scripts"], found["run_undone"]) == (1, 1, 1)
    assert found["run_last_test_failed"] == 1
    assert found["run_untested"] == 0
    assert found["run_error_share"] == pytest.approx(2 / 7, abs=0.01)
    assert found["run_doubts_per_step"] == pytest.approx(2 / 7)


def test_our_own_tools_are_read_too() -> None:
    call = ToolCall(id="1", name="edit", arguments={"action": "replace", "path": "a.py"})
    bad = ToolCall(id="2", name="edit", error="edit needs the argument path.")
    answer = Completion(message=Message(role="assistant", tool_calls=(call, bad)))
    step = Step(index=0, request="r", completion=answer,
                actions=(Action(call=call, observation="Edited a.py."),))  # fmt: skip
    found = conduct.signals(outcome("d").attempt, [step])
    assert (found["run_edits"], found["run_files"], found["run_malformed"]) == (1, 1, 1)
    assert "run_error_share" not in found


def test_what_is_not_known_of_a_run_is_left_out_and_not_nought() -> None:
    assert conduct.signals(outcome("d").attempt, ()) == {}
    verdict = Behaviour(SETTINGS).verify(outcome(diff("    return 2")), (), INSTANCE, KIT)
    assert all(not name.startswith("run_") for name in verdict.evidence["signals"])
    assert verdict.score is not None
    assert verdict.outcome == "unknown"


def test_dollars_of_an_unknown_author_are_not_compared() -> None:
    def score(tier: str, usd: str) -> float | None:
        made = outcome(diff("    return 2"), tier=tier)
        spent = made.attempt.trajectory.model_copy(update={"steps": 30, "usd": Decimal(usd)})
        made = made.model_copy(
            update={"attempt": made.attempt.model_copy(update={"trajectory": spent})}
        )
        return Behaviour(SETTINGS).verify(made, (), INSTANCE, KIT).score

    assert score("some-model", "0.01") == score("some-model", "9")
    assert score("gemini-3-pro", "0.01") != score("gemini-3-pro", "9")


def test_a_long_run_and_a_large_patch_lower_the_score() -> None:
    small = Behaviour(SETTINGS).verify(outcome(diff("    return 2")), (), INSTANCE, KIT)
    branches = "\n".join(f"    if isinstance(x, T{n}):\n        y = {n}" for n in range(30))
    large = Behaviour(SETTINGS).verify(outcome(diff(branches)), (), INSTANCE, KIT)
    assert small.score is not None
    assert large.score is not None
    assert small.score > large.score
    assert small.evidence["lift"] > large.evidence["lift"]


def test_behaviour_without_a_calibration_tells_and_does_not_score() -> None:
    made = Behaviour(VerifySettings(calibration="none")).verify(
        outcome(diff("    return 2")), (), INSTANCE, KIT
    )
    assert made.score is None
    assert made.evidence["signals"]["patch_added"] == 1


def behaviour_rows(n: int = 120, repos: int = 4, flip: str = "") -> list[fits.Row]:
    dice = np.random.default_rng(5)
    made = []
    for k in range(n):
        right = bool(dice.random() < 0.6)
        repo = f"o/r{k % repos}"
        steps = dice.normal(30 if right else 60, 10)
        made.append(fits.Row(repo, {"run_steps": float(max(1, steps))}, right != (repo == flip)))
    return made


def test_a_behaviour_fit_never_saw_the_repository_that_it_scores() -> None:
    a, b = (fits.cross_validated(behaviour_rows(flip=flip))[0] for flip in ("", "o/r2"))
    assert a["o/r2"] == b["o/r2"]
    assert a["o/r1"] != b["o/r1"]
    assert fits.score(a[""], {"run_steps": 20.0}) > fits.score(a[""], {"run_steps": 80.0})
    assert abs(fits.lift(a[""], {})) < 0.1
    with pytest.raises(UsageError, match="3 repositories"):
        fits.fit(behaviour_rows(repos=2))


# --- agreement


def test_blanks_comments_quotes_and_the_order_of_imports_make_no_difference() -> None:
    one = diff("import b\nimport a\nx = f('it', 1)  # why\n", "x = 1\n")
    other = diff('import a\nimport b\n\nx = f(\n    "it",\n    1,\n)\n', "x  =  1\n")
    assert alike.same(alike.change_of(one), alike.change_of(other))


@pytest.mark.parametrize(
    "other",
    [
        "x = f('it', 2)\n",
        "x = f('its', 1)\n",
        "x = f(1, 'it')\n",
        "y = f('it', 1)\n",
        "x = f('i t', 1)\n",
    ],
)
def test_another_change_is_another_change(other: str) -> None:
    assert not alike.same(alike.change_of(diff("x = f('it', 1)\n")), alike.change_of(diff(other)))


def test_the_same_lines_in_another_file_are_another_change() -> None:
    one, other = (alike.change_of(diff("x = 1\n", path=path)) for path in ("a/b.py", "a/c.py"))
    assert not alike.same(one, other)
    assert alike.similarity(one, other) < 1


def test_tests_and_scratch_are_no_part_of_a_change() -> None:
    source = diff("    return 2", "    return 1")
    more = source + diff("def test_x(): pass\n", path="tests/test_core.py")
    assert alike.same(alike.change_of(source), alike.change_of(more))
    assert alike.change_of(diff("# a word\n", "")).empty
    assert not alike.same(alike.change_of("no diff"), alike.change_of("no diff"))


def test_an_operator_is_no_comment() -> None:
    assert not alike.same(
        alike.change_of(diff("x = a // b\n")), alike.change_of(diff("x = a // c\n"))
    )
    c = [alike.change_of(diff(f"x = a; // {word}\n", path="a.c")) for word in ("one", "two")]
    assert alike.same(*c)


LINES = st.lists(
    st.sampled_from(["x = 1", "y = f(x)", "return y", "import os", "# no", ""]), max_size=6
)


@given(LINES, LINES, LINES, LINES)
def test_likeness_is_symmetric_and_bounded(a: Any, b: Any, c: Any, d: Any) -> None:
    one, other = (alike.change_of(diff("\n".join(p), "\n".join(m))) for p, m in ((a, b), (c, d)))
    assert alike.similarity(one, other) == alike.similarity(other, one)
    assert 0 <= alike.similarity(one, other) <= 1
    assert alike.similarity(one, one) == (0 if one.empty else 1)
    if alike.same(one, other):
        assert alike.similarity(one, other) == 1


@given(st.text(max_size=400))
def test_any_text_is_compared_without_a_fault(text: str) -> None:
    alike.change_of(diff(text.replace("\r", "")) + text)


def agreed(mine: Outcome, *peers: Outcome) -> Verdict:
    made = Agreement(SETTINGS).verify(mine, peers, INSTANCE, KIT)
    assert (
        Agreement(SETTINGS).check(Verdict.model_validate_json(made.model_dump_json())) == "unknown"
    )
    assert made.outcome == "unknown"
    return made


def test_the_first_candidate_has_nobody_to_agree_with() -> None:
    made = agreed(outcome(diff("x = 2\n")))
    assert made.score is None
    assert made.evidence["independent"] == 0


def test_agreement_by_another_model_weighs_more_and_both_are_counted() -> None:
    mine = outcome(diff("x = 2\n"), number=1)
    same = agreed(mine, outcome(diff("x  = 2\n"), number=2))
    other = agreed(mine, outcome(diff("x  = 2\n"), number=2, tier="strong"))
    apart = agreed(mine, outcome(diff("z = 9\n", path="q.py"), number=2, tier="strong"))
    assert apart.score < 0.5 < same.score < other.score
    assert (same.evidence["same_change"], same.evidence["same_model"]) == (1, 1)
    assert (other.evidence["same_change"], other.evidence["same_model"]) == (1, 0)
    assert other.evidence["same_change_by_another_model"] == 1


def test_candidates_agree_with_each_other_alike() -> None:
    a, b = outcome(diff("x = 2\n"), number=1), outcome(diff("x = 3\n"), number=2, tier="strong")
    assert agreed(a, b).score == agreed(b, a).score


def test_a_candidate_that_was_handed_notes_is_no_independent_witness() -> None:
    peer = outcome(diff("x = 2\n"), number=2)
    told = peer.attempt.model_copy(
        update={"plan": peer.attempt.plan.model_copy(update={"handover": "notes"})}
    )
    assert agreed(outcome(diff("x = 2\n")), peer.model_copy(update={"attempt": told})).score is None


def test_peers_tests_count_and_one_s_own_do_not() -> None:
    tests = {
        "a": {"source": "harvested", "by": "2-strong", "own": False, "after": "failed"},
        "b": {"source": "harvested", "by": "1-weak", "own": True, "after": "passed"},
        "c": {"source": "written", "by": "writer", "own": False, "after": "passed"},
    }
    said = verdict("fail", "reproduction", tests=tests)
    peer = outcome(diff("x = 2\n"), number=2, tier="strong")
    made = agreed(outcome(diff("x = 2\n"), said), peer)
    assert (made.evidence["their_tests_passed"], made.evidence["their_tests_failed"]) == (0, 1)
    assert made.score < agreed(outcome(diff("x = 2\n")), peer).score


def breaks(*tests: str) -> Verdict:
    found = {test: ["passed", "failed"] for test in tests} | {"t::other": ["passed", "passed"]}
    return verdict("fail" if tests else "pass", "repo-tests", tests=found,
                   counts={"broken": len(tests), "still_pass": 1})  # fmt: skip


def test_a_test_that_most_peers_break_as_well_is_contested() -> None:
    mine = outcome(diff("x = 2\n"), breaks("t::old", "t::mine"))
    peers = [
        outcome(diff(f"x = {n}\n"), breaks(*["t::old"] * (n < 5)), number=n, tier=f"m{n}")
        for n in (3, 4, 5)
    ]
    made = agreed(mine, *peers)
    assert made.evidence["contested"] == ["t::old"]
    assert agreed(mine, *peers[1:]).evidence["contested"] == []  # one peer is no majority
    assert agreed(outcome(diff("x = 2\n"), breaks()), *peers).evidence["contested"] == []


def test_two_runs_of_the_author_s_own_model_do_not_outvote_another_model() -> None:
    mine = outcome(diff("x = 2\n"), breaks("t::old"))
    same = [outcome(diff(f"x = {n}\n"), breaks("t::old"), number=n) for n in (3, 4)]
    other = outcome(diff("x = 9\n"), breaks(), number=9, tier="strong")
    assert agreed(mine, *same, other).evidence["contested"] == []
    assert agreed(mine, *same).evidence["contested"] == ["t::old"]


def test_a_score_that_does_not_follow_is_named() -> None:
    made = agreed(outcome(diff("x = 2\n")), outcome(diff("x = 2\n"), number=2))
    assert Agreement(SETTINGS).check(made.model_copy(update={"score": 0.9})) == "contradictory"


def test_a_probability_that_behaviour_does_not_give_is_named() -> None:
    judge = Behaviour(VerifySettings())
    made = judge.verify(outcome(diff("x = 2\n")), (), INSTANCE, KIT)
    assert made.score is not None
    assert judge.check(made) == "unknown"
    assert judge.check(made.model_copy(update={"score": 0.99})).startswith("contradictory")
    bare = {"signals": made.evidence["signals"], "model": made.evidence["model"]}
    assert judge.check(made.model_copy(update={"evidence": bare})) == "unknown", "an older record"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=5),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_a_further_pass_or_twin_never_lowers_agreement(
    peers: Any, passed: int, failed: int
) -> None:
    facts = {
        "peers": [{"alike": a, "same_model": same} for a, same in peers],
        "their_tests_passed": passed,
        "their_tests_failed": failed,
    }
    base = score_of(facts)
    twin = {"alike": 1.0, "same_model": False}
    assert 0 <= base <= 1
    assert score_of(facts | {"peers": [*facts["peers"], twin]}) >= base
    assert score_of(facts | {"their_tests_passed": passed + 1}) >= base
    assert score_of(facts | {"their_tests_failed": failed + 1}) <= base


# --- judge

GOOD = {
    "cause": 4,
    "complete": 3,
    "focused": 4,
    "general": 4,
    "consistent": 2,
    "probability": 0.7,
    "why": "ok",
}


def says(text: str) -> Completion:
    return Completion(message=Message(role="assistant", content=text), model="judge-1")


def judged(model: Any, *said: Verdict, notes: Any = None) -> Verdict:
    kit = Kit(
        open_sandbox=KIT.open_sandbox,
        apply=KIT.apply,
        judge=model,
        notes={} if notes is None else notes,
    )
    made = Judge(SETTINGS).verify(outcome(diff("x = 2\n"), *said), (), INSTANCE, kit)
    assert made.outcome == "unknown"
    assert Judge(SETTINGS).check(Verdict.model_validate_json(made.model_dump_json())) == "unknown"
    return made


def test_no_judge_no_opinion() -> None:
    assert judged(None).evidence["why"] == "no judge is named"
    assert judged(None).score is None


def test_a_judgement_keeps_its_price_its_question_and_its_words() -> None:
    text = "It looks right.\n" + json.dumps(GOOD)
    made = judged(PlayedModel(says(text)))
    assert made.score == 0.7
    assert made.evidence["usd"] == "0.01"
    assert made.evidence["answer"] == text
    assert len(made.evidence["request"]) == 64
    assert made.evidence["rubric"]["complete"] == 3


def test_the_judge_sees_issue_diff_and_facts_and_no_opinion() -> None:
    said = (
        verdict("pass", "repo-tests", why="9 of 9 still pass"),
        verdict("unknown", "behaviour", why="less often right"),
    )
    text = messages(outcome(diff("x = 2\n"), *said), INSTANCE)[0].content
    assert "repo-tests: pass; 9 of 9 still pass" in text
    assert "+x = 2" in text
    assert "less often right" not in text
    assert "Nothing was run" in messages(outcome(diff("x = 2\n")), INSTANCE)[0].content


def test_the_same_question_is_paid_for_once() -> None:
    model, notes = PlayedModel(says(json.dumps(GOOD))), {}
    first, again = judged(model, notes=notes), judged(model, notes=notes)
    assert len(model.requests) == 1
    assert (first.evidence["usd"], again.evidence["usd"], again.score) == ("0.01", "0", first.score)


@pytest.mark.parametrize("failure", [Overloaded("down"), LedgerRefused("no money")])
def test_a_judge_that_cannot_answer_leaves_no_opinion(failure: Exception) -> None:
    made = judged(PlayedModel(failure))
    assert made.score is None
    assert type(failure).__name__ in made.evidence["why"]


def test_ratings_that_are_not_in_the_answer_are_named() -> None:
    made = judged(PlayedModel(says(json.dumps(GOOD))))
    forged = made.model_copy(update={"evidence": {**made.evidence, "probability": 0.99}})
    assert Judge(SETTINGS).check(forged) == "contradictory"


@pytest.mark.parametrize(
    ("change", "then"),
    [
        ({}, 0.7), ({"probability": "70%"}, 0.7), ({"probability": "0.7"}, 0.7),
        ({"probability": 7}, None), ({"probability": -0.1}, None), ({"probability": "NaN"}, None),
        ({"probability": None}, None), ({"probability": True}, None), ({"probability": [1]}, None),
        ({"cause": 5}, None), ({"cause": "4/4"}, 0.7), ({"cause": "high"}, None),
    ],
)  # fmt: skip
def test_only_numbers_on_their_scale_are_ratings(
    change: dict[str, Any], then: float | None
) -> None:
    found = ratings("text {not json} " + json.dumps(GOOD | change))
    assert (found and found["probability"]) == then


def test_the_last_whole_object_counts() -> None:
    early, late = json.dumps(GOOD | {"probability": 0.1}), json.dumps(GOOD)
    found = ratings(f'```json\n{early}\n```\nOn reflection:\n{late}\n{{"why": "trailing"}}')
    assert found is not None
    assert found["probability"] == 0.7
    assert ratings("") is None


@given(
    st.text(max_size=300)
    | st.dictionaries(
        st.sampled_from(sorted(GOOD)), st.floats() | st.text(max_size=4) | st.none()
    ).map(json.dumps)
)
def test_any_answer_is_read_without_a_fault(text: str) -> None:
    found = ratings(text)
    assert found is None or 0 <= found["probability"] <= 1
