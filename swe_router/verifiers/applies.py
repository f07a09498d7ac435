"""Asks of a patch that it fits a fresh checkout and changes the project, not only its tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swe_router import patch_files
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Candidate, Instance, Outcome, Verdict
from swe_router.seams import CONTINUED_PREFIX, FITTED_PREFIX, VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, Reuse, Stage, VerdictSummary
from swe_router.verifiers.evidence_records import AppliesEvidence
from swe_router.verifiers.patches import changed_files, path_kinds
from swe_router.verifiers.verdict_making import verdict_of_facts

NAME = "applies"
MAX_LISTED_PATHS = 50
"""Paths listed in the evidence, of each kind."""


class AppliesVerifier:
    """Verifier ``applies``: pass or fail, by facts that anyone can check again with git."""

    evidence_type: type[EvidenceRecord] = AppliesEvidence
    stage: Stage = "patch"
    decisive = True
    reuse: Reuse = "text"  # whether it applies depends on context lines, which its effect hides
    blocks_runs = True

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Apply the candidate to a fresh start state and read what it touches."""
        candidate = outcome.candidate
        patch = candidate.patch if candidate else ""
        facts = patch_text_facts(patch, path_kinds.is_test_predicate(context.graph))
        if candidate and candidate.mended:
            facts["mended"] = candidate.mended
        if patch.strip():
            with context.open_sandbox(instance) as sandbox:
                result = context.apply(sandbox, patch)
            facts["applied"] = result.exit_code == 0 and not result.timed_out
            if not facts["applied"]:
                facts["git_said"] = result.output[-1000:]
            elif result.output.startswith(FITTED_PREFIX):
                facts["fitted_by"] = result.output.splitlines()[0].removeprefix(FITTED_PREFIX)
            elif result.output.startswith(CONTINUED_PREFIX):
                _ignore_files_in_place(
                    facts, result.output.splitlines()[0].removeprefix(CONTINUED_PREFIX).split(", ")
                )
        return applies_verdict(candidate, facts)

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded facts."""
        return applies_outcome(read_evidence(AppliesEvidence, verdict))

    def fails_by_text(self, patch: str) -> bool:
        """See ``JudgesText``."""
        facts = patch_text_facts(patch, path_kinds.is_test_predicate(None)) | {"applied": True}
        return applies_outcome(AppliesEvidence.model_validate(facts)) == "fail"

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        facts, failed = read_evidence(AppliesEvidence, verdict), verdict.outcome == "fail"
        return VerdictSummary(
            untidy=bool(facts.debris or facts.scratch),
            refused_by_text=failed and (facts.empty or facts.applied),
        )


def patch_text_facts(patch: str, is_test: Callable[[str], bool]) -> dict[str, Any]:
    """What the text of a patch says, with the paths of each kind."""
    files = patch_files.patch_summaries(patch)
    facts: dict[str, Any] = {
        "empty": not patch.strip(),
        "applied": False,
        "readable": files is not None,
    }
    kinds: dict[str, list[str]] = {
        kind: [] for kind in ("source", "tests", "docs", "debris", "scratch")
    }
    for file in files or ():
        if not file.dataless:
            kinds[_file_kind(file, is_test)].append(file.path)
    for kind, found in kinds.items():
        facts[kind] = found[:MAX_LISTED_PATHS]
    facts["files"] = sum(len(found) for found in kinds.values())
    facts["deleted_tests"] = changed_files.deleted_tests(files or (), is_test)[:MAX_LISTED_PATHS]
    return facts


def _ignore_files_in_place(facts: dict[str, Any], paths_in_place: Sequence[str]) -> None:
    """Files that the start state holds already as patched are no change of the candidate's."""
    facts["in_place"] = list(paths_in_place)[:MAX_LISTED_PATHS]
    for kind in ("source", "tests", "docs", "debris", "scratch"):
        facts[kind] = [path for path in facts[kind] if path not in paths_in_place]


def applies_outcome(facts: AppliesEvidence) -> str:
    """The outcome that the facts stand for."""
    if facts.empty or not facts.applied:
        return "fail"
    if not facts.readable:
        return "unknown"
    if facts.deleted_tests or facts.debris or not facts.source:
        return "fail"
    return "pass"


def applies_verdict(candidate: Candidate | None, facts: dict[str, Any]) -> Verdict:
    """The verdict, with one line that says why."""
    outcome = applies_outcome(AppliesEvidence.model_validate(facts))
    facts["why"] = _reason_line(facts)
    return verdict_of_facts(NAME, candidate, outcome, facts)


def _file_kind(file: patch_files.PatchSummary, is_test: Callable[[str], bool]) -> str:
    if path_kinds.is_git_internal(file.path):
        return "debris"
    if path_kinds.is_debris(file.path) and not file.deleted:
        return "debris" if not file.before else "source"
    if path_kinds.is_scratch(file.path) and not file.before:
        return "scratch"
    if is_test(file.path):
        return "tests"
    return "docs" if path_kinds.is_doc(file.path) else "source"


def _reason_line(facts: Mapping[str, Any]) -> str:
    reasons = {
        "the patch is empty": facts["empty"],
        "it does not apply to a fresh checkout": not facts["empty"] and not facts["applied"],
        "its text cannot be read as a diff": not facts["readable"],
        f"it takes tests away: {', '.join(facts['deleted_tests'][:3])}": facts["deleted_tests"],
        f"it leaves debris: {', '.join(facts['debris'][:3])}": facts["debris"],
        "it touches no source file": not facts["empty"] and not facts["source"],
    }
    faults = [reason for reason, holds in reasons.items() if holds]
    how = [f"only by {facts['fitted_by']}"] if facts.get("fitted_by") else []
    if facts.get("mended"):
        how.append(f"once {facts['mended']} (as its file has it, it is refused when graded)")
    manner = " ".join(how) or "cleanly"
    return (
        "; ".join(faults) or f"applies {manner} and changes {len(facts['source'])} source file(s)"
    )
