"""Runs of tests at the base commit and with a patch applied, each pair made once."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from swe_router import patch_files
from swe_router.records import Candidate, Instance
from swe_router.seams import Sandbox, VerificationContext
from swe_router.verifier_cache import CacheKey, RunKey
from swe_router.verifiers import start_state
from swe_router.verifiers.patches import path_kinds, restored_tests
from swe_router.verifiers.reproduction import printed_output, repository_context, single_run
from swe_router.verifiers.reproduction.single_run import Test, TestTrial
from swe_router.verifiers.reproduction.test_oracles import Unusable

MIN_RUN_SECONDS = 2.0
"""Minimum time left to start a run."""
MAX_RUN_SECONDS = 120.0
"""Given to one run, however much time there is: a test that shows an issue takes seconds."""
MAX_RETRIED_SECONDS = 20.0
"""Seconds after which a run that did not end is not tried again for another candidate."""
SECOND_RUN_TIME_FACTOR = 4.0
"""A run is made a second time only when this many times its seconds are left."""
BASE_STATE = "base"
"""The state of a sandbox in which no patch was applied; others go by the digest of theirs."""
RUN_SHARE_OF_TIME_LEFT = 0.34
"""Of the time that is left, for one run."""


@dataclass(frozen=True)
class RepositoryContextKey(CacheKey[repository_context.RepositoryContext]):
    """What the repository shows at a commit."""

    commit: str


@dataclass(frozen=True)
class BaseRun(CacheKey[TestTrial]):
    """A test's run at a commit."""

    commit: str
    test_key: str


@dataclass(frozen=True)
class PatchedRun(RunKey[TestTrial]):
    """A test's run on a candidate."""

    test_key: str


@dataclass(frozen=True)
class SameAgain(CacheKey[bool]):
    """Whether a second run had the same result."""

    state: str
    """A commit, or the digest of a candidate."""
    test_key: str


class PairedRuns:
    """The runs of one instance; shared by all its candidates through ``context.cache``.

    Used in a ``with``. Tests of the same state follow each other in one fresh sandbox, as long as
    each leaves the work tree as it found it; a test that does not is the end of its sandbox. A
    sandbox of the base and one of the last candidate stand side by side, for tests go from one to
    the other.
    """

    def __init__(self, instance: Instance, context: VerificationContext, seconds: float) -> None:
        self.instance, self.context = instance, context
        self.until = context.clock() + seconds
        if context.deadline:
            self.until = min(self.until, context.deadline)
        self._open: dict[str, tuple[Sandbox, ExitStack]] = {}
        self._left: dict[str, tuple[str, ...]] = {}
        """How the last run left each sandbox that is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as ends:
            for state in list(self._open):
                ends.callback(self._close_sandbox, state)

    def seconds_left(self) -> float:
        """Seconds until the verdict must be there."""
        return self.until - self.context.clock()

    def repository_context(self) -> repository_context.RepositoryContext:
        """What the repository shows of its tests."""
        key = RepositoryContextKey(self.instance.base_commit)
        if key not in self.context.cache:
            limit = max(MIN_RUN_SECONDS, min(60.0, self.seconds_left()))
            start = start_state.start_state_facts(
                self.instance, self.context, self._base_sandbox, limit
            )
            self.context.cache[key] = repository_context.read_repository(
                start, self._base_sandbox, self.instance.problem
            )
        return self.context.cache[key]

    def run_at_base(self, test: Test) -> TestTrial:
        """A run at the base commit. Raises ``Unusable`` when there is no time for it."""
        key = BaseRun(self.instance.base_commit, test.key)
        if key not in self.context.cache:
            python = self.repository_context().python
            if self.seconds_left() < MIN_RUN_SECONDS:
                raise Unusable("no time was left to run it at the base")
            return self._remember_run(
                key, self._run_in_state(BASE_STATE, self._base_sandbox(), test, python)
            )
        return self.context.cache[key]

    def require_steady(self, test: Test) -> None:
        """Run a test at the base once more. Raises ``Unusable`` when it says something else then.

        Once for an instance; without time for it the first run stands.
        """
        key = SameAgain(self.instance.base_commit, test.key)
        first = self.run_at_base(test)
        if (
            key not in self.context.cache
            and self.seconds_left() > SECOND_RUN_TIME_FACTOR * first.seconds + MIN_RUN_SECONDS
        ):
            second = self._run_in_state(
                BASE_STATE, self._base_sandbox(), test, self.repository_context().python
            )
            self.context.cache[key] = _report_the_same(first, second)
        if not self.context.cache.get(key, True):
            raise Unusable("it does not say the same twice at the base")

    def is_confirmed(self, test: Test, candidate: Candidate, first_run: TestTrial) -> bool:
        """Whether a run after the patch says the same again; yes, when there is no time to ask."""
        key = SameAgain(candidate.digest, test.key)
        if (
            key not in self.context.cache
            and self.seconds_left() > SECOND_RUN_TIME_FACTOR * first_run.seconds + MIN_RUN_SECONDS
        ):
            sandbox = self._patched_sandbox(candidate)
            if sandbox is None:
                return True
            python = self.repository_context().python
            self.context.cache[key] = _report_the_same(
                first_run, self._run_in_state(candidate.digest, sandbox, test, python)
            )
        return bool(self.context.cache.get(key, True))

    def run_with_patch(self, test: Test, candidate: Candidate) -> TestTrial | None:
        """A run with a patch applied; None when it does not apply or there was no time."""
        key = PatchedRun(candidate.digest, test.key)
        if key not in self.context.cache:
            python = self.repository_context().python
            if self.seconds_left() < MIN_RUN_SECONDS:
                return None
            sandbox = self._patched_sandbox(candidate)
            if sandbox is None:
                return None
            return self._remember_run(
                key, self._run_in_state(candidate.digest, sandbox, test, python)
            )
        return self.context.cache[key]

    def _remember_run(self, key: CacheKey[TestTrial], made: TestTrial) -> TestTrial:
        """Remember a run, unless it only had too little time."""
        if not made.timed_out or made.timeout_seconds >= MAX_RETRIED_SECONDS:
            self.context.cache[key] = made
        return made

    def _run_in_state(self, state: str, sandbox: Sandbox, test: Test, python: str) -> TestTrial:
        limit = max(
            MIN_RUN_SECONDS, min(MAX_RUN_SECONDS, RUN_SHARE_OF_TIME_LEFT * self.seconds_left())
        )
        made = single_run.run_test(sandbox, test, python, limit, self._left.get(state, ()))
        if made.soils_sandbox:
            self._close_sandbox(state)
        else:
            self._left[state] = made.sandbox_state
        return made

    def _base_sandbox(self) -> Sandbox:
        return self._sandbox_in_state(BASE_STATE)

    def _patched_sandbox(self, candidate: Candidate) -> Sandbox | None:
        """A sandbox with the patch applied and its own tests removed; None when it does not fit."""
        state = candidate.digest
        if state in self._open:
            return self._open[state][0]
        for other in [other for other in self._open if other != BASE_STATE]:
            self._close_sandbox(other)
        sandbox = self._sandbox_in_state(state)
        if self.context.apply(sandbox, candidate.patch).exit_code != 0:
            self._close_sandbox(state)
            return None
        files = patch_files.patch_summaries(candidate.patch) or ()
        restored_tests.restore_tests(
            sandbox, files, path_kinds.is_test_predicate(self.context.graph)
        )
        return sandbox

    def _sandbox_in_state(self, state: str) -> Sandbox:
        if state not in self._open:
            stack = ExitStack()
            self._open[state] = (
                stack.enter_context(self.context.open_sandbox(self.instance)),
                stack,
            )
        return self._open[state][0]

    def _close_sandbox(self, state: str) -> None:
        self._left.pop(state, None)
        self._open.pop(state)[1].close()


def _report_the_same(one: TestTrial, other: TestTrial) -> bool:
    """Two runs of a test say the same: of each function, and of a script in what it prints."""
    if {seen.id: seen.outcome for seen in one.test_results.values()} != {
        seen.id: seen.outcome for seen in other.test_results.values()
    }:
        return False
    printed_only = "script" in one.test_results and one.test_results["script"].outcome == "passed"
    return not printed_only or printed_output.failure_marks(
        one.output
    ) == printed_output.failure_marks(other.output)
