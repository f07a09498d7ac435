"""A verdict, an ending, a count: each as words that fit on a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.records import Grade, Outcome, Verdict

MAX_NAMED_TESTS = 3
"""Tests that a sentence names."""
MAX_SENTENCE_CHARACTERS = 400
"""Characters of a sentence before it is cut at a word."""
EXIT_REASON_TEXTS = {
    "submitted": "",
    "budget": "dollar limit",
    "steps": "step limit",
    "time": "time limit",
    "gave_up": "gave up",
    "broke": "broken off",
    "interrupted": "interrupted",
    "stop_loss": "stopped early",
}
"""How an attempt ended; a submission needs no word."""
_COUNT_WITH_OPTIONAL_S = re.compile(r"\b(\d+)((?: [a-z-]+){1,3})\(s\)")
HIDDEN_EVIDENCE_KEYS = frozenset({"schema_version"})
"""Parts of the evidence that no person asks for."""


def counted_noun(number: int, singular: str, plural: str = "") -> str:
    """``1 step``, ``2 steps``, ``1 patch``, ``2 patches``."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def spelled_counts(text: str) -> str:
    """Text with ``3 file(s)`` as ``3 files`` and ``1 file(s)`` as ``1 file``."""
    return _COUNT_WITH_OPTIONAL_S.sub(lambda m: f"{m[1]}{m[2]}{'' if m[1] == '1' else 's'}", text)


def verdict_sentence(verdict: Verdict) -> str:
    """``repo-tests: fail, 2 of 61 tests broke: test_a, test_b``."""
    reason = _verdict_reason(verdict)
    return (
        f"{verdict.verifier}:"
        f" {verdict.outcome}{f', {_shortened_sentence(spelled_counts(reason))}' if reason else ''}"
    )


def _verdict_reason(verdict: Verdict) -> str:
    facts = verdict.evidence
    if verdict.broke:
        return f"it could not look: {verdict.broke}"
    counts = facts.get("counts")
    if isinstance(counts, Mapping) and verdict.outcome == "fail" and counts.get("broken"):
        before = counts.get("passed_before")
        head = f"{counts['broken']} of {before} tests broke" if before else "tests broke"
        return f"{head}{_names_after_colon(_broken_tests(facts.get('tests')))}"
    why = str(facts.get("why") or "")
    if verdict.decides:
        # The verdicts that it combines are printed above it.
        why = re.sub(r" \((?:[\w-]+ (?:pass|fail|unknown)(?:, )?)+\)", "", why)
    if verdict.outcome == "fail":
        why += _names_after_colon(_failing_issue_tests(facts.get("tests")))
    if why:
        return why
    plain = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in facts.items()
        if isinstance(value, int | float | str) and str(value) and key not in HIDDEN_EVIDENCE_KEYS
    ]
    if not plain and verdict.score is not None:
        return f"score {verdict.score:.2f}"
    return "; ".join(plain[:5])


def _broken_tests(tests: Any) -> list[str]:
    """Tests that passed before the patch and not after it."""
    if not isinstance(tests, Mapping):
        return []
    return [str(name) for name, results in tests.items() if isinstance(results, Sequence)
            and not isinstance(results, str) and len(results) > 1
            and results[0] == "passed" and results[1] != "passed"]  # fmt: skip


def _failing_issue_tests(tests: Any) -> list[str]:
    """Tests of the issue that still fail after the patch."""
    if not isinstance(tests, Mapping):
        return []
    return [
        str(name)
        for name, result in tests.items()
        if isinstance(result, Mapping) and result.get("after") in ("failed", "error")
    ]


def _names_after_colon(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MAX_NAMED_TESTS} more" if len(names) > MAX_NAMED_TESTS else ""
    return f": {', '.join(names[:MAX_NAMED_TESTS])}{more}"


def _shortened_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return (
        flat
        if len(flat) <= MAX_SENTENCE_CHARACTERS
        else f"{flat[:MAX_SENTENCE_CHARACTERS].rsplit(' ', 1)[0]} …"
    )


def attempt_sentence(outcome: Outcome) -> str:
    """A tier, how it ended, what came of its patch.

    ``local (submitted, accepted)``, or ``local (step limit; its patch passes)`` where it did not
    end by itself, so its patch is not handed in for that alone.
    """
    attempt = outcome.attempt
    if attempt.failure is not None:
        return f"{attempt.plan.arm} (broke: {attempt.failure.kind})"
    if attempt.trajectory.exit == "submitted" and outcome.candidate and outcome.candidate.patch:
        return f"{attempt.plan.arm} (submitted, {'accepted' if outcome.accepted else 'rejected'})"
    ending = "its patch passes" if outcome.accepted else "its patch is rejected"
    if outcome.candidate is None or not outcome.candidate.patch:
        ending = "no patch"
    ended = EXIT_REASON_TEXTS.get(attempt.trajectory.exit, attempt.trajectory.exit)
    return f"{attempt.plan.arm} ({'; '.join(filter(None, (ended, ending)))})"


def resolved_by_gold(grades: Mapping[str, Grade], gold_outcomes: Mapping[str, str]) -> str:
    """How many are resolved of the instances whose gold patch passes on this machine.

    ``gold_outcomes``: instance id -> outcome of its gold patch, of those graded here.
    """
    outcomes = {name: gold_outcomes.get(name) for name in grades}
    counted = [name for name, outcome in outcomes.items() if outcome == "resolved"]
    unknown = sum(outcome is None for outcome in outcomes.values())
    failed = len(outcomes) - len(counted) - unknown
    resolved = sum(grades[name].outcome == "resolved" for name in counted)
    share = f" ({resolved / len(counted):.1%})" if counted else ""
    return (
        f"resolved {resolved} of {len(counted)} whose gold patch passes on this machine{share};"
        f" not counted: {failed} whose gold patch fails here, {unknown} whose gold patch was not"
        " graded here"
    )
