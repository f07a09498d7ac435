"""Results of each candidate's patch on each test: the input of selection and error rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from swe_router.records.frozen import FrozenRecord, escape_undecodable

TestResult = Literal["passed", "failed", "unknown"]
EscapedText = Annotated[str, BeforeValidator(escape_undecodable)]
"""Text of somebody else, which may be no text."""


class TestSource(FrozenRecord):
    """Where a test of the matrix came from; none comes from the answer key."""

    kind: Literal["repo", "written", "harvested"]
    """An existing test, one written by a model from the issue, one left in a trajectory."""
    by: str = ""
    """Its file, the model that wrote it, or the attempt that left it."""
    base: str = ""
    """Its result at the base commit."""


class CrossRun(FrozenRecord):
    """A test of one candidate run on an earlier one, which no verdict tells of."""

    patch: str
    """Digest of the patch that it was run on."""
    test: EscapedText
    """Test id of the matrix."""
    after: TestResult
    said: EscapedText = ""
    """Excerpt of what it printed."""


class CrossMatrix(FrozenRecord):
    """Candidates x tests, each pair run once."""

    tests: Annotated[Mapping[str, TestSource], BeforeValidator(escape_undecodable)] = Field(
        default_factory=dict
    )
    """Test id -> its source."""
    results: Annotated[
        Mapping[str, Mapping[str, TestResult]], BeforeValidator(escape_undecodable)
    ] = Field(default_factory=dict)
    """Digest of a patch -> test id -> result."""
    same: Mapping[str, str] = Field(default_factory=dict)
    """Digest of each candidate -> the digest whose row of ``results`` stands for it."""
    runs: tuple[CrossRun, ...] = ()
    """What was run beyond the verdicts, so that each pair has a result."""

    def row(self, digest: str) -> Mapping[str, TestResult]:
        """Results of a candidate; empty when it was not run."""
        return self.results.get(self.same.get(digest, digest), {})
