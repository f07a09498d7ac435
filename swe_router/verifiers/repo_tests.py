"""Runs the tests near the change before and after it: what passed must still pass."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.records import Candidate, Instance, Outcome, Verdict
from swe_router.seams import Kit, Sandbox
from swe_router.settings import VerifySettings
from swe_router.verifiers import comparison, diffs, nearness, own_vote, paths, runners
from swe_router.verifiers.runners import TestRun

NAME = "repo-tests"
LEAST_SECONDS = 2.0
"""Time left under which no test run is begun."""


@dataclass(frozen=True)
class _Look:
    """What a fresh start state shows: kept for all candidates of an instance."""

    runner: str
    python: str
    files: tuple[str, ...]


class RepoTests:
    """Verifier ``repo-tests``: existing tests at the base commit and after the patch.

    Only a test that passed before and fails after counts against a patch, and only when a second
    pair of runs says so again. A patch has no vote on itself: test files that it edits are put
    back to their base form, a ``conftest.py`` that it adds is taken out. Reads nothing but what
    the repository shows.
    """

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self, outcome: Outcome, peers: Sequence[Outcome], instance: Instance, kit: Kit
    ) -> Verdict:
        """Run the nearest tests before and after.

        Raises ``VerifierError`` or ``SandboxError`` when it could not look.
        """
        candidate = outcome.candidate
        if candidate is None or not candidate.patch.strip():
            return _verdict(candidate, {"why": "there is no patch to test"})
        files = diffs.changes(candidate.patch)
        if files is None:
            return _verdict(candidate, {"why": "the patch cannot be read as a diff"})
        is_test = paths.tests_of(kit.graph)
        gone = diffs.deleted_tests(files, is_test)
        if gone:
            why = f"the patch takes tests away: {', '.join(gone[:3])}"
            return _verdict(candidate, {"deleted_tests": gone[:50], "why": why})
        return _Course(self.settings, candidate, files, instance, kit).verdict()

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded test results."""
        return comparison.outcome_of(verdict.evidence)


class _Course:
    """One verdict in the making."""

    def __init__(
        self,
        settings: VerifySettings,
        candidate: Candidate,
        files: Sequence[diffs.Change],
        instance: Instance,
        kit: Kit,
    ) -> None:
        self.candidate, self.files, self.instance, self.kit = candidate, files, instance, kit
        self.most = settings.max_test_files
        self.until = kit.clock() + settings.seconds
        if kit.deadline:
            self.until = min(self.until, kit.deadline)
        self.is_test = paths.tests_of(kit.graph)

    def left(self) -> float:
        return self.until - self.kit.clock()

    def verdict(self) -> Verdict:
        look = self._look()
        if not look.runner:
            return self._unknown("no test runner known here fits the repository")
        changed = [f.before or f.path for f in self.files if not self.is_test(f.path)]
        known = [path for path in look.files if runners.RUNNERS[look.runner].runs(path)]
        tests, by = nearness.nearest(changed, known, self.kit.graph, self.most)
        if not tests:
            return self._unknown("no existing test lies near the change", runner=look.runner)
        facts: dict[str, Any] = {
            "runner": look.runner,
            "command": runners.shown(look.runner, tests),
            "files": tests,
            "found_by": by,
        }
        before = self._before(look, tests)
        if "passed" not in before.results.values():
            why = "none of the nearest tests passed before the patch"
            why += f" within {before.limit:.0f} s" if before.timed_out else ""
            return self._unknown(why, **facts, said=before.tail)
        if self.left() < LEAST_SECONDS:
            return self._unknown("out of time before the patch could be tested", **facts)
        return self._judge(look, tests, before, facts)

    def _judge(
        self, look: _Look, tests: Sequence[str], before: TestRun, facts: dict[str, Any]
    ) -> Verdict:
        longest = max(60.0, 1.2 * comparison.HUNG_FACTOR * before.seconds)
        after = self._after(look, tests, min(longest, self.left()))
        if after is None:
            return self._unknown("the patch does not apply", **facts)
        now = comparison.compare(before, after)
        now, again = self._again(look, tests, before, now)
        facts |= comparison.evidence_of(now, before)
        facts |= {
            "run_again": again,
            "seconds": {"before": before.seconds, "after": after.seconds},
        }
        facts["why"] = _why(facts["counts"], len(tests))
        return _verdict(self.candidate, facts)

    def _again(
        self, look: _Look, tests: Sequence[str], before: TestRun, now: dict[str, str]
    ) -> tuple[dict[str, str], bool]:
        """A second pair of runs for what broke, when there is time: flaky tests fall out."""
        broken = [test for test, came in now.items() if came in comparison.BROKEN]
        hung = any(now[test] == "hung" for test in broken)
        if not broken or hung or self.left() < 2.5 * before.seconds + LEAST_SECONDS:
            return now, False
        owned = {before.files.get(test, "") for test in broken}
        fewer = [path for path in tests if path in owned]
        files = fewer if len(fewer) == len(owned) else list(tests)
        with self.kit.open_sandbox(self.instance) as box:
            first = runners.run(box, look.runner, look.python, files, self.left() / 2)
        if first.timed_out or self.left() < LEAST_SECONDS:
            return now, False
        second = self._after(look, files, self.left())
        if second is None or second.timed_out:
            return now, False
        return comparison.confirmed(now, first, second), True

    def _look(self) -> _Look:
        key = f"{NAME}:{self.instance.base_commit}:look"
        if key not in self.kit.cache:
            with self.kit.open_sandbox(self.instance) as box:
                self.kit.cache[key] = _look(box, max(LEAST_SECONDS, self.left()))
        found: _Look = self.kit.cache[key]
        return found

    def _before(self, look: _Look, tests: Sequence[str]) -> TestRun:
        command = runners.shown(look.runner, tests)
        key = f"{NAME}:{self.instance.base_commit}:{command}"
        if key not in self.kit.cache:
            limit = max(LEAST_SECONDS, 0.4 * self.left())
            with self.kit.open_sandbox(self.instance) as box:
                self.kit.cache[key] = runners.run(box, look.runner, look.python, tests, limit)
        found: TestRun = self.kit.cache[key]
        return found

    def _after(self, look: _Look, tests: Sequence[str], limit: float) -> TestRun | None:
        with self.kit.open_sandbox(self.instance) as box:
            if self.kit.apply(box, self.candidate.patch).exit_code != 0:
                return None
            own_vote.take_away(box, self.files, self.is_test)
            return runners.run(box, look.runner, look.python, tests, limit)

    def _unknown(self, why: str, **facts: Any) -> Verdict:
        return _verdict(self.candidate, {**facts, "why": why})


def _look(box: Sandbox, timeout: float) -> _Look:
    runner, python = runners.detect(box, timeout)
    path = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the box)
    box.run(f"git ls-files -z > {path}", timeout=timeout)
    try:
        listed = box.read(path, limit=runners.REPORT_LIMIT)
    except FileNotFoundError:
        listed = b""
    box.run(f"rm -f {path}", timeout=timeout)
    names = listed.decode("utf-8", "surrogateescape").split("\0")
    return _Look(runner, python, tuple(name for name in names if paths.is_test_module(name)))


def _verdict(candidate: Candidate | None, facts: dict[str, Any]) -> Verdict:
    return Verdict.model_validate(
        {
            "candidate": candidate.digest if candidate else "",
            "verifier": NAME,
            "outcome": comparison.outcome_of(facts),
            "evidence": facts,
        }
    )


def _why(counts: dict[str, int], files: int) -> str:
    said = (
        f"{counts['still_pass']} of {counts['passed_before']} tests in {files} file(s) still pass"
    )
    extra = [f"{counts[key]} {key}" for key in ("broken", "flaky", "unfinished") if counts[key]]
    return ", ".join([said, *extra])
