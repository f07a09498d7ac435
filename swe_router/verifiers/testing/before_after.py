"""Runs tests in batches, nearest first, as many as fit the time; the base run is shared."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from swe_router.records import Instance
from swe_router.seams import Sandbox, VerificationContext
from swe_router.verifier_cache import CacheKey
from swe_router.verifiers.testing import comparison, runners
from swe_router.verifiers.testing.batches import (
    MIN_BATCH_SECONDS,
    Batch,
    batch_with_tests,
    first_batches,
    merged_run,
    next_batch_size,
    timeout_seconds,
)
from swe_router.verifiers.testing.results import TestRun

MAX_CONFIRMING_PAIRS = 2
"""Further before/after pairs in which a broken test must break again, as time allows."""
ENOUGH_BASE_SECONDS = 60.0
"""Base seconds after which no further batch starts once some tests passed."""
SURE_BROKEN_TESTS = 3
"""Number of twice-broken tests that makes a third run unnecessary."""
GIT_TIMEOUT_SECONDS = 60.0
"""Seconds for one of the git commands around a run."""


@dataclass
class BeforeAfterResult:
    """Results of the batches before and after the patch."""

    results_after: dict[str, str] = field(default_factory=dict)
    """Test that passed before -> its result after (``comparison.compare_runs``)."""
    batches_run: list[Batch] = field(default_factory=list)
    batches_left_out: list[str] = field(default_factory=list)
    """Files for which there was no time."""
    seconds: float = 0.0
    tampered: str = ""
    confirming_pairs: int = 0
    """Before/after pairs in which the broken tests were rerun."""
    confirmed: bool = False
    """Some test broke again each time."""
    applied: bool = True

    @property
    def broken_tests(self) -> list[str]:
        """Tests that count against the patch so far."""
        return [
            test for test, came in self.results_after.items() if came in comparison.BROKEN_RESULTS
        ]


@dataclass(frozen=True)
class BasePairs(CacheKey[dict[tuple[int, tuple[tuple[str, ...], ...]], list[TestRun]]]):
    """The base's half of each pair of runs: number of the pair and files of its batches -> runs."""

    commit: str
    runner: str


@dataclass(frozen=True)
class BaseBatches(CacheKey[list[Batch]]):
    """The batches that were run at a commit."""

    commit: str
    runner: str


@dataclass(frozen=True)
class BeforeAfterRunner:
    """Runs batches of one instance; ``deadline`` is the Unix second by which it is over."""

    context: VerificationContext
    instance: Instance
    runner: str
    python_path: str
    deadline: float
    paths_to_restore: Sequence[str] = ()
    """Files of the patch that are put back for a run."""
    paths_to_remove: Sequence[str] = ()
    """Files of the patch that are taken out for a run."""

    def seconds_left(self) -> float:
        """Seconds left."""
        return self.deadline - self.context.clock()

    def run_at_base(
        self, tests: Sequence[str], share: float, fresh_sandbox: Callable[[], Sandbox]
    ) -> list[Batch]:
        """Batches of ``tests`` (nearest first), run at the base within ``share`` of the time left.

        Batches of other candidates of the instance are reused where they fit. Each new batch is at
        most twice the last one (four times a ``QUICK`` one), and no more than what the files so far
        say will fit into ``ENOUGH_BASE_SECONDS`` seconds. ``fresh_sandbox`` gives a start state
        nothing ran in, when it is needed.
        """
        known = self._known_base_batches()
        rank = {path: number for number, path in enumerate(tests)}
        used: list[Batch] = []
        covered: set[str] = set()
        for batch in known:
            if rank.keys() >= set(batch.files) and covered.isdisjoint(batch.files):
                used.append(batch)
                covered.update(batch.files)
        waiting = [path for path in tests if path not in covered]
        seconds = max(1.1 * MIN_BATCH_SECONDS, share * self.seconds_left())
        if waiting and self.seconds_left() >= seconds:
            fresh = self._run_waiting_files(fresh_sandbox, used, waiting, seconds)
            known += fresh
            used += fresh
        # A later run of a file that was cut short before may have got further.
        return sorted(used, key=lambda batch: min(rank[path] for path in batch.files))

    def _run_waiting_files(
        self,
        fresh_sandbox: Callable[[], Sandbox],
        reused_batches: Sequence[Batch],
        waiting_files: list[str],
        seconds: float,
    ) -> list[Batch]:
        """Run the waiting files in batches, after the reused ones."""
        fresh: list[Batch] = []
        size = next_batch_size(reused_batches[-1]) if reused_batches else 1
        ends = self.context.clock() + seconds
        while waiting_files and (left := ends - self.context.clock()) >= MIN_BATCH_SECONDS:
            ran = [*reused_batches, *fresh]
            if any("passed" in batch.base_run.result_by_test.values() for batch in ran):
                # There is evidence already: limit the time for more.
                spent = max(0.01, sum(batch.base_run.seconds for batch in ran))
                left = min(left, ENOUGH_BASE_SECONDS - spent)
                fits = int(left * sum(len(batch.files) for batch in ran) / spent)
                size = max(1, min(size, fits))
                if left < MIN_BATCH_SECONDS:
                    break
            files, waiting_files = tuple(waiting_files[:size]), waiting_files[size:]
            # One slow file must not use all the time.
            limit = max(MIN_BATCH_SECONDS, left * (0.6 if waiting_files else 1.0))
            fresh.append(Batch(files, self._run_files(fresh_sandbox(), files, limit)))
            size = max(size, next_batch_size(fresh[-1]))
        return fresh

    def run_with_patch(self, batches: Sequence[Batch], patch: str) -> BeforeAfterResult:
        """Run the batches with the patch: in one process if that is conclusive, else one by one.

        One process saves start-up time. ``confirm_broken`` reruns its failures before and after
        with the same files, so test interaction alone breaks nothing. A run that is less conclusive
        than single batches (it broke off, a file did not load, tests were not reached) is repeated
        batch by batch.
        """
        batches = [b for b in batches if "passed" in b.base_run.result_by_test.values()]
        whole = merged_run(batches)
        if self._all_at_once(batches, whole):
            with self.context.open_sandbox(self.instance) as sandbox:
                if not self._apply_and_restore(sandbox, patch):
                    return BeforeAfterResult(applied=False)
                files = [path for batch in batches for path in batch.files]
                limit = min(timeout_seconds(Batch(tuple(files), whole)), 0.4 * self.seconds_left())
                after = self._run_files(sandbox, files, limit)
            now = comparison.compare_runs(whole, after)
            if after.ended and not after.tampered and {*now.values()} <= {"passed", "failed"}:
                return BeforeAfterResult(
                    results_after=now, batches_run=batches, seconds=after.seconds
                )
        trial = BeforeAfterResult()
        with self.context.open_sandbox(self.instance) as sandbox:
            if not self._apply_and_restore(sandbox, patch):
                return BeforeAfterResult(applied=False)
            for batch in batches:
                self._run_next_batch(trial, sandbox, batch)
        return trial

    def _all_at_once(self, batches: Sequence[Batch], merged_base: TestRun) -> bool:
        """Whether to try one process for all: it must leave time for single batches."""
        if len(batches) < 2 or any(batch.base_run.tampered for batch in batches):
            return False
        enough = 0.4 * self.seconds_left() >= max(MIN_BATCH_SECONDS, 2 * merged_base.seconds)
        return merged_base.ended and not merged_base.timed_out and enough

    def _run_next_batch(self, trial: BeforeAfterResult, sandbox: Sandbox, batch: Batch) -> None:
        """Run one batch more, if there is time."""
        left, wanted = self.seconds_left(), 1.5 * batch.base_run.seconds
        if left < MIN_BATCH_SECONDS or (trial.batches_run and left < wanted):
            trial.batches_left_out += batch.files
            return
        # The rest is reserved for rerunning what broke.
        limit = min(timeout_seconds(batch), max(0.6 * left, min(left, wanted)))
        after = self._run_files(sandbox, batch.files, limit)
        trial.batches_run.append(batch)
        trial.seconds += after.seconds
        trial.tampered = trial.tampered or after.tampered
        trial.results_after |= comparison.compare_runs(batch.base_run, after)

    def confirm_broken(self, trial: BeforeAfterResult, patch: str) -> None:
        """Rerun what broke in further before/after pairs, while there is time; drops flaky tests.

        Only ``RERUN`` files at a time, nearest first: one confirmed break decides the verdict.
        """
        while trial.confirming_pairs < MAX_CONFIRMING_PAIRS + len(trial.batches_run):
            batches = first_batches(
                [batch_with_tests(batch, trial.broken_tests) for batch in trial.batches_run]
            )
            wanted = sum(batch.base_run.seconds for batch in batches)
            if not batches or self.seconds_left() < 2.5 * wanted + MIN_BATCH_SECONDS:
                return
            tests = {test for batch in batches for test in batch.base_run.result_by_test}
            if not self._run_pair(trial, batches, patch):
                return
            trial.confirming_pairs += 1
            stayed = [test for test in trial.broken_tests if test in tests]
            trial.confirmed = trial.confirmed or bool(stayed)
            if len(stayed) >= SURE_BROKEN_TESTS or (
                stayed and trial.confirming_pairs >= MAX_CONFIRMING_PAIRS
            ):
                return

    def _run_pair(self, trial: BeforeAfterResult, batches: Sequence[Batch], patch: str) -> bool:
        """Run batches before and after once more; False if time ran out."""
        firsts = self._base_runs_of_pair(trial.confirming_pairs, batches)
        if firsts is None:
            return False
        now = trial.results_after
        with self.context.open_sandbox(self.instance) as sandbox:
            if not self._apply_and_restore(sandbox, patch):
                return False
            for batch, first in zip(batches, firsts, strict=True):
                if not self._has_time():
                    return False
                second = self._run_files(
                    sandbox, batch.files, min(timeout_seconds(batch), self.seconds_left())
                )
                came = set(comparison.compare_runs(first, second).values())
                if second.timed_out and {"unfinished", "cut"} & came:
                    return False
                mine = {test: now[test] for test in batch.base_run.result_by_test if test in now}
                now = now | comparison.with_flaky_tests(mine, first, second)
        trial.results_after = now
        return True

    def _base_runs_of_pair(self, pair: int, batches: Sequence[Batch]) -> list[TestRun] | None:
        """Base runs of a pair, shared by all candidates; None if time ran out."""
        files = tuple(batch.files for batch in batches)
        key = BasePairs(self.instance.base_commit, self.runner)
        known = self.context.cache.setdefault(key, {})
        if (pair, files) not in known:
            with self.context.open_sandbox(self.instance) as sandbox:
                ran = [
                    self._run_files(sandbox, of, self._half_of_time_left())
                    for of in files
                    if self._has_time()
                ]
            if len(ran) < len(files) or any(first.timed_out for first in ran):
                return None
            known[pair, files] = ran
        return known[pair, files]

    def _has_time(self) -> bool:
        return self.seconds_left() >= MIN_BATCH_SECONDS

    def _half_of_time_left(self) -> float:
        return max(MIN_BATCH_SECONDS, self.seconds_left() / 2)

    def _known_base_batches(self) -> list[Batch]:
        key = BaseBatches(self.instance.base_commit, self.runner)
        return self.context.cache.setdefault(key, [])

    def _run_files(self, sandbox: Sandbox, files: Sequence[str], timeout_seconds: float) -> TestRun:
        return runners.run_tests(sandbox, self.runner, self.python_path, files, timeout_seconds)

    def _apply_and_restore(self, sandbox: Sandbox, patch: str) -> bool:
        if self.context.apply(sandbox, patch).exit_code != 0:
            return False
        if self.paths_to_restore:
            sandbox.run(
                f"git checkout -q HEAD -- {shlex.join(self.paths_to_restore)}",
                timeout=GIT_TIMEOUT_SECONDS,
            )
        if self.paths_to_remove:
            sandbox.run(
                f"rm -rf -- {shlex.join(self.paths_to_remove)}", timeout=GIT_TIMEOUT_SECONDS
            )
        return True
