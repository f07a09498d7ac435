"""Tests that show the issue, written from its text alone or left by agents, run on a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from swe_router.records import Instance, Outcome, Verdict
from swe_router.seams import Kit
from swe_router.settings import VerifySettings
from swe_router.verifiers import diffs
from swe_router.verifiers.reproduction import comparing, weighing, writer
from swe_router.verifiers.reproduction.reasons import Issue
from swe_router.verifiers.reproduction.runs import Patched, Runs
from swe_router.verifiers.reproduction.trial import Test

NAME = "reproduction"


class Reproduction:
    """Verifier ``reproduction``: fails at the base for the issue's reason, must pass after.

    A test is evidence only if it fails at the base commit, and by rules (``reasons``) for the
    issue's reason. Each written test has one vote and each attempt that left tests has one; what
    the run under judgement left, or its own model wrote, is listed and has none.
    """

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self, outcome: Outcome, peers: Sequence[Outcome], instance: Instance, kit: Kit
    ) -> Verdict:
        """Run every usable test before and after.

        Raises ``VerifierError`` or ``SandboxError`` when it could not look.
        """
        candidate = outcome.candidate
        patch = candidate.patch if candidate else ""
        if candidate is None or not patch.strip():
            return _verdict(outcome, {"tests": {}, "why": "there is no patch to test"})
        if diffs.changes(patch) is None:
            return _verdict(outcome, {"tests": {}, "why": "the patch cannot be read as a diff"})
        return _Course(self.settings, outcome, peers, instance, kit).verdict()

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded texts, results and costs."""
        return weighing.outcome_of(verdict.evidence)


@dataclass(frozen=True)
class _Shown:
    """A usable test, and what it is worth by its run at the base."""

    test: Test
    basis: comparing.Basis
    source: str
    by: str
    own: bool


class _Course:
    """One verdict in the making."""

    def __init__(
        self,
        settings: VerifySettings,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        kit: Kit,
    ) -> None:
        self.settings, self.outcome, self.peers = settings, outcome, peers
        self.instance, self.kit = instance, kit
        self.issue = Issue.of(instance.problem)
        self.runs = Runs(instance, kit, settings.seconds)
        self.unusable: dict[str, str] = {}
        self.calls: list[dict[str, Any]] = []
        self.asked = 0

    def verdict(self) -> Verdict:
        shown = self._written()
        tests = {name: self._after(one) for name, one in shown.items()}
        usd = sum((Decimal(call["usd"]) for call in self.calls), Decimal(0))
        facts: dict[str, Any] = {
            "tests": tests,
            "unusable": self.unusable,
            "written": self.asked,
            "usd": str(usd),
            "calls": self.calls,
        }
        facts["why"] = weighing.why(facts)
        return _verdict(self.outcome, facts)

    def _written(self) -> dict[str, _Shown]:
        """Tests of the writer that fail at the base for the issue's reason."""
        if self.kit.writer is None:
            return {}
        attempt = self.outcome.attempt
        around = self.runs.surroundings()
        have, missing = writer.written(
            self.settings.samples, self.instance, around, self.kit, attempt.id
        )
        self.unusable |= missing
        self.asked = len(have)
        self.calls = [one.call for one in have if one.charged_to == attempt.id]
        authors = {step.completion.model for step in self.kit.steps(attempt.id)}
        mine = self.settings.writer == attempt.plan.arm.model
        found: dict[str, _Shown] = {}
        for name, one in writer.distinct(have).items():
            if not one.text:
                self.unusable[name] = "the answer holds no test"
                continue
            test = Test(text=one.text, way=around.way, place=around.place)
            basis = self._basis(name, test)
            if basis is not None:
                own = mine or one.by in authors
                found[name] = _Shown(test, basis, "written", one.by, own)
        return self._preferred(found)

    def _basis(self, name: str, test: Test) -> comparing.Basis | None:
        trial = self.runs.base(test)
        if trial is None:
            self.unusable[name] = "no time was left to run it at the base"
            return None
        basis = comparing.basis(trial, self.issue)
        if not basis.usable:
            self.unusable[name] = basis.why
            return None
        return basis

    def _preferred(self, found: dict[str, _Shown]) -> dict[str, _Shown]:
        """Those whose failure names what the issue names, where there are such."""
        named = {name: one for name, one in found.items() if one.basis.named}
        if not named:
            return found
        for name in found.keys() - named.keys():
            self.unusable[name] = "its failure names nothing of the issue, as another's does"
        return named

    def _after(self, one: _Shown) -> dict[str, Any]:
        assert self.outcome.candidate is not None
        base = self.runs.base(one.test)
        trial = self.runs.patched(one.test, Patched(self.outcome.candidate))
        assert base is not None
        facts: dict[str, Any] = {
            "source": one.source,
            "by": one.by,
            "own": one.own,
            "digest": one.test.digest,
            "text": one.test.text,
            "way": one.test.way,
            "place": one.test.place,
            "base": "failed",
            "reason": one.basis.why,
            "oracle": "result",
        }
        if trial is None:
            seen = {name: [_before(s), "unknown"] for name, s in one.basis.counted.items()}
            said = "no time was left, or the patch does not apply"
        else:
            seen = comparing.after(one.basis, base, trial)
            said = trial.output.strip()[-600:]
        facts |= {"results": seen, "said": said}
        facts["after"] = weighing.result_of(facts)
        return facts


def _before(seen: Any) -> str:
    return "passed" if seen.outcome == "passed" else "failed"


def _verdict(outcome: Outcome, facts: Mapping[str, Any]) -> Verdict:
    candidate = outcome.candidate
    return Verdict.model_validate(
        {
            "candidate": candidate.digest if candidate else "",
            "verifier": NAME,
            "outcome": weighing.outcome_of(facts),
            "evidence": facts,
        }
    )
