"""A verdict, an ending, a count: each as words that fit on a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.records import Grade, Outcome, Verdict

NAMED = 3
"""Tests that a sentence names."""
LONG = 400
"""Characters of a sentence before it is cut at a word."""
ENDINGS = {
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
_PLURAL = re.compile(r"\b(\d+)((?: [a-z-]+){1,3})\(s\)")
UNSHOWN = frozenset({"schema_version"})
"""Parts of the evidence that no person asks for."""


def count(number: int, one: str, many: str = "") -> str:
    """``1 step``, ``2 steps``, ``1 patch``, ``2 patches``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def spelled_counts(text: str) -> str:
    """Text with ``3 file(s)`` as ``3 files`` and ``1 file(s)`` as ``1 file``."""
    return _PLURAL.sub(lambda m: f"{m[1]}{m[2]}{'' if m[1] == '1' else 's'}", text)


def verdict_sentence(one: Verdict) -> str:
    """``repo-tests: fail, 2 of 61 tests broke: test_a, test_b``."""
    reason = _because(one)
    return f"{one.verifier}: {one.outcome}{f', {_cut(spelled_counts(reason))}' if reason else ''}"


def _because(one: Verdict) -> str:
    facts = one.evidence
    if one.broke:
        return f"it could not look: {one.broke}"
    counts = facts.get("counts")
    if isinstance(counts, Mapping) and one.outcome == "fail" and counts.get("broken"):
        before = counts.get("passed_before")
        head = f"{counts['broken']} of {before} tests broke" if before else "tests broke"
        return f"{head}{_names(_broken(facts.get('tests')))}"
    why = str(facts.get("why") or "")
    if one.decides:
        # The verdicts that it combines are printed above it.
        why = re.sub(r" \((?:[\w-]+ (?:pass|fail|unknown)(?:, )?)+\)", "", why)
    if one.outcome == "fail":
        why += _names(_failing(facts.get("tests")))
    if why:
        return why
    plain = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in facts.items()
        if isinstance(value, int | float | str) and str(value) and key not in UNSHOWN
    ]
    if not plain and one.score is not None:
        return f"score {one.score:.2f}"
    return "; ".join(plain[:5])


def _broken(tests: Any) -> list[str]:
    """Tests that passed before the patch and not after it."""
    if not isinstance(tests, Mapping):
        return []
    return [str(name) for name, results in tests.items() if isinstance(results, Sequence)
            and not isinstance(results, str) and len(results) > 1
            and results[0] == "passed" and results[1] != "passed"]  # fmt: skip


def _failing(tests: Any) -> list[str]:
    """Tests of the issue that still fail after the patch."""
    if not isinstance(tests, Mapping):
        return []
    return [
        str(name)
        for name, result in tests.items()
        if isinstance(result, Mapping) and result.get("after") in ("failed", "error")
    ]


def _names(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f": {', '.join(names[:NAMED])}{more}"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONG else f"{flat[:LONG].rsplit(' ', 1)[0]} …"


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
    ended = ENDINGS.get(attempt.trajectory.exit, attempt.trajectory.exit)
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
