"""Test oracles: by result, by printed failure words, or by output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from swe_router.verifiers.reproduction import failure_reasons, printed_output, usability
from swe_router.verifiers.reproduction.failure_reasons import IssueNames
from swe_router.verifiers.reproduction.single_run import TestTrial
from swe_router.verifiers.reproduction.usability import BaseResult

Oracle = Literal["result", "marks", "output"]


@dataclass(frozen=True)
class OracleReading:
    """A test as evidence, by its run at the base and, for a script, after its author's patch."""

    oracle: Oracle
    reason: str
    """Why it fails at the base and why that is the issue's reason."""
    base_run: TestTrial
    base_result: BaseResult | None = None
    """For ``result``."""
    failure_marks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """For the oracle ``marks``: word of failure -> lines at the base, lines that are no failure."""
    output_digests: tuple[str, str] = ("", "")
    """For ``output``: digests at the base and after the author's patch."""


class Unusable(Exception):
    """A test is no evidence; the text says why."""


def read_by_result(base: TestTrial, issue: IssueNames) -> OracleReading:
    """A test that fails at the base, as such. Raises ``Unusable``."""
    basis = usability.judge_base_run(base, issue)
    if not basis.usable:
        raise Unusable(basis.reason)
    return OracleReading("result", basis.reason, base, basis)


def read_harvested_test(
    base: TestTrial, fixed: TestTrial | None, issue: IssueNames
) -> OracleReading:
    """A test or script that an agent left; ``fixed`` is its run after that agent's own patch.

    Raises ``Unusable``.
    """
    if base.meddles:
        raise Unusable("it changes files of the repository")
    script = base.test_results.get("script")
    prints = script is not None and script.outcome == "passed" and not base.timed_out
    return _reading_by_print(base, fixed) if prints else _reading_by_result(base, fixed, issue)


def _reading_by_result(
    base: TestTrial, fixed: TestTrial | None, issue: IssueNames
) -> OracleReading:
    reading = read_by_result(base, issue)
    assert reading.base_result is not None
    if fixed is None:
        if not reading.base_result.named_by_issue:
            raise Unusable("its failure names nothing of the issue, and its author has no patch")
        return reading
    after = [now for _, now in usability.results_after(reading.base_result, base, fixed).values()]
    if set(after) != {"passed"}:
        raise Unusable("it does not pass after its own author's patch either")
    return reading


def _reading_by_print(base: TestTrial, fixed: TestTrial | None) -> OracleReading:
    if not base.test_results["script"].touched:
        raise Unusable("it called nothing of the project")
    counts = printed_output.failure_marks(base.output)
    if fixed is None:
        marks = {
            word: (n, 0)
            for word, n in counts.items()
            if word in printed_output.STRONG_FAILURE_WORDS
        }
        if not marks:
            raise Unusable("it passes at the base and prints no word of failure")
        return OracleReading("marks", _printed_reason(base, list(marks)), base, failure_marks=marks)
    if not _ran_to_end(fixed):
        raise Unusable("it does not end well after its own author's patch")
    calm = printed_output.failure_marks(fixed.output)
    marks = {word: (n, calm[word]) for word, n in counts.items() if n > calm[word]}
    if marks:
        return OracleReading("marks", _printed_reason(base, list(marks)), base, failure_marks=marks)
    outputs = printed_output.output_digest(base.output), printed_output.output_digest(fixed.output)
    if outputs[0] == outputs[1]:
        raise Unusable("it prints the same at the base and after its own author's patch")
    if printed_output.reports_success(base.output):
        raise Unusable("it says at the base that all is as it should be")
    if base.output_is_cut or fixed.output_is_cut:
        raise Unusable("it prints more than is kept")
    why = "script ends well and prints something else after its author's patch"
    return OracleReading("output", why, base, output_digests=outputs)


def run_facts(reading: OracleReading, trial: TestTrial | None) -> dict[str, Any]:
    """The kept part of the runs, enough for ``verdict_rules.result_of``; None: could not run."""
    printed = "no time was left, or the patch does not apply"
    if trial is not None:
        printed = trial.output.strip()[-600:]
    kept: dict[str, Any] = {"oracle": reading.oracle, "said": printed}
    if reading.oracle == "result":
        assert reading.base_result is not None
        kept["results"] = (
            usability.results_after(reading.base_result, reading.base_run, trial)
            if trial is not None
            else usability.results_not_run(reading.base_result)
        )
    elif reading.oracle == "marks":
        now = printed_output.failure_marks(trial.output) if trial is not None else {}
        kept["marks"] = {
            word: [bad, calm, now.get(word, 0)]
            for word, (bad, calm) in reading.failure_marks.items()
        }
        kept["ended"] = _way_it_ended(trial)
    else:
        kept["outputs"] = [
            *reading.output_digests,
            printed_output.output_digest(trial.output) if trial else "",
        ]
        kept["ended"] = _way_it_ended(trial)
    return kept


def _way_it_ended(trial: TestTrial | None) -> str:
    """``well``, ``badly``, or empty when that says nothing of the patch."""
    if trial is None or trial.timed_out or trial.tampered:
        return ""
    if _ran_to_end(trial):
        return "well"
    script = trial.test_results.get("script")
    return "" if script is not None and failure_reasons.is_test_at_fault(script) else "badly"


def _ran_to_end(trial: TestTrial) -> bool:
    script = trial.test_results.get("script")
    return trial.ended and script is not None and script.outcome == "passed"


def _printed_reason(base: TestTrial, words: list[str]) -> str:
    lines = (line.strip() for line in base.output.splitlines())
    line = next((line for line in lines if any(w in line.lower() for w in words)), "")
    return f"script ends well and prints {', '.join(sorted(words))}: {line[:200]}"
