"""What a verifier may say of itself, each an optional Protocol; one without any still works.

``seams.Verifier`` asks for ``verify`` and ``check`` alone. The rest is asked by ``isinstance``:

* ``HasStage``, ``IsDecisive``, ``RunsTests``, ``IsReusable``, ``ComparesCandidates``: when it runs,
  what a verdict allows;
* ``AsksModels``, ``NeedsLogprobs``, ``UsesCalibration``: what a run has to offer it;
* ``GivesSignals`` or ``GivesSignalsAmong``: numbers that ``acceptance`` weighs;
* ``TypesEvidence``: the record that its evidence is;
* ``ShowsRuns``, ``FillsMatrix``, ``SharesTests``, ``SummarisesVerdicts``: what its evidence shows.

The words that a person is shown are ``evidence["why"]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from pydantic import BaseModel, ConfigDict

from swe_router.records import TestResult, TestSource, Verdict

Stage = Literal["patch", "tests", "peers", "combination"]
"""``patch`` and ``tests`` look at one candidate; ``peers`` runs when these verdicts are known of
every candidate of a move; ``combination`` runs last, also after a decisive fail, and decides."""
Reuse = Literal["never", "text", "files"]
"""A verdict counts for one attempt, for the same patch text, or for patches that leave the same
files."""
ModelRole = Literal["writer", "judge"]


class EvidenceRecord(BaseModel):
    """Base of what the verdicts of one verifier rest on; the engine adds these fields to any.

    A subclass narrows ``schema_version`` to the versions that it reads: '' (evidence of before
    there was one) and its own, which is the last.
    """

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    schema_version: str = ""
    why: str = ""
    """What a person reads."""
    broke: str = ""
    """Why the verifier could not look."""
    same_as: str = ""
    """The attempt whose verdict this is."""
    usd: str = "0"
    """What the verdict's own model calls cost."""
    calls: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def version(cls) -> str:
        """The version that is written today."""
        return str(get_args(cls.model_fields["schema_version"].annotation)[-1])


@runtime_checkable
class TypesEvidence(Protocol):
    """Its evidence is a typed record; the engine holds each verdict against it."""

    evidence_type: type[EvidenceRecord]


@runtime_checkable
class HasStage(Protocol):
    """When it runs; ``tests`` without it."""

    stage: Stage


@runtime_checkable
class IsDecisive(Protocol):
    """Whether its ``fail`` is a fact, after which only combinations run; no without it."""

    decisive: bool


@runtime_checkable
class RunsTests(Protocol):
    """Whether it runs tests in sandboxes of its own, so that it may run next to another such one.

    Its ``pass`` and ``fail`` show that something ran (see ``ShowsRuns``). No without it.
    """

    runs_tests: bool


@runtime_checkable
class IsReusable(Protocol):
    """For which other candidates of the instance a verdict holds; ``never`` without it."""

    reuse: Reuse


@runtime_checkable
class ComparesCandidates(Protocol):
    """Whether its verdict depends on which other candidates there are; no without it.

    It is asked again, of each candidate of a move, when all of them are there: with everything that
    it paid for in ``VerificationContext.notes``.
    """

    compares: bool


@runtime_checkable
class BlocksRuns(Protocol):
    """Whether its ``fail`` means that no test of others can be run on the patch; no without it."""

    blocks_runs: bool


@runtime_checkable
class AsksModels(Protocol):
    """Which models of ``VerificationContext`` it asks, each with its prompt or prompts, or ''."""

    asks: Mapping[ModelRole, str | Sequence[str]]


@runtime_checkable
class NeedsLogprobs(Protocol):
    """In which role it needs a model that gives the probabilities of tokens; none without it."""

    needs_logprobs: ModelRole


@runtime_checkable
class UsesCalibration(Protocol):
    """Whether it reads the calibration of ``VerifySettings``; no without it."""

    calibrated: bool


@runtime_checkable
class ScoresAreProbabilities(Protocol):
    """Whether its score is a probability; yes without it, else a score only orders patches."""

    score_is_probability: bool


@runtime_checkable
class GivesSignals(Protocol):
    """Numbers for ``acceptance``; a new name has weight 0 until ``calibrate`` has learned one."""

    def signals(self, verdict: Verdict) -> Mapping[str, float]:
        """Signal -> a finite number, 0 for no evidence; pure over the recorded verdict."""
        ...


@runtime_checkable
class GivesSignalsAmong(Protocol):
    """The same where the other verdicts, or who made the patch, change what a verdict says."""

    def signals_among(
        self, verdict: Verdict, verdicts: Sequence[Verdict], author: str
    ) -> Mapping[str, float]:
        """``verdicts`` are all on the patch; ``author`` names the model that made it."""
        ...


@runtime_checkable
class RescoresVerdicts(Protocol):
    """A verifier whose opinion a new calibration changes."""

    def rescored(self, verdict: Verdict, author: str, repo: str, calibration: Any) -> Verdict:
        """The verdict as an ``estimates.acceptance.calibration.Calibration`` gives it."""
        ...


@runtime_checkable
class ShowsRuns(Protocol):
    """Whether something ran that is no opinion of the author's."""

    def ran(self, verdict: Verdict, author: str) -> bool:
        """Pure over the recorded verdict."""
        ...


@dataclass(frozen=True)
class TestCell:
    """One test on one patch, as it enters the matrix of candidates and tests."""

    __test__ = False  # pytest: a value of the product, not a test case

    test: str
    """The test's id, the same on every candidate."""
    source: TestSource
    after: TestResult
    printed: str = ""
    """The end of what it printed."""


@runtime_checkable
class FillsMatrix(Protocol):
    """Its runs enter the matrix of candidates and tests."""

    def cells(self, verdict: Verdict) -> Iterable[TestCell]:
        """Pure over the recorded verdict."""
        ...


@runtime_checkable
class SharesTests(FillsMatrix, Protocol):
    """Asked again at the end, with all attempts as peers, so that each test runs on each patch."""

    shares_tests: bool


@dataclass(frozen=True)
class VerdictSummary:
    """What a verdict's evidence shows, in the terms that selectors and reports count in."""

    passed_before: int = 0
    """Existing tests that passed at the base commit."""
    still_pass: int = 0
    broken: int = 0
    """Existing tests that passed before the patch and fail after it."""
    issue_tests_passed: int = 0
    """Tests written from the issue, the author's own apart, that pass."""
    issue_tests_ran: int = 0
    untidy: bool = False
    """The patch holds files that no maintainer would merge."""
    preference: float | None = None
    """Higher for the likelier of two patches, where the verifier compares them."""
    refused_by_text: bool = False
    """The patch was refused without a sandbox."""
    written_tests: Mapping[str, str] | None = None
    """Name -> text of each test that a model wrote for the verdict."""


@runtime_checkable
class SummarisesVerdicts(Protocol):
    """Tells selectors and reports what its evidence shows."""

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """Pure over the recorded verdict."""
        ...


@runtime_checkable
class JudgesText(Protocol):
    """Knows some wrong patches without a sandbox, as a forecast wants it."""

    def fails_by_text(self, patch: str) -> bool:
        """Whether the text of a patch alone fails it; that it applies is assumed."""
        ...


@dataclass(frozen=True)
class VerifierTraits:
    """What a verifier says of itself, with the defaults for what it does not say."""

    stage: Stage = "tests"
    decisive: bool = False
    runs_tests: bool = False
    reuse: Reuse = "never"
    blocks_runs: bool = False
    asks: Mapping[ModelRole, str | Sequence[str]] | None = None
    calibrated: bool = False
    score_is_probability: bool = True
    compares: bool = False
    needs_logprobs: ModelRole | None = None

    @property
    def combines(self) -> bool:
        """Its verdict is what all others come to."""
        return self.stage == "combination"


_ABILITIES: Mapping[type, str] = {
    HasStage: "stage",
    IsDecisive: "decisive",
    RunsTests: "runs_tests",
    IsReusable: "reuse",
    BlocksRuns: "blocks_runs",
    AsksModels: "asks",
    UsesCalibration: "calibrated",
    ScoresAreProbabilities: "score_is_probability",
    ComparesCandidates: "compares",
    NeedsLogprobs: "needs_logprobs",
}


def traits_of(verifier: object) -> VerifierTraits:
    """The traits of a verifier, third-party ones too."""
    found: dict[str, Any] = {
        name: getattr(verifier, name)
        for ability, name in _ABILITIES.items()
        if isinstance(verifier, ability)
    }
    return VerifierTraits(**found)


def shares_tests(verifier: object) -> bool:
    """Whether it is asked again with the tests of all attempts."""
    return isinstance(verifier, SharesTests) and verifier.shares_tests
