"""Doubles for one instance: a purse with exact money, a memory in a list, a scripted scaffold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from swe_router.errors import LedgerRefused
from swe_router.journal.instance_log import Move
from swe_router.records import (
    Arm,
    Budget,
    BudgetView,
    Candidate,
    Completion,
    Features,
    Instance,
    LeakReport,
    Message,
    Outcome,
    Plan,
    Result,
    Step,
    Stop,
    Trajectory,
    Try,
    Usage,
    Verdict,
    digest_of,
)
from swe_router.seams import AttemptContext, VerificationContext
from swe_router.solve.context import SolveContext
from swe_router.solve.verification import VerificationSetup

INSTANCE = Instance(id="demo__x-1", repo="demo/x", base_commit="c" * 40, problem="It breaks.")
FEATURES = Features(instance_id=INSTANCE.id, repo=INSTANCE.repo, text=INSTANCE.problem)


@dataclass
class ListMemory:
    """``Memory`` that lives as long as the test; give it to a second context to resume."""

    written: list[tuple[str, Any]] = field(default_factory=list)
    told: dict[str, list[Step]] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    unused: dict[str, tuple[str, Completion]] = field(default_factory=dict)

    def record_decision(self, decided, attempts):
        self.written.append(("decided", (decided, tuple(attempts))))

    def record_outcomes(self, outcomes, left_out=None):
        self.written.append(("outcomes", (tuple(outcomes), left_out)))

    def record_rescued(self, outcome):
        self.written.append(("rescued", outcome))

    def record_broken(self, outcome):
        self.written.append(("broke", outcome))

    def broken_outcomes(self, attempt_id):
        found = [value for kind, value in self.written if kind == "broke"]
        return [one for one in found if f"{one.attempt.id}.".startswith(f"{attempt_id}.")]

    def record_verified_imports(self, outcomes):
        self.written.append(("imported", tuple(outcomes)))

    def verified_imports(self):
        return next((value for kind, value in self.written if kind == "imported"), None)

    def moves(self):
        moves: list[Move] = []
        for kind, value in self.written:
            if kind == "decided":
                moves.append(Move(value[0], value[1], None))
            elif kind == "outcomes":
                moves[-1] = Move(moves[-1].decided, moves[-1].attempts, *value)
        return moves

    def next_attempt_number(self):
        names = [n for kind, v in self.written if kind == "decided" for n in v[1]]
        return 1 + max((int(name.partition("-")[0]) for name in names), default=0)

    def record_step(self, attempt_id, step):
        self.told.setdefault(attempt_id, []).append(step)

    def steps(self, attempt_id):
        return tuple(self.told.get(attempt_id, ()))

    def unused_answer(self, attempt_id):
        return self.unused.get(attempt_id)

    def close_attempt(self, attempt_id):
        self.closed.append(attempt_id)


@dataclass
class ExactPurse:
    """``Purse`` that charges what its holds are told to."""

    budget: Decimal = Decimal(10)
    spent: Decimal = Decimal(0)
    held: list[str] = field(default_factory=list)
    others: list[Decimal] = field(default_factory=lambda: [Decimal(0)])
    """What others hold, one figure a wait."""

    def view(self):
        return BudgetView(
            budget=self.budget,
            spent=self.spent,
            reserved=self.others[0],
            instances_left=1,
            clock=0.0,
        )

    def wait_for_release(self):
        self.others.pop(0)

    @contextmanager
    def hold(self, tier: str, usd: Decimal, key: str) -> Iterator[Any]:
        if usd > self.budget - self.spent:
            raise LedgerRefused(f"an attempt on tier {tier} needs {usd} USD: it does not fit")
        self.held.append(key)
        yield self


@dataclass
class FakeSandbox:
    """A sandbox in which nothing happens; ``broken`` raises when it is opened."""

    identity: str = "double"
    workdir: str = "/testbed"

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        return Result(exit_code=0, output="")

    def read(self, path: str, *, limit: int = 0) -> bytes:
        raise FileNotFoundError(path)

    def write(self, path: str, data: bytes) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Ladder:
    """A policy: each rung once, until a candidate is accepted."""

    plans: Sequence[Plan]

    def prepare(self, batch, budget):
        return self

    def update(self, record):
        return self

    def state(self) -> Mapping[str, Any]:
        return {}

    def restored(self, state):
        return self

    def decide(self, features, history, purse):
        if history and history[-1].accepted:
            return Stop(why="accepted")
        tried = len({o.attempt.id.split(".")[0] for o in history})
        if tried == len(self.plans):
            return Stop(why="top of the ladder")
        return Try(plans=(self.plans[tried],), why=f"rung {tried + 1}")


class First:
    """A selector: the last non-empty candidate, accepted ones first."""

    def select(self, outcomes, matrix=None):
        full = [o for o in outcomes if o.candidate is not None and o.candidate.patch]
        accepted = [o for o in full if o.accepted]
        return (accepted or full)[-1].candidate if full else None


class Says:
    """A verifier that passes patches which contain ``right``."""

    def verify(self, outcome, peers, instance, context):
        said = "pass" if "right" in outcome.candidate.patch else "fail"
        return Verdict(
            candidate=outcome.candidate.digest, verifier="says", outcome=said, evidence={"is": said}
        )

    def check(self, verdict):
        return verdict.evidence["is"]


@dataclass
class Plays:
    """A scaffold that records its steps at 0.01 USD each, then leaves ``patch`` in the sandbox."""

    steps: int = 2
    before_end: Callable[[], None] = lambda: None
    exit: str = "submitted"

    def solve(self, instance, model, sandbox, budget, context):
        seal = context.past[-1].seal if context.past else ""
        for index in range(len(context.past), self.steps):
            step = step_of(index).sealed(seal)
            seal = step.seal
            context.record(step)
            self.before_end()
            if context.stopping():
                return self._ended("interrupted", index + 1, seal)
        return self._ended(self.exit, self.steps, seal)

    def _ended(self, how, steps, seal):
        return Trajectory(
            exit=how,
            steps=steps,
            usage=Usage(output_tokens=steps),
            usd=Decimal("0.01") * steps,
            seal=seal,
        )


def step_of(index: int) -> Step:
    message = Message(role="assistant", content=f"step {index}")
    completion = Completion(message=message, usage=Usage(output_tokens=1), usd=Decimal("0.01"))
    return Step(index=index, request="r", completion=completion)


@dataclass
class Patches:
    """A snapshot that finds ``patch``."""

    patch: str

    def candidate(self, sandbox, attempt_id):
        return candidate(attempt_id, self.patch)


def candidate(attempt_id: str, patch: str) -> Candidate:
    return Candidate(attempt_id=attempt_id, patch=patch, digest=digest_of(patch), proven=True)


def context(memory=None, purse=None, scaffold=None, patch="right", **changes) -> SolveContext:
    """A context of doubles; any part can be replaced."""

    @contextmanager
    def open_sandbox(instance):
        yield FakeSandbox()

    parts = {
        "budget": purse or ExactPurse(),
        "memory": memory or ListMemory(),
        "selector": First(),
        "verifiers": [("says", Says())],
        "clock": lambda: 0.0,
        "stopping": lambda: False,
        "open_sandbox": open_sandbox,
        "guard_against_leaks": lambda sandbox, instance: LeakReport(verified=True),
        "snapshot": lambda sandbox: Patches(patch),
        "apply_patch": lambda sandbox, text: Result(exit_code=0, output=""),
        "audit_steps": lambda steps, instance: (),
        "scaffold_for": lambda arm: scaffold or Plays(),
        "model_for": lambda plan, session, hold: None,
        "attempt_context": lambda plan: AttemptContext(record=lambda step: None, clock=lambda: 0.0),
    }
    parts |= changes
    shared = VerificationContext(
        open_sandbox=parts["open_sandbox"],
        apply=parts["apply_patch"],
        clock=parts["clock"],
        steps=parts["memory"].steps,
    )
    own = {
        name: parts.pop(name)
        for name in ("verifiers", "writer_for", "judge_for", "max_sandboxes")
        if name in parts
    }
    parts["verification"] = VerificationSetup(context=shared, stopping=parts["stopping"], **own)
    return SolveContext(**parts)


def plan(tier: str, dollars: str = "1") -> Plan:
    return Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(dollars)))


def outcome_ids(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.attempt.id for outcome in outcomes]
