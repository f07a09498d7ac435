"""Behaviour: what it reads in the patch's shape and the run's conduct, and what moves nothing."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from swe_router.errors import UsageError
from swe_router.estimates.acceptance import behaviour_model as fits
from swe_router.records import WORKDIR, Action, Completion, Message, Step, ToolCall
from swe_router.settings import VerifySettings
from swe_router.verifiers.behaviour import BehaviourVerifier
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.signals import patch_signals, trajectory_signals
from tests.doubles.project import INSTANCE, outcome
from tests.doubles.weighed import KIT, diff

SETTINGS = VerifySettings()


def bash(command: str, code: int | None = 0, shown: str = "", say: str = "") -> Step:
    call = ToolCall(id=command, name="bash", arguments={"command": command})
    action = Action(call=call, observation=shown, exit_code=code)
    answer = Completion(message=Message(role="assistant", content=say))
    return Step(index=0, request="r", completion=answer, actions=(action,))


def test_the_issue_s_own_fix_and_names_are_seen() -> None:
    issue = "In `pkg/core.py` the method run() should do\n\n    return value or default\n"
    found = patch_signals.signals_of_patch(
        diff("    return value or default", "    return value"), issue, path_kinds.is_test
    )
    assert found["issue_fix_taken"] == found["issue_names_file"] == found["issue_names_scope"] == 1
    other = patch_signals.signals_of_patch(
        diff("    return None", path="pkg/other.py"), issue, path_kinds.is_test
    )
    assert other["issue_fix_taken"] == other["issue_names_file"] == 0


def test_tests_and_scratch_do_not_count_as_size() -> None:
    source = diff("    return 2", "    return 1")
    patch = source + diff("def test_a():\n    assert 1\n", path="tests/test_core.py")
    patch += "--- /dev/null\n+++ b/reproduce.py\n@@ -0,0 +1,1 @@\n+print(1)\n"
    found = patch_signals.signals_of_patch(patch, "", path_kinds.is_test)
    assert (found["patch_files"], found["patch_added"], found["patch_removed"]) == (1, 1, 1)
    assert (found["patch_tests"], found["patch_scratch"]) == (1, 1)
    assert patch_signals.signals_of_patch("no diff", "", path_kinds.is_test) == {}


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
    found = trajectory_signals.signals_of_trajectory(outcome("d").attempt, steps, WORKDIR)
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
    found = trajectory_signals.signals_of_trajectory(outcome("d").attempt, [step], WORKDIR)
    assert (found["run_edits"], found["run_files"], found["run_malformed"]) == (1, 1, 1)
    assert "run_error_share" not in found


def test_what_is_not_known_of_a_run_is_left_out_and_not_nought() -> None:
    assert trajectory_signals.signals_of_trajectory(outcome("d").attempt, (), WORKDIR) == {}
    verdict = BehaviourVerifier(SETTINGS).verify(outcome(diff("    return 2")), (), INSTANCE, KIT)
    assert all(not name.startswith("run_") for name in verdict.evidence["signals"])
    assert verdict.score is not None
    assert verdict.outcome == "unknown"


def test_dollars_of_an_unknown_author_are_not_compared() -> None:
    def score(model: str, usd: str) -> float | None:
        made = outcome(diff("    return 2"))
        spent = made.attempt.trajectory.model_copy(update={"steps": 30, "usd": Decimal(usd)})
        attempt = {"trajectory": spent, "source": f"preds.json {model} 1"}
        made = made.model_copy(update={"attempt": made.attempt.model_copy(update=attempt)})
        return BehaviourVerifier(SETTINGS).verify(made, (), INSTANCE, KIT).score

    assert score("some-model", "0.01") == score("some-model", "9")
    assert score("gemini-3-pro", "0.01") != score("gemini-3-pro", "9")


def test_a_long_run_and_a_large_patch_lower_the_score() -> None:
    small = BehaviourVerifier(SETTINGS).verify(outcome(diff("    return 2")), (), INSTANCE, KIT)
    branches = "\n".join(f"    if isinstance(x, T{n}):\n        y = {n}" for n in range(30))
    large = BehaviourVerifier(SETTINGS).verify(outcome(diff(branches)), (), INSTANCE, KIT)
    assert small.score is not None
    assert large.score is not None
    assert small.score > large.score
    assert small.evidence["lift"] > large.evidence["lift"]


def test_behaviour_without_a_calibration_tells_and_does_not_score() -> None:
    made = BehaviourVerifier(VerifySettings(calibration="none")).verify(
        outcome(diff("    return 2")), (), INSTANCE, KIT
    )
    assert made.score is None
    assert made.evidence["signals"]["patch_added"] == 1


def behaviour_rows(n: int = 120, repos: int = 4, flip: str = "") -> list[fits.BehaviourRow]:
    dice = np.random.default_rng(5)
    made = []
    for k in range(n):
        right = bool(dice.random() < 0.6)
        repo = f"o/r{k % repos}"
        steps = dice.normal(30 if right else 60, 10)
        made.append(
            fits.BehaviourRow(repo, {"run_steps": float(max(1, steps))}, right != (repo == flip))
        )
    return made


def test_a_behaviour_fit_never_saw_the_repository_that_it_scores() -> None:
    a, b = (fits.cross_validate_behaviour(behaviour_rows(flip=flip))[0] for flip in ("", "o/r2"))
    assert a["o/r2"] == b["o/r2"]
    assert a["o/r1"] != b["o/r1"]
    assert fits.behaviour_score(a[""], {"run_steps": 20.0}) > fits.behaviour_score(
        a[""], {"run_steps": 80.0}
    )
    assert abs(fits.behaviour_lift(a[""], {})) < 0.1
    with pytest.raises(UsageError, match="3 repositories"):
        fits.fit_behaviour(behaviour_rows(repos=2))


def test_a_probability_that_behaviour_does_not_give_is_named() -> None:
    judge = BehaviourVerifier(VerifySettings())
    made = judge.verify(outcome(diff("x = 2\n")), (), INSTANCE, KIT)
    assert made.score is not None
    assert judge.check(made) == "unknown"
    assert judge.check(made.model_copy(update={"score": 0.99})).startswith("contradictory")
    bare = {"signals": made.evidence["signals"], "model": made.evidence["model"]}
    assert judge.check(made.model_copy(update={"evidence": bare})) == "unknown", "an older record"
