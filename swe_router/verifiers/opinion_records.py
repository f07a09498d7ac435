"""What the verdicts of verifiers that only ask models rest on; see ``evidence_records``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from swe_router.verifier_abilities import EvidenceRecord
from swe_router.verifiers.evidence_records import EvidencePart


class Criterion(EvidencePart):
    """One line of a rubric: true or false of a diff."""

    text: str = ""
    weight: int = 1
    """3: a change without it is wrong; 2: important; 1: good to have."""
    axis: str = ""


class RubricEvidence(EvidenceRecord):
    """The rubric of an issue, and which of its criteria a model found met."""

    schema_version: Literal["", "rubric-1"] = ""
    criteria: Mapping[str, Criterion] = {}
    written_by: str = ""
    looks: int = 0
    """Searches and files that its writer asked for."""
    by: str = ""
    answer: str = ""
    code: str = ""
    """What the answer must repeat to count."""
    met: tuple[str, ...] | None = None


class Rating(EvidencePart):
    """How one of two changes was rated by one criterion, in one order."""

    other: str = ""
    """Key of the change that it was compared with."""
    criterion: str = ""
    place: Literal["first", "second"] = "first"
    """Where the judged change stood."""
    mine: Mapping[str, float] = {}
    """Letter -> probability, as the model's tokens gave them."""
    theirs: Mapping[str, float] = {}


class TournamentEvidence(EvidenceRecord):
    """The comparisons of one change with others, from which its mean preference follows."""

    schema_version: Literal["", "tournament-1"] = ""
    by: str = ""
    entrant: str = ""
    entrants: int = 0
    compared: int = 0
    """Pairs that were compared, of all entrants."""
    planned: int = 0
    settled_early: bool = False
    """The best could not change any more: the rest was not asked."""
    incomplete: str = ""
    """Why comparisons are missing."""
    ratings: tuple[Rating, ...] = ()


class Vote(EvidencePart):
    """One answer on which of two runs is better, seen from the judged one."""

    other: str = ""
    place: Literal["first", "second"] = "first"
    answer: str = ""
    code: str = ""
    won: bool | None = None
    """None for an answer without a vote."""


class BracketEvidence(EvidenceRecord):
    """The summary of a run, and the votes of its matches."""

    schema_version: Literal["", "summary-bracket-1"] = ""
    by: str = ""
    entrant: str = ""
    entrants: int = 0
    rounds: int = 0
    """Matches that the run won."""
    incomplete: str = ""
    summary: Mapping[str, str] = {}
    votes: tuple[Vote, ...] = ()
