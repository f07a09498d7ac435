"""Runs the tests near the change before and after it: what passed must still pass."""

from __future__ import annotations

import contextlib
import functools
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from swe_router import patch_files
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Candidate, Instance, Outcome, Verdict
from swe_router.seams import Sandbox, VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, Reuse, Stage, TestCell, VerdictSummary
from swe_router.verifiers import start_state
from swe_router.verifiers.evidence_records import RepoTestsEvidence
from swe_router.verifiers.patches import changed_files, path_kinds, tampering
from swe_router.verifiers.testing import comparison, existing_test_counts, nearby_tests, runners
from swe_router.verifiers.testing.batches import MIN_BATCH_SECONDS, Batch, merged_run
from swe_router.verifiers.testing.before_after import BeforeAfterResult, BeforeAfterRunner
from swe_router.verifiers.testing.results import TestRun
from swe_router.verifiers.verdict_making import verdict_of_facts

NAME = "repo-tests"
MAX_DEADLINE_SHARE = 0.6
"""Share of the time left until the common deadline that this verifier takes at most."""
CLOSING_SECONDS = 10.0
"""Seconds kept for ending a run that is cut and closing its sandbox."""
BASE_RUNS_SHARE = 0.35
"""Share of its own time that it gives to runs at the base."""


class RepoTestsVerifier:
    """Verifier ``repo-tests``: existing tests at the base commit and after the patch.

    Only a test that passed before and fails after counts against a patch, and only when further
    pairs of runs say so again. A patch has no vote on itself: test files and test settings that
    it edits are put back to their base form, new ones are taken out. Reads nothing but what the
    repository shows.
    """

    evidence_type: type[EvidenceRecord] = RepoTestsEvidence
    stage: Stage = "tests"
    runs_tests = True
    reuse: Reuse = "files"

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Run the nearest tests before and after.

        Raises ``VerifierError`` or ``SandboxError`` when it could not look.
        """
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return _verdict_from(candidate, {"why": "there is no patch to test"})
        files = patch_files.patch_summaries(candidate.patch)
        if files is None:
            return _verdict_from(candidate, {"why": "the patch cannot be read as a diff"})
        is_test = path_kinds.is_test_predicate(context.graph)
        gone = changed_files.deleted_tests(files, is_test)
        if gone:
            why = f"the patch takes tests away: {', '.join(gone[:3])}"
            return _verdict_from(candidate, {"deleted_tests": gone[:50], "why": why})
        return _RepoTestsRun(self.settings, candidate, files, instance, context).verdict()

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded test results."""
        return comparison.outcome_of(read_evidence(RepoTestsEvidence, verdict))

    def cells(self, verdict: Verdict) -> Iterator[TestCell]:
        """See ``FillsMatrix``."""
        return existing_test_counts.cells(verdict)

    def signals_among(
        self, verdict: Verdict, verdicts: Sequence[Verdict], author: str
    ) -> Mapping[str, float]:
        """See ``GivesSignalsAmong``."""
        return existing_test_counts.signals(verdict, verdicts)

    def summary(self, verdict: Verdict) -> VerdictSummary:
        """See ``SummarisesVerdicts``."""
        return existing_test_counts.summary(verdict)


class _RepoTestsRun:
    """One verdict in the making."""

    def __init__(
        self,
        settings: VerifySettings,
        candidate: Candidate,
        files: Sequence[patch_files.PatchSummary],
        instance: Instance,
        context: VerificationContext,
    ) -> None:
        self.candidate, self.files, self.instance, self.context = (
            candidate,
            files,
            instance,
            context,
        )
        self.max_test_files = settings.max_test_files
        now = context.clock()
        self.deadline = now + settings.seconds - min(CLOSING_SECONDS, 0.05 * settings.seconds)
        if context.deadline:
            self.deadline = min(self.deadline, now + MAX_DEADLINE_SHARE * (context.deadline - now))
        self.is_test = path_kinds.is_test_predicate(context.graph)
        self.facts: dict[str, Any] = {}

    def verdict(self) -> Verdict:
        if self.deadline - self.context.clock() < MIN_BATCH_SECONDS:
            return self._unknown("out of time before a test could be run")
        with contextlib.ExitStack() as sandboxes:

            @functools.cache
            def fresh_sandbox() -> Sandbox:
                return sandboxes.enter_context(self.context.open_sandbox(self.instance))

            start = self._start_state(fresh_sandbox)
            hint = self.context.runner_hint
            runner = runners.choose_runner(set(start.runner_facts), self._source_suffixes(), hint)
            if not runner or (
                not start.python_path and runners.RUNNERS[runner].parse_report is None
            ):
                return self._unknown("no test runner known here fits the repository")
            self.facts |= {
                "runner": runner,
                "runner_seen": runners.RUNNERS[runner].parser_checked_on,
            }
            tests = self._nearest_tests(start, runner)
            if not tests:
                return self._unknown("no existing test lies near the change")
            runs = self._before_after_runner(start, runner)
            batches = runs.run_at_base(tests, BASE_RUNS_SHARE, fresh_sandbox)
        before = merged_run(batches)
        if "passed" not in before.result_by_test.values():
            return self._verdict_without_passing_tests(batches, before)
        return self._verdict_after_patch(runs, batches, tests)

    def _verdict_after_patch(
        self, runs: BeforeAfterRunner, batches: Sequence[Batch], tests: Sequence[str]
    ) -> Verdict:
        trial = runs.run_with_patch(batches, self.candidate.patch)
        if not trial.applied:
            return self._unknown("the patch does not apply")
        if not trial.batches_run:
            return self._unknown("out of time before the patch could be tested")
        runs.confirm_broken(trial, self.candidate.patch)
        return self._verdict_of(tests, trial)

    def _source_suffixes(self) -> list[str]:
        sources = [f.path for f in self.files if not self.is_test(f.path)]
        tally = Counter(posixpath.splitext(path)[1] for path in sources)
        return [ending for ending, _ in tally.most_common()]

    def _nearest_tests(self, start: start_state.StartStateFacts, runner: str) -> list[str]:
        """Nearest test files, the patch's own edits of old ones first."""
        known = [path for path in start.files if runners.RUNNERS[runner].is_test_file(path)]
        changed = [f for f in self.files if not self.is_test(f.path)]
        edited = [f.before for f in self.files if f.before in set(known)]
        near, by = nearby_tests.nearest_tests(
            changed, known, self.context.graph, self.max_test_files
        )
        tests = list(dict.fromkeys([*edited, *near]))[: self.max_test_files]
        self.facts |= {
            "files": tests,
            "found_by": by,
            "command": runners.shown_command(runner, tests),
        }
        return tests

    def _before_after_runner(
        self, start: start_state.StartStateFacts, runner: str
    ) -> BeforeAfterRunner:
        old, new = tampering.paths_to_restore(self.files, self.is_test)
        meddles = tampering.machinery_lines(self.files, self.is_test)
        noted = {"put_back": old, "taken_out": new, "meddles": meddles}
        self.facts |= {key: found for key, found in noted.items() if found}
        return BeforeAfterRunner(
            self.context, self.instance, runner, start.python_path, self.deadline, old, new
        )

    def _verdict_of(self, tests: Sequence[str], trial: BeforeAfterResult) -> Verdict:
        before = merged_run(trial.batches_run)
        ran = [path for batch in trial.batches_run for path in batch.files]
        facts = self.facts | comparison.evidence_of(trial.results_after, before)
        facts |= {
            "files": ran,
            "command": runners.shown_command(self.facts["runner"], ran),
            "left_out": [path for path in tests if path not in ran],
            "run_again": trial.confirming_pairs > 0,
            "pairs": trial.confirming_pairs,
            "seconds": {"before": round(before.seconds, 3), "after": round(trial.seconds, 3)},
        }
        if trial.broken_tests:
            facts["confirmed"] = trial.confirmed
            # Where they lie: a break far from the change is a break, but says less.
            facts["broken_in"] = Counter(
                before.file_by_test.get(test, "") for test in trial.broken_tests
            )
        tampered = trial.tampered or next((b.base_run.tampered for b in trial.batches_run), "")
        if tampered:
            facts["tampered"] = tampered
        facts["why"] = _reason_line(facts, len(ran))
        return _verdict_from(self.candidate, facts)

    def _verdict_without_passing_tests(self, batches: Sequence[Batch], before: TestRun) -> Verdict:
        """No test passed at the base: why there is nothing to compare with."""
        network = comparison.tests_needing_network(before)
        self.facts["files"] = [path for batch in batches for path in batch.files]
        if network and not batches[0].base_run.timed_out:
            self.facts["needed_network"] = network[: comparison.MAX_LISTED_TESTS]
            return self._unknown("the nearest tests need the network, which the sandbox has not")
        why = "none of the nearest tests passed before the patch"
        if before.timed_out or not batches:
            why += f" within {sum(batch.base_run.timeout_seconds for batch in batches):.0f} s"
        return self._unknown(why, said=before.output_tail)

    def _start_state(self, fresh_sandbox: Callable[[], Sandbox]) -> start_state.StartStateFacts:
        timeout = max(MIN_BATCH_SECONDS, self.deadline - self.context.clock())
        return start_state.start_state_facts(self.instance, self.context, fresh_sandbox, timeout)

    def _unknown(self, why: str, **facts: Any) -> Verdict:
        return _verdict_from(self.candidate, {**self.facts, **facts, "why": why})


def _verdict_from(candidate: Candidate | None, facts: dict[str, Any]) -> Verdict:
    return verdict_of_facts(
        NAME, candidate, comparison.outcome_of(RepoTestsEvidence.model_validate(facts)), facts
    )


def _reason_line(facts: dict[str, Any], files: int) -> str:
    counts = facts["counts"]
    summary = (
        f"{counts['still_pass']} of {counts['passed_before']} tests in {files} file(s) still pass"
    )
    words = ("broken", "flaky", "gone", "unfinished", "cut")
    extra = [f"{counts[key]} {key}" for key in words if counts[key]]
    if facts.get("confirmed") is False:
        extra.append("no time to see it twice")
    if facts.get("meddles"):
        extra.append("the patch reaches for the machinery of tests")
    return ", ".join([summary, *extra, *([facts["tampered"]] if facts.get("tampered") else [])])
