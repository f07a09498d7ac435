"""What the verdicts of each verifier rest on, as typed records with a schema version.

Every field may be absent: a verdict that could not look says why and nothing else. Evidence of
before the first version has an empty ``schema_version``; fields that a later version adds are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from swe_router.verifier_abilities import EvidenceRecord


class AppliesEvidence(EvidenceRecord):
    """Whether a patch fits a fresh checkout, and the paths of each kind that it changes."""

    schema_version: Literal["", "applies-1"] = ""
    empty: bool = False
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


class SyntaxEvidence(EvidenceRecord):
    """How each changed source file parses and imports before and after."""

    schema_version: Literal["", "syntax-1"] = ""
    files: Mapping[str, Mapping[str, Any]] = {}
    imports: Mapping[str, Mapping[str, Any]] = {}
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


class ReproductionEvidence(EvidenceRecord):
    """Tests of the issue, each with its text, its source and its result on the patch."""

    schema_version: Literal["", "reproduction-1"] = ""
    tests: Mapping[str, Mapping[str, Any]] = {}
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


class AgreementEvidence(EvidenceRecord):
    """How like the other candidates' changes a change is."""

    schema_version: Literal["", "agreement-1"] = ""
    independent: int = 0
    same_change: int = 0
    same_model: int = 0
    same_change_by_another_model: int = 0
    peers: tuple[Mapping[str, Any], ...] = ()
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
