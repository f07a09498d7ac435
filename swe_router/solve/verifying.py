"""What the verifiers say of one candidate, in order; one that breaks says ``unknown``."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from swe_router.errors import BoundaryError
from swe_router.records import ACCEPTANCE, Instance, Outcome, Result, Step, Verdict
from swe_router.seams import Kit, Model, Sandbox, Verifier
from swe_router.solve.stoppable import unless_stopping

DECISIVE = frozenset({"applies", "syntax"})
"""Verifiers whose ``fail`` is a fact and no opinion."""


@dataclass(frozen=True)
class Checks:
    """What the candidates of one instance are checked with."""

    verifiers: Sequence[tuple[str, Verifier]]
    open_sandbox: Callable[[Instance], AbstractContextManager[Sandbox]]
    apply: Callable[[Sandbox, str], Result]
    steps: Callable[[str], Sequence[Step]]
    """Steps of an attempt of the instance, by its id."""
    graph: Any = None
    writer: Callable[[str], Model] | None = None
    """Attempt id -> the model that writes reproduction tests; metered, booked as overhead."""
    judge: Callable[[str], Model] | None = None
    """Attempt id -> the model that reads issue, diff and evidence; likewise."""
    seconds: float = 600.0
    """Time box of all verdicts on one candidate."""
    clock: Callable[[], float] = lambda: 0.0
    stopping: Callable[[], bool] = lambda: False
    cache: dict[Any, Any] = field(default_factory=dict)
    """Results that the verifiers of this instance share."""
    notes: MutableMapping[str, Any] = field(default_factory=dict)
    """What they paid for, durable."""

    def kit(self, attempt_id: str) -> Kit:
        """What the verdicts on an attempt's candidate are made with; their time runs from now."""
        return Kit(
            open_sandbox=lambda of: unless_stopping(self.open_sandbox(of), self.stopping),
            apply=self.apply,
            writer=self.writer(attempt_id) if self.writer else None,
            judge=self.judge(attempt_id) if self.judge else None,
            graph=self.graph,
            deadline=self.clock() + self.seconds,
            clock=self.clock,
            steps=self.steps,
            cache=self.cache,
            notes=self.notes,
        )


def verdicts(
    checks: Checks, instance: Instance, outcome: Outcome, peers: Sequence[Outcome]
) -> tuple[Verdict, ...]:
    """Every verdict on the outcome's candidate, in the order of the verifiers.

    After a ``fail`` that is a fact (``DECISIVE``) nothing but ``acceptance`` is asked.
    """
    if outcome.candidate is None:
        return ()
    kit = checks.kit(outcome.attempt.id)
    said: list[Verdict] = []
    for name, verifier in checks.verifiers:
        if name != ACCEPTANCE and _refused(said):
            continue
        begun = checks.clock()
        seen = outcome.model_copy(update={"verdicts": tuple(said)})
        try:
            verdict = verifier.verify(seen, peers, instance, kit)
        except BoundaryError as error:
            verdict = Verdict(
                candidate=outcome.candidate.digest,
                verifier=name,
                outcome="unknown",
                evidence={"broke": f"{type(error).__name__}: {error}"},
            )
        spent = max(0.0, checks.clock() - begun)
        said.append(verdict.model_copy(update={"seconds": spent}))
    return tuple(said)


def _refused(said: Sequence[Verdict]) -> bool:
    """A fact that no further look can outweigh: nothing more is run for such a patch."""
    return any(one.verifier in DECISIVE and one.outcome == "fail" for one in said)
