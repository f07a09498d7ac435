"""Tests that show the issue, written from its text alone or left by agents, run on a candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from swe_router import patch_files
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Candidate, Instance, Outcome, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, ModelRole, Stage, TestCell, VerdictSummary
from swe_router.verifiers.evidence_records import IssueTestEvidence, ReproductionEvidence
from swe_router.verifiers.patches import path_kinds, tampering
from swe_router.verifiers.reproduction import (
    issue_test_counts,
    test_oracles,
    test_writer,
    verdict_rules,
)
from swe_router.verifiers.reproduction.collection import CandidateTest, TestCollection
from swe_router.verifiers.reproduction.paired_runs import PairedRuns
from swe_router.verifiers.verdict_making import verdict_of_facts

NAME = "reproduction"


class ReproductionVerifier:
    """Verifier ``reproduction``: fails at the base for the issue's reason, must pass after.

    A test is evidence only if it fails at the base commit, and by rules (``reasons``) for the
    issue's reason; a script that ends well may also show the issue in what it prints
    (``oracles``). Each written test has one vote and each attempt that left tests has one; what
    the run under judgement left, or its own model wrote, is listed and has none.
    """

    evidence_type: type[EvidenceRecord] = ReproductionEvidence
    stage: Stage = "tests"
    runs_tests = True
    shares_tests = True
    asks: Mapping[ModelRole, str] = {"writer": test_writer.PROMPT}

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Run every usable test before and after.

        Raises ``VerifierError`` or ``SandboxError`` when it could not look.
        """
        candidate = outcome.candidate
        patch = candidate.patch if candidate else ""
        if candidate is None or not patch.strip():
            return _verdict_from(candidate, {"tests": {}, "why": "there is no patch to test"})
        files = patch_files.patch_summaries(patch)
        if files is None:
            return _verdict_from(
                candidate, {"tests": {}, "why": "the patch cannot be read as a diff"}
            )
        meddles = tampering.machinery_lines(files, path_kinds.is_test_predicate(context.graph))
        if meddles:
            why = f"the patch reaches for the machinery of tests: {meddles[0][:120]}"
            return _verdict_from(candidate, {"tests": {}, "meddles": meddles, "why": why})
        with PairedRuns(instance, context, self.settings.seconds) as runs:
            found = TestCollection(self.settings, outcome, peers, instance, context, runs)
            shown = found.written() | found.harvested()
            tests = {name: _test_facts(one, candidate, runs) for name, one in shown.items()}
        usd = sum((Decimal(call["usd"]) for call in found.calls), Decimal(0))
        facts: dict[str, Any] = {
            "tests": tests,
            "unusable": found.unusable,
            "written": found.asked,
            "usd": str(usd),
            "calls": found.calls,
        }
        facts["why"] = verdict_rules.why_text(ReproductionEvidence.model_validate(facts))
        return _verdict_from(candidate, facts)

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded texts, results and costs."""
        return verdict_rules.outcome_of(read_evidence(ReproductionEvidence, verdict))

    def cells(self, verdict: Verdict) -> Iterator[TestCell]:
        """See ``FillsMatrix``."""
        return issue_test_counts.cells(verdict)

    def signals_among(
        self, verdict: Verdict, verdicts: Sequence[Verdict], author: str
    ) -> Mapping[str, float]:
        """See ``GivesSignalsAmong``."""
        return issue_test_counts.votes(read_evidence(ReproductionEvidence, verdict), author)

    def ran(self, verdict: Verdict, author: str) -> bool:
        """See ``ShowsRuns``: a test that the author did not write has a vote."""
        found = issue_test_counts.votes(read_evidence(ReproductionEvidence, verdict), author)
        return any(not name.startswith("own") for name in found)

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        return issue_test_counts.summary(verdict)


def _test_facts(
    candidate_test: CandidateTest, candidate: Candidate, runs: PairedRuns
) -> dict[str, Any]:
    """A test as it stands in the evidence; what fails is run twice, for some tests are flaky."""
    kept: dict[str, Any] = {
        "source": candidate_test.origin,
        "by": candidate_test.maker,
        "own": candidate_test.is_self_authored,
        "digest": candidate_test.test.digest,
        "text": candidate_test.test.text,
        "way": candidate_test.test.run_mode,
        "place": candidate_test.test.folder,
        "base": "failed",
        "reason": candidate_test.oracle_reading.reason,
    }
    trial = runs.run_with_patch(candidate_test.test, candidate)
    kept |= test_oracles.run_facts(candidate_test.oracle_reading, trial)
    failed = _result_of(kept) == "failed"
    if (
        trial is not None
        and failed
        and not runs.is_confirmed(candidate_test.test, candidate, trial)
    ):
        kept |= {"flaky": True}
    return {**kept, "after": _result_of(kept)}


def _result_of(facts: Mapping[str, Any]) -> str:
    """What the recorded runs of a test come to."""
    return verdict_rules.result_of(IssueTestEvidence.model_validate(facts))


def _verdict_from(candidate: Candidate | None, facts: Mapping[str, Any]) -> Verdict:
    return verdict_of_facts(
        NAME, candidate, verdict_rules.outcome_of(ReproductionEvidence.model_validate(facts)), facts
    )
