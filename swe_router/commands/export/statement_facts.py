"""What a run can prove of how it was made: the facts of the statement for a leaderboard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swe_router import recorded_verdicts
from swe_router.errors import UsageError
from swe_router.grading.hidden import search_hidden_tests
from swe_router.journal.header import Header, is_unchanged
from swe_router.journal.run_folder import RunFolder
from swe_router.records import IMPORTED, Attempt, Instance, Outcome, RunRecord
from swe_router.settings import Settings

CROSS_EVALUATION = "cross-evaluation"
"""In the place of a verifier: the comparison of several candidates."""
OFFLINE_SANDBOX_PREFIXES = ("docker:", "local:bwrap", "local:unshare")
"""Sandboxes without a network, by the beginning of their identity."""


def statement_of_run(run: RunFolder, header: Header) -> dict[str, Any]:
    """The facts as plain values; what cannot be established is reported as such."""
    records = run.records()
    attempts = [one.attempt for record in records.values() for one in record.outcomes]
    tests = list(provenance_of_tests(records))
    settings = header.settings
    return {
        "run": run.name,
        "split": settings.split,
        "policy": settings.policy.name,
        "selector": settings.selector,
        "code": header.code,
        "digest": header.digest,
        "settings_intact": is_unchanged(run),
        "recordings": header.recordings,
        "models": {name: tier.model for name, tier in settings.tiers.items()},
        "instances": len(run.instances()),
        "concluded": len(records),
        "attempts": _attempt_facts(records),
        "imported": sorted({one.source or "unnamed" for one in attempts if _is_imported(one)}),
        "fields": list(Instance.model_fields),
        "hidden": _hidden_test_facts(settings, records),
        "fitted": _fitted_files(header),
        "weights": _calibration_file(header),
        "tests": {
            "n": len(tests),
            "by_verifier": _count_by_key(tests, "verifier"),
            "by_source": _count_by_key(tests, "source"),
            "unnamed": _unnamed_test_verdicts(records),
        },
        "leak_guard": _leak_guard_facts(attempts),
        "audit": [
            {"attempt": f"{one.instance_id}/{one.id}", "kind": found.kind, "detail": found.detail}
            for one in attempts
            for found in one.audit
        ],
        "sandboxes": _sandbox_facts(attempts),
    }


def provenance_of_tests(records: Mapping[str, RunRecord]) -> Iterator[dict[str, Any]]:
    """Every test that a verdict rests on: id, source, its results at base and after the patch."""
    for record in records.values():
        for outcome in record.outcomes:
            for verdict in outcome.verdicts:
                tests = verdict.evidence.get("tests")
                if isinstance(tests, Mapping):
                    place = {
                        "instance_id": record.instance.id,
                        "attempt": outcome.attempt.id,
                        "verifier": verdict.verifier,
                    }
                    for name, found in tests.items():
                        yield {**place, "test": name, **_test_row(found)}
        yield from _cross_evaluation_rows(record)


def _cross_evaluation_rows(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Tests of one candidate that were run on another: no verdict holds them."""
    matrix = record.matrix
    for run in matrix.runs if matrix is not None else ():
        source = matrix.tests.get(run.test) if matrix is not None else None
        for outcome in record.outcomes:
            if outcome.candidate is not None and outcome.candidate.digest == run.patch:
                yield {
                    "instance_id": record.instance.id,
                    "attempt": outcome.attempt.id,
                    "verifier": CROSS_EVALUATION,
                    "test": run.test,
                    "source": source.kind if source else "unknown",
                    "by": source.by if source else "",
                    "base": source.base if source else "",
                    "after": run.after,
                    "digest": "",
                    "own": source is not None and source.by == outcome.attempt.id,
                }


def _test_row(test_evidence: Any) -> dict[str, Any]:
    if isinstance(test_evidence, Mapping):
        named = {
            key: test_evidence.get(key, "") for key in ("source", "by", "base", "after", "digest")
        }
        return {**named, "own": bool(test_evidence.get("own"))}
    pair = (
        isinstance(test_evidence, Sequence)
        and not isinstance(test_evidence, str)
        and len(test_evidence) > 1
    )
    base, after = (test_evidence[0], test_evidence[1]) if pair else ("", test_evidence)
    return {"source": "repo", "by": "base commit", "base": base, "after": after, "digest": "",
            "own": False}  # fmt: skip


def _count_by_key(tests: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    return dict(sorted(Counter(str(one[key]) for one in tests).items()))


def _unnamed_test_verdicts(records: Mapping[str, RunRecord]) -> int:
    """Verdicts that rest on tests of which the record names none."""
    return sum(
        bool(one.evidence.get("counts")) and "tests" not in one.evidence
        for outcome in _all_outcomes(records)
        for one in outcome.verdicts
    )


def _all_outcomes(records: Mapping[str, RunRecord]) -> Iterator[Outcome]:
    for record in records.values():
        yield from record.outcomes


def _is_imported(attempt: Attempt) -> bool:
    return bool(attempt.source) or attempt.plan.arm.model == IMPORTED


def _attempt_facts(records: Mapping[str, RunRecord]) -> dict[str, Any]:
    """Attempts per instance, without those that an infrastructure fault ended."""
    numbers, broke = {}, 0
    for name, record in records.items():
        lost = [one for one in record.outcomes if _is_infra_loss(one)]
        broke += len(lost)
        numbers[name] = len(record.outcomes) - len(lost)
    more = [name for name, number in numbers.items() if number > 1]
    return {
        "total": sum(numbers.values()),
        "most": max(numbers.values(), default=0),
        "instances_with_more": len(more),
        "broken_by_surroundings": broke,
    }


def _is_infra_loss(outcome: Outcome) -> bool:
    failure = outcome.attempt.failure
    left = outcome.candidate is not None and outcome.candidate.patch.strip()
    return failure is not None and not failure.counts and not left


def _judging_texts(record: RunRecord) -> dict[str, str]:
    """All that was seen when a record's candidates were judged: place -> text."""
    found = {
        f"{one.attempt.id} {verdict.verifier}": json.dumps(
            verdict.model_dump(mode="json")["evidence"], ensure_ascii=False
        )
        for one in record.outcomes
        for verdict in one.verdicts
    }
    if record.matrix is not None:
        found[CROSS_EVALUATION] = json.dumps(
            record.matrix.model_dump(mode="json"), ensure_ascii=False
        )
    return found


def _hidden_test_facts(settings: Settings, records: Mapping[str, RunRecord]) -> dict[str, Any]:
    """Whether a name of the hidden tests occurs in any evidence; looked up by the graders."""
    texts = {name: _judging_texts(record) for name, record in records.items()}
    try:
        found = search_hidden_tests(settings.split, texts, dataset_reader=settings.dataset)
    except UsageError as error:
        return {"checked": False, "why": str(error), "found": []}
    return {
        "checked": True,
        "why": "",
        "instances": found.instances,
        "names": found.names,
        "found": [f"{instance} {place}" for instance, place in found.found],
    }


def _fitted_files(header: Header) -> list[str]:
    """Files that were fitted on official results of past runs, and decided something here."""
    settings = header.settings
    found = []
    if settings.verify.calibration not in ("shipped", "none"):
        found.append(f"verify.calibration = {settings.verify.calibration}")
    if settings.stop_loss:
        found.append(f"stop_loss = {settings.stop_loss}")
    if "outcomes" in settings.policy.knobs:
        found.append(f"policy.knobs.outcomes = {settings.policy.knobs['outcomes']}")
    return found


def _calibration_file(header: Header) -> str:
    """Calibration that ``acceptance`` and ``behaviour`` used; empty where neither ran."""
    verify = header.settings.verify
    calibrated = recorded_verdicts.any_trait(verify.names, lambda one: one.calibrated)
    return verify.calibration if calibrated else ""


def _leak_guard_facts(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The leak guard of each attempt that was made here and had a sandbox."""
    here = [one for one in attempts if not _is_imported(one) and one.sandbox]
    proved = [one for one in here if one.leaks is not None and one.leaks.verified]
    return {
        "attempts": len(here),
        "verified": len(proved),
        "removed": sum(len(one.leaks.removed) for one in proved if one.leaks is not None),
        "not_verified": [f"{o.instance_id}/{o.id}" for o in here if o not in proved],
    }


def _sandbox_facts(attempts: Sequence[Attempt]) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    open_: list[str] = []
    for one in attempts:
        if _is_imported(one) or not one.sandbox:
            continue
        kind = one.sandbox.split(":sha256")[0]
        kinds[kind] += 1
        if not one.sandbox.startswith(OFFLINE_SANDBOX_PREFIXES):
            open_.append(f"{one.instance_id}/{one.id}")
    return {"kinds": dict(kinds), "with_a_network": open_}
