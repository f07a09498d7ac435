"""What the verdicts of each verifier rest on, as typed records with a schema version.

Every field may be absent: a verdict that could not look says why and nothing else. Evidence of
before the first version has an empty ``schema_version``; fields that a later version adds are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from swe_router.verifier_abilities import EvidenceRecord


class EvidencePart(BaseModel):
    """Base of what stands inside a record; fields that a later version adds are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)


class AppliesEvidence(EvidenceRecord):
    """Whether a patch fits a fresh checkout, and the paths of each kind that it changes."""

    schema_version: Literal["", "applies-1"] = ""
    empty: bool = True
    applied: bool = False
    readable: bool = False
    source: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    docs: tuple[str, ...] = ()
    debris: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    files: int = 0
    deleted_tests: tuple[str, ...] = ()
    in_place: tuple[str, ...] = ()
    mended: str = ""
    git_output: str = Field(default="", alias="git_said")
    fitted_by: str = ""


class FileStatePair(EvidencePart):
    """How one file parses, or one module imports, at the base commit and after the patch."""

    base: str = ""
    after: str = ""
    error: str = Field(default="", alias="said")
    by: str = ""
    """What read the file."""
    aside: bool = False
    """The file is new and outside the project: an error in it is only noted."""


class SyntaxEvidence(EvidenceRecord):
    """How each changed source file parses and imports before and after."""

    schema_version: Literal["", "syntax-1"] = ""
    files: Mapping[str, FileStatePair] = {}
    imports: Mapping[str, FileStatePair] = {}
    not_looked_at: int = 0


class RepoTestsEvidence(EvidenceRecord):
    """Existing tests before and after the patch."""

    schema_version: Literal["", "repo-tests-1"] = ""
    runner: str = ""
    runner_seen: str = ""
    files: tuple[str, ...] = ()
    found_by: str = ""
    command: str = ""
    counts: Mapping[str, int] = {}
    tests: Mapping[str, tuple[str, str]] = {}
    """Test -> its result before and after."""
    listed: int = 0
    left_out: tuple[str, ...] = ()
    run_again: bool = False
    pairs: int = 0
    seconds: Mapping[str, float] = {}
    confirmed: bool | None = None
    broken_in: Mapping[str, int] = {}
    deleted_tests: tuple[str, ...] = ()
    put_back: tuple[str, ...] = ()
    """Test files and settings that the patch edits, in their base form for the runs."""
    taken_out: tuple[str, ...] = ()
    """New test files of the patch, absent for the runs."""
    meddles: tuple[str, ...] = ()
    """Lines of the patch that reach for the machinery of tests."""
    tampered: str = ""
    """How the report of a run was tampered with."""
    needed_network: tuple[str, ...] = ()
    """Tests that failed before the patch for lack of a network."""
    output_end: str = Field(default="", alias="said")


class IssueTestEvidence(EvidencePart):
    """One test of the issue with its results before and after the patch."""

    source: str = ""
    """``written`` by a model or ``harvested`` from an attempt."""
    by: str = ""
    """The model or the attempt."""
    own: bool = False
    """Left by the judged attempt itself."""
    digest: str = ""
    text: str = ""
    way: str = ""
    place: str = ""
    base: str = ""
    reason: str = ""
    """Why it fails at the base."""
    oracle: str = ""
    """What tells passed from failed: its ``result``, printed ``marks`` or its ``output``."""
    printed: str = Field(default="", alias="said")
    results: Mapping[str, tuple[str, str]] = {}
    """Test -> its result before and after."""
    marks: Mapping[str, tuple[int, int, int]] = {}
    """Word of failure -> lines at the base, lines that were no failure, lines after the patch."""
    outputs: tuple[str, str, str] = ("", "", "")
    """Digests at the base, after the author's own patch, and after the judged patch."""
    ended: str = ""
    """``well`` or ``badly``; empty when the end says nothing of the patch."""
    flaky: bool = False
    after: str = ""


class ReproductionEvidence(EvidenceRecord):
    """Tests of the issue, each with its text, its source and its result on the patch."""

    schema_version: Literal["", "reproduction-1"] = ""
    tests: Mapping[str, IssueTestEvidence] = {}
    unusable: Mapping[str, str] = {}
    written: int = 0
    meddles: tuple[str, ...] = ()


class BehaviourEvidence(EvidenceRecord):
    """Signals of the trajectory and of the patch, and the fit that weighed them."""

    schema_version: Literal["", "behaviour-1"] = ""
    signals: Mapping[str, float] = {}
    lift: float | None = None
    model: str = ""
    author: str = ""
    repo: str = ""


class PeerComparison(EvidencePart):
    """How like one other candidate's change this one is."""

    attempt: str = ""
    alike: float = 0.0
    """0 to 1; 1 for the same normalised change."""
    same_model: bool = False


class AgreementEvidence(EvidenceRecord):
    """How like the other candidates' changes a change is."""

    schema_version: Literal["", "agreement-1"] = ""
    independent: int = 0
    same_change: int = 0
    same_model: int = 0
    same_change_by_another_model: int = 0
    peers: tuple[PeerComparison, ...] = ()
    their_tests_passed: int = 0
    their_tests_failed: int = 0
    contested: tuple[str, ...] = ()


class JudgeEvidence(EvidenceRecord):
    """A model's answer and the ratings in it."""

    schema_version: Literal["", "judge-1"] = ""
    request: str = ""
    by: str = ""
    answer: str = ""
    rubric: Mapping[str, float] = {}
    probability: float | None = None
    reason: str = Field(default="", alias="said")
    model: str = ""


class AcceptanceEvidence(EvidenceRecord):
    """The signals of all other verdicts, the threshold, and what the threshold claims."""

    schema_version: Literal["", "acceptance-1"] = ""
    outcomes: Mapping[str, str] = Field(default_factory=dict, alias="said")
    """Verifier -> its outcome."""
    signals: Mapping[str, float] = {}
    unweighed: tuple[str, ...] = ()
    ran: bool = False
    model: str = ""
    empty: bool = False
    author: str = ""
    threshold: float | None = None
    claim: str = ""
    repo: str = ""
    same_change_as: str = ""
