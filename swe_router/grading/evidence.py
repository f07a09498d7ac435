"""A harness report and its log become a Grade: resolved only on evidence that nobody forged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from swe_router.grading import own_record
from swe_router.grading.gold import Gold
from swe_router.records import DATASET, Grade

START, END = ">>>>> Start Test Output", ">>>>> End Test Output"
EXIT = re.compile(r">>>>> Test Exit Code:\s*(-?\d+)")
NOT_FOUND = frozenset({"126", "127"})
"""Exit statuses with which a shell says that it could not start a command."""
NOT_APPLIED = ">>>>> Patch Apply Failed"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

PYTEST = frozenset(
    f"parse_log_{name}"
    for name in (
        *("pytest", "pytest_options", "pytest_v2", "seaborn", "matplotlib", "astroid", "flask"),
        *("marshmallow", "pvlib", "pyvista", "sqlfluff", "xarray", "pydicom", "requests"),
        *("pylint", "astropy", "scikit", "sphinx"),
    )
)
"""Log parsers of projects whose tests run with pytest."""
OTHERS = frozenset(("parse_log_django", "parse_log_sympy"))
"""Log parsers of projects with a runner of their own that writes a closing line."""

Outcome = Literal["resolved", "unresolved", "ungraded"]


@dataclass(frozen=True)
class HarnessVerdict:
    """What is graded, and where its files lie."""

    gold: Gold
    patch: str
    """SHA-256 of the patch."""
    log: Path
    """The evaluation's output."""

    def grade(self, outcome: Outcome, reason: str, **more: Any) -> Grade:
        """A grade with its reason and the place of the log."""
        evidence = {"reason": reason, **more}
        if self.log.exists():
            evidence["log"] = str(self.log)
        return Grade(
            instance_id=self.gold.instance_id, outcome=outcome, evidence=evidence, patch=self.patch
        )


def grade_of_report(judged: HarnessVerdict, report: Any) -> Grade:
    """The grade for swebench's report on one instance.

    Follows its verdict, but is ``ungraded`` where the report blames the environment, where the
    tests were never started, and where a "resolved" is not borne out by the log. Where the
    runner's own record contradicts the verdict, the verdict stands, with ``doubt`` next to it.
    """
    own_report = report.get(judged.gold.instance_id) if isinstance(report, Mapping) else None
    if not isinstance(own_report, Mapping):
        return judged.grade("ungraded", "the harness wrote a report without this instance")
    if own_report.get("infra_failure"):
        why = own_report.get("infra_failure_reason", "unknown")
        return judged.grade("ungraded", f"the environment failed: {why}")
    log = judged.log.read_text(encoding="utf-8", errors="replace") if judged.log.exists() else ""
    status = own_report.get("tests_status") or {}
    counts = _counts(status)
    doubt = own_record.find_doubts(judged.gold, ANSI.sub("", log), status)
    if doubt and own_report.get("patch_successfully_applied"):
        counts["doubt"] = doubt
    if own_report.get("resolved") is True:
        doubts = doubts_of(judged.gold, log)
        if doubts:
            return judged.grade("ungraded", "; ".join(doubts), **counts)
        return judged.grade("resolved", "all tests that must pass did", **counts)
    return _not_resolved(judged, bool(own_report.get("patch_successfully_applied")), counts, log)


def _not_resolved(judged: HarnessVerdict, read: bool, counts: Mapping[str, Any], log: str) -> Grade:
    """``read``: the harness could read test results from the log."""
    if read:
        return judged.grade("unresolved", "tests failed that must pass", **counts)
    if START not in log:
        last_line = next((line for line in reversed(log.splitlines()) if line.strip()), "nothing")
        return judged.grade(
            "ungraded",
            f"the tests were never started; the script last printed: {last_line.strip()[:300]}",
        )
    if NOT_FOUND.intersection(EXIT.findall(log)):
        return judged.grade("ungraded", "the test command could not be started")
    return judged.grade("unresolved", "the tests left no result that could be read")


def _counts(tests: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.lower(): {
            "passed": len(tests.get(name, {}).get("success", [])),
            "failed": list(tests.get(name, {}).get("failure", [])),
        }
        for name in ("FAIL_TO_PASS", "PASS_TO_PASS")
    }


def follows_from_counts(grade: Grade, dataset: str = DATASET) -> bool:
    """Whether a kept verdict is the one that the test counts kept with it give.

    Graders of other data sets may have rules beyond the counts: there a "resolved" must only not
    be contradicted by a failed test, a reward below 1 or an exit status of the tests.
    """
    counts = [grade.evidence.get(name) for name in ("fail_to_pass", "pass_to_pass")]
    known = [count for count in counts if isinstance(count, Mapping)]
    if dataset != DATASET:
        failed = any(count.get("failed") for count in known)
        short = float(grade.evidence.get("reward", 1)) < 1
        broken = grade.evidence.get("exit_after", "0") != "0"
        return grade.outcome != "resolved" or not (failed or short or broken)
    if grade.outcome == "ungraded" or not known:
        return grade.outcome != "resolved"
    bare = not any(count["failed"] or count["passed"] for count in known)
    if bare and grade.evidence.get("doubt"):
        return True  # of a row without tests the harness's word is all there is
    clean = not bare and not any(count["failed"] for count in known)
    return clean == (grade.outcome == "resolved")


def doubts_of(gold: Gold, log: str) -> list[str]:
    """Why a log that reads as resolved is no evidence; empty when it is."""
    text = ANSI.sub("", log)
    doubts = []
    if any(text.count(mark) > _shown(gold.eval_script, mark) for mark in (START, END)):
        doubts.append("the log holds its start or end marker more often than the script writes it")
    codes = EXIT.findall(text)
    if not codes:
        doubts.append("the exit status of the tests is missing")
    # Under `set -x` the one real echo shows twice: as traced, and as printed.
    elif len(set(codes)) > 1 or len(codes) > 2:
        doubts.append("the log holds more than one exit status of the tests")
    return doubts + _unfinished(gold, text, set(codes))


def _shown(script: str, mark: str) -> int:
    """How often a marker shows: once for a traced ``:``, and printed as well for an ``echo``."""
    lines = [line.strip() for line in script.splitlines() if mark in line]
    return sum(1 if line.startswith(":") else 2 for line in lines)


def _unfinished(gold: Gold, tests: str, codes: set[str]) -> list[str]:
    """A runner that ran says so at its end, with at least as many tests as it is credited.

    A script may call it several times: what they ran is added up. No closing line (``-qq``) is no
    doubt where the exit status is 0 and every credited test has a line of its own. Looked for in
    the whole log: Docker carries the markers (traced on stderr) and the tests' output in two
    streams, which may overtake each other.
    """
    if gold.log_parser not in PYTEST | OTHERS:
        return []
    every = {*gold.fail_to_pass, *gold.pass_to_pass}
    ran = own_record.count_closing_lines(tests)
    if not ran:
        named = (
            own_record.has_test_list(tests)
            and every <= own_record.read_own_record(tests).passed.keys()
        )
        return (
            []
            if named and every and codes == {"0"}
            else ["the test runner did not write its closing line"]
        )
    if gold.log_parser in OTHERS:
        return [] if any(ran) else ["the test runner ran no test"]
    files = {name.split("::")[0] for name in gold.fail_to_pass if "::" in name}
    credited = {name for name in every if "::" in name and name.split("::")[0] in files}
    if sum(ran) < len(credited):
        return [f"{len(credited)} tests are reported as passed, but only {sum(ran)} were run"]
    return []
