"""Collects the tests of one verdict: written from the issue, or left by attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from swe_router import patch_files
from swe_router.patch_identity import effect_digest
from swe_router.records import Candidate, Instance, Outcome
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifiers.patches import path_kinds, similarity
from swe_router.verifiers.reproduction import harvested_scripts, test_oracles, test_writer
from swe_router.verifiers.reproduction.failure_reasons import IssueNames
from swe_router.verifiers.reproduction.harvested_scripts import HarvestedScript
from swe_router.verifiers.reproduction.paired_runs import PairedRuns
from swe_router.verifiers.reproduction.single_run import Test
from swe_router.verifiers.reproduction.test_oracles import OracleReading, Unusable
from swe_router.verifiers.signals import authors

MAX_HARVESTED_PEERS = 8
"""Other attempts whose scripts are looked at, of those that left any."""


@dataclass(frozen=True)
class CandidateTest:
    """A usable test and its oracle."""

    test: Test
    oracle_reading: OracleReading
    origin: Literal["written", "harvested"]
    maker: str
    """Model that wrote it, or attempt that left it."""
    is_self_authored: bool
    """Left by the judged attempt, or written by its own model: it has no vote."""


class TestCollection:
    """Collects the tests for one candidate; what cannot be used is noted with its reason."""

    def __init__(
        self,
        settings: VerifySettings,
        judged: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
        paired_runs: PairedRuns,
    ) -> None:
        self.settings, self.judged, self.peers = settings, judged, peers
        self.instance, self.context, self.paired_runs = instance, context, paired_runs
        self.issue = IssueNames.of(instance.problem)
        self.unusable: dict[str, str] = {}
        self.calls: list[dict[str, Any]] = []
        """Calls of the writer that were charged for this verdict."""
        self.asked = 0

    def written(self) -> dict[str, CandidateTest]:
        """Tests of the writer that fail at the base for the issue's reason."""
        attempt = self.judged.attempt
        mine = bool(self.settings.writer) and self.settings.writer == attempt.plan.arm.model
        # Its own tests would have no vote: none is paid for now, those that are there are used.
        samples = test_writer.paid_test_count(self.context) if mine else self.settings.samples
        if self.context.writer is None or not samples:
            return {}
        around = self.paired_runs.repository_context()
        if not around.can_run_written_test:
            self.unusable["written"] = "no way is known here to run a written test of this project"
            return {}
        have, missing = test_writer.written_tests(
            samples, self.instance, around, self.context, attempt.id
        )
        self.unusable |= missing
        self.asked = len(have)
        self.calls = [one.call for one in have if one.charged_to == attempt.id]
        steps = self.context.steps(attempt.id)
        found: dict[str, CandidateTest] = {}
        for name, one in test_writer.distinct_tests(have).items():
            test = Test(text=one.text, run_mode=around.run_mode, folder=around.test_folder)
            try:
                if not one.text:
                    raise Unusable("the answer holds no test")
                reading = test_oracles.read_by_result(
                    self.paired_runs.run_at_base(test), self.issue
                )
                self.paired_runs.require_steady(test)
            except Unusable as error:
                self.unusable[name] = str(error)
                continue
            own = mine or authors.was_made_by(self.judged, steps, one.by)
            found[name] = CandidateTest(test, reading, "written", one.by, own)
        return self._naming_the_issue(found)

    def harvested(self) -> dict[str, CandidateTest]:
        """Scripts that the other attempts left, then those of the run under judgement itself."""
        found: dict[str, CandidateTest] = {}
        for maker, one in self._left_scripts():
            name = f"{maker.attempt.id}:{one.path}"
            try:
                reading = self._run_and_read(one, maker)
            except Unusable as error:
                self.unusable[name] = str(error)
                continue
            # A harvested script was selected because it passes with its author's patch, so it is
            # no evidence for any patch with the same edits.
            own = maker.attempt.id == self.judged.attempt.id or self._makes_same_edit(maker)
            found[name] = CandidateTest(one.test, reading, "harvested", maker.attempt.id, own)
        return found

    def _makes_same_edit(self, other: Outcome) -> bool:
        mine, theirs = self.judged.candidate, other.candidate
        if mine is None or theirs is None:
            return False
        return effect_digest(mine.patch) == effect_digest(theirs.patch)

    def _left_scripts(self) -> list[tuple[Outcome, HarvestedScript]]:
        """What was left, run at the base once; the same text counts for who left it first."""
        found: list[tuple[Outcome, HarvestedScript]] = []
        texts: set[str] = set()
        for maker, scripts in (
            *self._peers_with_scripts(),
            (self.judged, self._scripts_of(self.judged)),
        ):
            for one in scripts:
                name = f"{maker.attempt.id}:{one.path}"
                try:
                    if one.test.digest in texts:
                        raise Unusable("another attempt left the same text")
                    self.paired_runs.run_at_base(one.test)
                except Unusable as error:
                    self.unusable[name] = str(error)
                    continue
                texts.add(one.test.digest)
                found.append((maker, one))
        return found

    def _peers_with_scripts(self) -> list[tuple[Outcome, Sequence[HarvestedScript]]]:
        """The other attempts that left scripts; of too many, a fixed subset."""
        makers = [(one, left) for one in self.peers if (left := self._scripts_of(one))]
        ranked = sorted(makers, key=lambda one: one[0].attempt.trajectory.fingerprint())
        over = {one.attempt.id for one, _ in ranked[MAX_HARVESTED_PEERS:]}
        for key in sorted(over):
            self.unusable[key] = f"passed over: {MAX_HARVESTED_PEERS} other attempts left scripts"
        return [(one, left) for one, left in makers if one.attempt.id not in over]

    def _scripts_of(self, maker: Outcome) -> Sequence[HarvestedScript]:
        steps = self.context.steps(maker.attempt.id)
        return (
            harvested_scripts.harvest_scripts(
                steps, self._is_known_path(maker.candidate), self.instance.workdir
            )
            if steps
            else ()
        )

    def _run_and_read(self, one: HarvestedScript, maker: Outcome) -> OracleReading:
        patch = maker.candidate
        base = self.paired_runs.run_at_base(one.test)
        fixed = None
        if patch is not None and patch.patch.strip() and not base.timed_out:
            fixed = self.paired_runs.run_with_patch(one.test, patch)
        reading = test_oracles.read_harvested_test(base, fixed, self._issue_names(maker))
        self.paired_runs.require_steady(one.test)
        return reading

    def _issue_names(self, maker: Outcome) -> IssueNames:
        """The issue, and the names that most patches of others than the maker bring along.

        An issue that asks for a new option seldom names it. What its maker made up alone judges
        nobody; what most others, by other models, came to as well is how the issue reads.
        """
        model = self._author_of(maker)
        every = [one for one in (*self.peers, self.judged) if one.candidate is not None]
        others = [one for one in every if self._author_of(one) != model]
        patches = {effect_digest(one.candidate.patch): one.candidate.patch for one in others}  # type: ignore[union-attr]
        brought = [_identifiers_added(patch) for patch in patches.values()]
        tally = Counter(name for names in brought for name in names)
        agreed = {name for name, count in tally.items() if count >= max(2, len(brought) / 2)}
        return replace(self.issue, words=self.issue.words | agreed)

    def _author_of(self, one: Outcome) -> str:
        return authors.author_key(one, self.context.steps(one.attempt.id))

    def _is_known_path(self, candidate: Candidate | None) -> Callable[[str], bool]:
        """Whether a path is the repository's, or source of the patch that was handed in."""
        known = set(self.paired_runs.repository_context().base_files)
        patch = candidate.patch if candidate else ""
        for file in patch_files.patch_summaries(patch) or ():
            if not path_kinds.is_test(file.path) and not path_kinds.is_scratch(file.path):
                known.add(file.path)
        return known.__contains__

    def _naming_the_issue(self, found: dict[str, CandidateTest]) -> dict[str, CandidateTest]:
        """Those whose failure names what the issue names, where there are such."""
        named = {
            name: one
            for name, one in found.items()
            if one.oracle_reading.base_result and one.oracle_reading.base_result.named_by_issue
        }
        if not named:
            return found
        for name in found.keys() - named.keys():
            self.unusable[name] = "its failure names nothing of the issue, as another's does"
        return named


def _identifiers_added(patch: str) -> set[str]:
    """Identifiers that a patch adds to the sources and takes away nowhere."""
    tokens = {token for token, _ in similarity.normalised_change(patch).token_counts}
    added = {
        token[1:] for token in tokens if token.startswith("+") and f"-{token[1:]}" not in tokens
    }
    return {name for name in added if name.isidentifier() and len(name) > 2}
