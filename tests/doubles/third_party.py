"""What another package may bring; verifiers and a scaffold, named ``MODULE:Class``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from swe_router.records import CallLimits, Message, Step, TestSource, Trajectory, Verdict
from swe_router.verifier_abilities import TestCell


class Plain:
    """``verify`` and ``check`` and nothing else."""

    outcome = "pass"
    facts: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, settings=None):
        self.seen = []

    def verify(self, outcome, peers, instance, context):
        self.seen.append((outcome.attempt.id, [one.verifier for one in outcome.verdicts],
                          [one.verifier for peer in peers for one in peer.verdicts]))  # fmt: skip
        return Verdict(
            candidate=outcome.candidate.digest,
            verifier="what it calls itself",
            outcome=self.outcome,
            evidence={"why": "it says so", **self.facts},
        )

    def check(self, verdict):
        return self.outcome


class Sizes(Plain):
    """Gives a signal that no calibration knows yet."""

    outcome = "unknown"
    stage = "patch"
    facts = MappingProxyType({"lines": 3})

    def signals(self, verdict):
        lines = verdict.evidence.get("lines", 0)
        return {"small_change": 1.0 if lines < 5 else 0.0, "not_a_number": float("nan")}


class Refuses(Plain):
    """Its fail is a fact."""

    outcome = "fail"
    stage = "patch"
    decisive = True


class Runs(Plain):
    """Runs a test of its own."""

    stage = "tests"
    runs_tests = True

    def cells(self, verdict):
        source = TestSource(kind="repo", by="t.py", base="passed")
        return [TestCell("t.py::test_it", source, "passed")]


class Compares(Plain):
    """Looks at the peers' verdicts."""

    outcome = "unknown"
    stage = "peers"


class Decides(Plain):
    """What all others come to."""

    stage = "combination"


class Breaks(Sizes):
    """Cannot read its own evidence."""

    def signals(self, verdict):
        raise KeyError("lines")


def name_of(kind: type) -> str:
    """As ``verify.names`` has it."""
    return f"{kind.__module__}:{kind.__name__}"


class WritesItself:
    """A scaffold's strategy that makes requests of its own: one call, one file, the end."""

    def __init__(self, manifest, *, command_timeout, command_timeout_max):
        self.timeout = command_timeout

    def solve(self, instance, model, sandbox, budget, context):
        asked = (Message(role="user", content=instance.problem),)
        completion = model.complete(asked, limits=CallLimits(max_output_tokens=100))
        sandbox.run("sed -i 's/ + 1//' calc.py", timeout=self.timeout)
        step = Step(index=0, request="0" * 64, completion=completion).sealed("")
        context.record(step)
        return Trajectory.of([step], "submitted", "one call is enough")
