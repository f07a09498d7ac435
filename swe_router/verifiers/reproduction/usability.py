"""Whether a test is usable by its base run, and its result after a patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swe_router.verifiers.reproduction import failure_reasons
from swe_router.verifiers.reproduction.failure_reasons import IssueNames
from swe_router.verifiers.reproduction.single_run import TestTrial, TrialResult
from swe_router.verifiers.testing import comparison


@dataclass(frozen=True)
class BaseResult:
    """Usability of a test by its run at the base commit."""

    usable: bool
    reason: str
    """Why it fails and why that is the issue's reason, or why it cannot be used."""
    counted_functions: Mapping[str, TrialResult] = field(default_factory=dict)
    """Functions that count: those that failed for the issue's reason, those that passed."""
    named_by_issue: tuple[str, ...] = ()
    """What of the issue its failures name."""


def judge_base_run(trial: TestTrial, issue: IssueNames) -> BaseResult:
    """Judge a test by its run at the base commit."""
    if trial.tampered:
        return BaseResult(False, "its report was written to by someone else")
    if trial.timed_out:
        return BaseResult(False, f"it did not end within {trial.timeout_seconds:.0f} s at the base")
    if not trial.test_results:
        return BaseResult(False, f"no result at the base: {trial.output.strip()[-200:]}")
    counted: dict[str, TrialResult] = {}
    faults: list[str] = []
    named: set[str] = set()
    reason = ""
    for name, seen in trial.test_results.items():
        if seen.outcome == "passed":
            counted[name] = seen
        elif seen.outcome in ("failed", "error"):
            wrong = failure_reasons.why_not_evidence(seen, issue)
            if wrong:
                faults.append(f"{name}: {wrong}" if name != "load" else wrong)
                continue
            counted[name] = seen
            named |= set(failure_reasons.issue_mentions(seen, issue))
            reason = reason or _why_counted(name, seen, sorted(named))
    if not reason:
        return BaseResult(False, "; ".join(faults[:3]) or "it passes at the base")
    return BaseResult(True, reason, counted, tuple(sorted(named)))


def results_after(before: BaseResult, base: TestTrial, trial: TestTrial) -> dict[str, list[str]]:
    """Each function that counts -> its result at the base and after the patch."""
    if trial.tampered:
        return results_not_run(before)
    return {
        name: [
            "passed" if seen.outcome == "passed" else "failed",
            _result_of_function(name, seen, base, trial),
        ]
        for name, seen in before.counted_functions.items()
    }


def results_not_run(before: BaseResult) -> dict[str, list[str]]:
    """The same for a test that could not be run after the patch."""
    return {
        name: ["passed" if seen.outcome == "passed" else "failed", "unknown"]
        for name, seen in before.counted_functions.items()
    }


def _result_of_function(name: str, seen: TrialResult, base: TestTrial, trial: TestTrial) -> str:
    now = trial.test_results.get(name)
    if now is None and name == "load" and trial.test_results:
        others = [_result_after(one, seen) for one in trial.test_results.values()]
        return (
            "failed" if "failed" in others else "passed" if set(others) == {"passed"} else "unknown"
        )
    if now is not None:
        return _result_after(now, seen)
    if "load" in trial.test_results:
        return _result_after(trial.test_results["load"], seen)
    if trial.timed_out:
        patience = max(comparison.MIN_HUNG_SECONDS, comparison.HUNG_FACTOR * base.seconds)
        return "failed" if trial.timeout_seconds >= patience else "unknown"
    return "unknown" if trial.ended else "failed"


def _result_after(now: TrialResult, before: TrialResult) -> str:
    if now.outcome == "passed":
        return "passed"
    if now.outcome == "skipped":
        return "unknown"
    if before.outcome != "passed" and failure_reasons.is_same_failure(now, before):
        return "failed"
    return "unknown" if failure_reasons.is_test_at_fault(now) else "failed"


def _why_counted(name: str, seen: TrialResult, named: list[str]) -> str:
    failure = f"{seen.kind}: {seen.message}".strip(": ").splitlines()
    first = " ".join(line.strip() for line in failure if line.strip())[:240]
    if seen.where != "test" and seen.project:
        part = (
            f"through {seen.functions[-1]} of the project" if seen.functions else "in the project"
        )
    elif seen.phase == "load":
        part = "the issue asks for that name"
    else:
        part = f"of what the project gave: {seen.line}" if seen.line else "of what the project gave"
    suffix = f"; the issue names {', '.join(named[:5])}" if named else ""
    return f"{name} fails with {first} ({part}){suffix}"
