"""Tests run in batches, nearest first and as many as fit the time; the base once for all."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from swe_router.records import Instance
from swe_router.seams import Kit, Sandbox
from swe_router.verifiers import comparison, runners
from swe_router.verifiers.testrun import TestRun

LEAST_SECONDS = 2.0
"""Time left under which no test run is begun."""
AGAIN = 2
"""Further pairs of runs that a broken test must fail after and pass before, as time allows."""
ENOUGH = 60.0
"""Seconds at the base after which no further batch is begun once some tests passed."""
RERUN = 3
"""Files at most in one such pair."""
SURE = 3
"""Tests that broke twice, from which on a third time is not needed."""
STEP = 60.0
"""Seconds for one of the git commands around a run."""


@dataclass(frozen=True)
class Batch:
    """Test files that run in one process, and what they said at the base."""

    files: tuple[str, ...]
    before: TestRun


@dataclass
class Trial:
    """What the batches said before and after."""

    now: dict[str, str] = field(default_factory=dict)
    """Test that passed before -> what became of it (``comparison.compare``)."""
    ran: list[Batch] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Files for which there was no time."""
    seconds: float = 0.0
    tampered: str = ""
    pairs: int = 0
    """Times that the broken tests were run again, before and after."""
    confirmed: bool = False
    """Some test broke again each time."""
    applied: bool = True

    @property
    def broken(self) -> list[str]:
        """Tests that count against the patch, as of now."""
        return [test for test, came in self.now.items() if came in comparison.BROKEN]


@dataclass(frozen=True)
class Bench:
    """Runs batches of one instance; ``until`` is the Unix second by which it is over."""

    kit: Kit
    instance: Instance
    runner: str
    python: str
    until: float
    old: Sequence[str] = ()
    """Files of the patch that are put back for a run."""
    new: Sequence[str] = ()
    """Files of the patch that are taken out for a run."""

    def left(self) -> float:
        """Seconds left."""
        return self.until - self.kit.clock()

    def base(
        self, tests: Sequence[str], share: float, fresh_box: Callable[[], Sandbox]
    ) -> list[Batch]:
        """Batches of ``tests`` (nearest first), run at the base in ``share`` of the time left.

        Batches of other candidates of the instance are taken over where they fit. Each new batch
        is at most twice the last one, and no more than what the files so far say will fit into
        ``ENOUGH`` seconds. ``fresh_box`` gives a start state nothing ran in, when it is needed.
        """
        known = self._known()
        rank = {path: number for number, path in enumerate(tests)}
        used: list[Batch] = []
        covered: set[str] = set()
        for batch in known:
            if rank.keys() >= set(batch.files) and covered.isdisjoint(batch.files):
                used.append(batch)
                covered.update(batch.files)
        waiting = [path for path in tests if path not in covered]
        seconds = max(1.1 * LEAST_SECONDS, share * self.left())
        if waiting and self.left() >= seconds:
            fresh = self._measure(fresh_box, used, waiting, seconds)
            known += fresh
            used += fresh
        # A later run of a file that was cut short before may have got further.
        return sorted(used, key=lambda batch: min(rank[path] for path in batch.files))

    def _measure(
        self,
        fresh_box: Callable[[], Sandbox],
        used: Sequence[Batch],
        waiting: list[str],
        seconds: float,
    ) -> list[Batch]:
        """Run what waits, after the batches that are used already."""
        fresh: list[Batch] = []
        size = 2 * len(used[-1].files) if used else 1
        ends = self.kit.clock() + seconds
        while waiting and (left := ends - self.kit.clock()) >= LEAST_SECONDS:
            ran = [*used, *fresh]
            if any("passed" in batch.before.results.values() for batch in ran):
                # There is evidence; more of it is worth this much and no more.
                spent = max(0.01, sum(batch.before.seconds for batch in ran))
                left = min(left, ENOUGH - spent)
                fits = int(left * sum(len(batch.files) for batch in ran) / spent)
                size = max(1, min(size, fits))
                if left < LEAST_SECONDS:
                    break
            files, waiting = tuple(waiting[:size]), waiting[size:]
            # One slow file must not take all the time from the others.
            limit = max(LEAST_SECONDS, left * (0.6 if waiting else 1.0))
            fresh.append(Batch(files, self._run(fresh_box(), files, limit)))
            size *= 2
        return fresh

    def trial(self, batches: Sequence[Batch], patch: str) -> Trial:
        """Run the batches with the patch, in their order, as far as time allows."""
        trial = Trial()
        with self.kit.open_sandbox(self.instance) as box:
            if not self._patched(box, patch):
                return replace(trial, applied=False)
            for batch in batches:
                if "passed" not in batch.before.results.values():
                    continue  # nothing that could break
                left, wanted = self.left(), 1.5 * batch.before.seconds
                if left < LEAST_SECONDS or (trial.ran and left < wanted):
                    trial.left_out += batch.files
                    continue
                # What is kept back is for a second look at what broke.
                limit = min(_patience(batch), max(0.6 * left, min(left, wanted)))
                after = self._run(box, batch.files, limit)
                trial.ran.append(batch)
                trial.seconds += after.seconds
                trial.tampered = trial.tampered or after.tampered
                trial.now |= comparison.compare(batch.before, after)
        return trial

    def again(self, trial: Trial, patch: str) -> None:
        """Further pairs of runs of what broke, while there is time: flaky tests fall out.

        Only ``RERUN`` files at a time, nearest first: one break that stays settles the verdict,
        and several that stay at once leave no doubt.
        """
        while trial.pairs < AGAIN + len(trial.ran):
            batches = _few([_owning(batch, trial.broken) for batch in trial.ran])
            wanted = sum(batch.before.seconds for batch in batches)
            if not batches or self.left() < 2.5 * wanted + LEAST_SECONDS:
                return
            tests = {test for batch in batches for test in batch.before.results}
            if not self._pair(trial, batches, patch):
                return
            trial.pairs += 1
            stayed = [test for test in trial.broken if test in tests]
            trial.confirmed = trial.confirmed or bool(stayed)
            if len(stayed) >= SURE or (stayed and trial.pairs >= AGAIN):
                return

    def _pair(self, trial: Trial, batches: Sequence[Batch], patch: str) -> bool:
        """Run batches before and after once more; False when time ran out over it."""
        with self.kit.open_sandbox(self.instance) as box:
            firsts = [self._run(box, b.files, self._half()) for b in batches if self._has_time()]
        if len(firsts) < len(batches) or any(first.timed_out for first in firsts):
            return False
        now = trial.now
        with self.kit.open_sandbox(self.instance) as box:
            if not self._patched(box, patch):
                return False
            for batch, first in zip(batches, firsts, strict=True):
                if not self._has_time():
                    return False
                second = self._run(box, batch.files, min(_patience(batch), self.left()))
                came = set(comparison.compare(first, second).values())
                if second.timed_out and {"unfinished", "cut"} & came:
                    return False
                mine = {test: now[test] for test in batch.before.results if test in now}
                now = now | comparison.confirmed(mine, first, second)
        trial.now = now
        return True

    def _has_time(self) -> bool:
        return self.left() >= LEAST_SECONDS

    def _half(self) -> float:
        return max(LEAST_SECONDS, self.left() / 2)

    def _known(self) -> list[Batch]:
        key = f"repo-tests:{self.instance.base_commit}:{self.runner}:batches"
        found: list[Batch] = self.kit.cache.setdefault(key, [])
        return found

    def _run(self, box: Sandbox, files: Sequence[str], limit: float) -> TestRun:
        return runners.run(box, self.runner, self.python, files, limit)

    def _patched(self, box: Sandbox, patch: str) -> bool:
        if self.kit.apply(box, patch).exit_code != 0:
            return False
        if self.old:
            box.run(f"git checkout -q HEAD -- {shlex.join(self.old)}", timeout=STEP)
        if self.new:
            box.run(f"rm -rf -- {shlex.join(self.new)}", timeout=STEP)
        return True


def _patience(batch: Batch) -> float:
    """Seconds after which a run is called hung, with a little over; a cut run gets half more."""
    if not batch.before.ended:
        return max(2 * LEAST_SECONDS, 1.5 * batch.before.seconds)
    least = 2 * comparison.HUNG_LEAST
    return max(least, 1.2 * comparison.HUNG_FACTOR * batch.before.seconds)


def _owning(batch: Batch, tests: Sequence[str]) -> Batch:
    """The files of a batch that hold these tests, and these tests; all files if that is unknown."""
    mine = [test for test in tests if test in batch.before.results]
    owners = {batch.before.files.get(test, "") for test in mine}
    files = tuple(path for path in batch.files if path in owners)
    if mine and len(files) < len(owners):
        files = batch.files
    return Batch(files if mine else (), batch.before)


def _few(batches: Sequence[Batch]) -> list[Batch]:
    """The first batches that have files, up to ``RERUN`` files, each less what it does not hold."""
    chosen: list[Batch] = []
    room = RERUN
    for batch in batches:
        told = set(batch.before.files.values()) <= set(batch.files)
        files = batch.files[:room] if told else batch.files
        if files and room > 0:
            held = {
                test: outcome
                for test, outcome in batch.before.results.items()
                if not told or batch.before.files[test] in files
            }
            chosen.append(Batch(files, replace(batch.before, results=held)))
            room -= len(files)
    return chosen


def merged(batches: Sequence[Batch]) -> TestRun:
    """All that was said at the base, as one run."""
    results: dict[str, str] = {}
    files: dict[str, str] = {}
    why: dict[str, str] = {}
    for batch in batches:
        results |= batch.before.results
        files |= batch.before.files
        why |= batch.before.why
    return TestRun(
        results=results,
        files=files,
        why=why,
        ended=all(batch.before.ended for batch in batches),
        timed_out=any(batch.before.timed_out for batch in batches),
        seconds=sum(batch.before.seconds for batch in batches),
        tail=next((batch.before.tail for batch in batches if batch.before.tail), ""),
    )
