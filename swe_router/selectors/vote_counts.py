"""Counts shared by selectors: votes per change, passed tests, and who left each test."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from swe_router import recorded_verdicts
from swe_router.errors import UsageError
from swe_router.patch_identity import normalised_lines
from swe_router.records import CrossMatrix, Outcome
from swe_router.settings import Table
from swe_router.verifier_abilities import VerdictSummary

ChangeForm = tuple[str, ...]
K = TypeVar("K", bound=Table)


def validated_selector_knobs(selector: str, kind: type[K], given: Mapping[str, Any]) -> K:
    """A selector's knobs as a value. Raises ``UsageError`` with one line for each fault."""
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        faults = error.errors()
    messages = []
    for fault in faults:
        where = ".".join(str(part) for part in fault["loc"])
        known = ", ".join(sorted(kind.model_fields)) or "none"
        unknown = fault["type"] == "extra_forbidden"
        messages.append(
            f"there is no knob {where!r}: there is {known}"
            if unknown
            else f"knob {where!r}: {fault['msg']} (given: {fault['input']!r})"
        )
    raise UsageError(f"selector {selector!r}: " + "; ".join(messages))


def non_empty(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes whose candidate changes something."""
    return [one for one in outcomes if patch_of(one).strip()]


def patch_of(outcome: Outcome) -> str:
    """Its patch, or the empty string."""
    return outcome.candidate.patch if outcome.candidate is not None else ""


def change_form(outcome: Outcome) -> ChangeForm:
    """What its vote is for: the normalised change."""
    return normalised_lines(patch_of(outcome))


def change_size(form: ChangeForm) -> int:
    """Characters of a change."""
    return sum(len(line) for line in form)


def votes_per_change(outcomes: Sequence[Outcome]) -> Counter[ChangeForm]:
    """Candidates that made each change."""
    return Counter(change_form(one) for one in non_empty(outcomes))


def cannot_be_outvoted(votes: Mapping[ChangeForm, int], form: ChangeForm, left: int) -> bool:
    """True when ``left`` more candidates, all alike, would still have fewer votes than ``form``."""
    others = max((count for other, count in votes.items() if other != form), default=0)
    return votes[form] > others + left


def attempt_number(attempt_id: str) -> tuple[int, int]:
    """``12-weak.2`` as (12, 2): attempt ids count up as the ladder is climbed."""
    found = re.match(r"(\d+)", attempt_id)
    again = re.search(r"\.(\d+)\Z", attempt_id)
    return int(found.group(1)) if found else 0, int(again.group(1)) if again else 1


def earliest_first_key(outcome: Outcome) -> tuple[int, int, str, str]:
    """Sorts the earlier of two attempts above the later."""
    first, again = attempt_number(outcome.attempt.id)
    digest = outcome.candidate.digest if outcome.candidate else ""
    return -first, -again, digest, outcome.attempt.id


def has_no_hard_fail(outcome: Outcome) -> bool:
    """No verifier says fail; where ``acceptance`` weighed them, none whose fail is a fact.

    Of 138 real right patches 29 break an existing test, most by the issue's own wish: with all
    verdicts weighed, one such test is no veto.
    """
    weighed = outcome.weighed is not None
    return not any(
        recorded_verdicts.is_decisive_fail(one) if weighed else one.outcome == "fail"
        for one in outcome.verdicts
    )


def summaries(outcome: Outcome) -> list[VerdictSummary]:
    """What each verdict on its candidate shows."""
    return [recorded_verdicts.summary_of(one) for one in outcome.verdicts]


def broken_test_count(outcome: Outcome) -> int:
    """Existing tests that passed before the patch and fail after it."""
    return sum(one.broken for one in summaries(outcome))


def kept_test_share(outcome: Outcome) -> float | None:
    """Existing tests still passing over those that passed before, in hundredths; None without any.

    One broken test of hundreds is as often an old expectation as a fault.
    """
    found = summaries(outcome)
    before = sum(one.passed_before for one in found)
    return round(sum(one.still_pass for one in found) / before, 2) if before else None


def written_test_counts(outcome: Outcome) -> tuple[int, int]:
    """Tests written from the issue that its candidate passed, and that it passed or failed.

    Those that its own model wrote have no vote.
    """
    found = summaries(outcome)
    return (
        sum(one.issue_tests_passed for one in found),
        sum(one.issue_tests_ran for one in found),
    )


def preference(outcome: Outcome) -> float | None:
    """Where a verifier compares patches, how likely it finds this one; the first counts."""
    found = (one.preference for one in summaries(outcome))
    return next((one for one in found if one is not None), None)


def attempts_per_row(outcomes: Sequence[Outcome], matrix: CrossMatrix) -> dict[str, set[str]]:
    """Row of the matrix -> attempts whose candidate it stands for: they own their tests."""
    owners: dict[str, set[str]] = {}
    for one in non_empty(outcomes):
        digest = one.candidate.digest if one.candidate else ""
        owners.setdefault(matrix.same.get(digest, digest), set()).add(one.attempt.id)
    return owners


def pass_share_of_others_tests(
    outcomes: Sequence[Outcome], matrix: CrossMatrix | None
) -> dict[str, float]:
    """Digest -> mean share of the tests left by each other attempt that it passes.

    Each attempt has one vote however many tests it left; a test of a candidate's own run, or of
    one that made the same patch, has none. Absent where nobody else left a test that ran on it.
    """
    if matrix is None:
        return {}
    owners = attempts_per_row(outcomes, matrix)
    found: dict[str, float] = {}
    for digest, row in ((d, matrix.same.get(d, d)) for d in _digests(outcomes)):
        by: dict[str, list[bool]] = {}
        for test, result in matrix.row(digest).items():
            source = matrix.tests.get(test)
            if source is None or source.kind != "harvested" or result == "unknown":
                continue
            if owners[row].isdisjoint(source.by.split(", ")):
                by.setdefault(source.by, []).append(result == "passed")
        if by:
            shares = [sum(passed) / len(passed) for passed in by.values()]
            found[digest] = round(math.fsum(shares) / len(shares), 9)
    return found


def _digests(outcomes: Sequence[Outcome]) -> list[str]:
    return [one.candidate.digest for one in non_empty(outcomes) if one.candidate]
