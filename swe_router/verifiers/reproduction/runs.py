"""Runs of tests in fresh boxes, each made once: at the base commit, and with a patch applied."""

from __future__ import annotations

from dataclasses import dataclass

from swe_router.records import Candidate, Instance
from swe_router.seams import Kit, Sandbox
from swe_router.verifiers import diffs, own_vote, paths
from swe_router.verifiers.reproduction import surroundings, trial
from swe_router.verifiers.reproduction.trial import Test, Trial

LEAST_SECONDS = 2.0
"""Time left under which no run is begun."""
MOST_SECONDS = 120.0
"""Given to one run, however much time there is: a test that shows an issue takes seconds."""
PATIENCE = 20.0
"""Seconds after which a run that did not end is not tried again for another candidate."""
SHARE = 0.34
"""Of the time that is left, for one run."""


@dataclass(frozen=True)
class Patched:
    """A candidate as something that tests are run on."""

    candidate: Candidate

    @property
    def digest(self) -> str:
        """SHA-256 of the patch."""
        return self.candidate.digest


class Runs:
    """The runs of one instance; shared by all its candidates through ``kit.cache``."""

    def __init__(self, instance: Instance, kit: Kit, seconds: float) -> None:
        self.instance, self.kit = instance, kit
        self.until = kit.clock() + seconds
        if kit.deadline:
            self.until = min(self.until, kit.deadline)

    def left(self) -> float:
        """Seconds until the verdict must be there."""
        return self.until - self.kit.clock()

    def surroundings(self) -> surroundings.Surroundings:
        """What the repository shows of its tests."""
        key = ("surroundings", self.instance.base_commit)
        if key not in self.kit.cache:
            with self.kit.open_sandbox(self.instance) as box:
                limit = max(LEAST_SECONDS, min(60.0, self.left()))
                self.kit.cache[key] = surroundings.look(box, self.instance.problem, limit)
        found: surroundings.Surroundings = self.kit.cache[key]
        return found

    def base(self, test: Test) -> Trial | None:
        """A run at the base commit; None when there was no time for it."""
        key = ("base", self.instance.base_commit, test.key)
        if key not in self.kit.cache:
            if self.left() < LEAST_SECONDS:
                return None
            with self.kit.open_sandbox(self.instance) as box:
                return self._kept(key, self._run(box, test))
        found: Trial = self.kit.cache[key]
        return found

    def patched(self, test: Test, patched: Patched) -> Trial | None:
        """A run with a patch applied; None when it does not apply or there was no time."""
        key = ("cross", patched.digest, test.key)
        if key not in self.kit.cache:
            if self.left() < LEAST_SECONDS:
                return None
            made = self._patched(test, patched.candidate.patch)
            return self._kept(key, made) if made is not None else None
        found: Trial = self.kit.cache[key]
        return found

    def _kept(self, key: tuple[str, ...], made: Trial) -> Trial:
        """Remember a run, unless it only had too little time."""
        if not made.timed_out or made.limit >= PATIENCE:
            self.kit.cache[key] = made
        return made

    def _patched(self, test: Test, patch: str) -> Trial | None:
        with self.kit.open_sandbox(self.instance) as box:
            if self.kit.apply(box, patch).exit_code != 0:
                return None
            files = diffs.changes(patch) or ()
            own_vote.take_away(box, files, paths.tests_of(self.kit.graph))
            return self._run(box, test)

    def _run(self, box: Sandbox, test: Test) -> Trial:
        limit = max(LEAST_SECONDS, min(MOST_SECONDS, SHARE * self.left()))
        return trial.run(box, test, self.surroundings().python, limit)
