"""The Protocols that everything plugs into; their contracts stand in the docstrings.

Each seam has one shipped double, one contract test that runs over every implementation and
one entry-point group (``swe_router.policies``, ``.models``, ``.scaffolds``, ``.verifiers``,
``.selectors``, ``.sandboxes``; ``.datasets`` and ``.graders`` in ``datasets.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, Self, runtime_checkable

from swe_router.records import (
    Budget,
    BudgetView,
    CallLimits,
    Candidate,
    Completion,
    CrossMatrix,
    Features,
    Instance,
    Message,
    Outcome,
    Phase,
    Result,
    RouteDecision,
    RunRecord,
    Step,
    ToolSpec,
    Trajectory,
    Usage,
    Verdict,
)
from swe_router.verifier_cache import VerifierCache

CONTINUED_PREFIX = "already in place: "
FITTED_PREFIX = "fitted by: "


class Policy(Protocol):
    """What to try next: a pure value, so the same object drives a live run and a replay.

    ``decide`` must depend on its arguments and the policy's own state only: no clock, no
    randomness that is not seeded by them, no input or output. It raises nothing.
    """

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """A policy that has seen all issues of the run (for LP and ration); may be ``self``."""
        ...

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The next move for one instance, given what was tried on it and the money left."""
        ...

    def update(self, record: RunRecord) -> Self:
        """A policy that has learned from a concluded instance; may be ``self``."""
        ...

    def state(self) -> Mapping[str, Any]:
        """JSON-ready state that ``decide`` depends on beyond the settings; empty if none."""
        ...

    def restored(self, state: Mapping[str, Any]) -> Self:
        """A policy with a state that ``state()`` gave: how a replay asks again."""
        ...


class Model(Protocol):
    """Something that answers a conversation.

    Raises ``ModelError`` (and only that) when no usable answer came; the subclass says whether
    the call may have been billed. Never retries by itself: the retrying wrapper does, so that
    the ledger sees every attempt. Usage is normalised: the four token kinds are disjoint.
    """

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """One answer to ``messages``."""
        ...


class Sandbox(Protocol):
    """A project in a sandbox that can be thrown away.

    ``SandboxError`` means that the sandbox broke; it is never given as command output. A command
    that fails, times out or is missing is an ordinary ``Result``.
    """

    @property
    def identity(self) -> str:
        """Kind and identity, e.g. ``docker:sha256:…`` or ``local:bwrap``."""
        ...

    @property
    def workdir(self) -> str:
        """Absolute folder of the project, as ``Instance.workdir`` names it."""
        ...

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        """Run a shell command as its own process group, in ``cwd`` (from the work folder).

        The whole tree it started is gone when this returns, background processes included, and
        exports do not survive. ``timeout`` is in seconds; ``Result.timed_out`` tells.
        """
        ...

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        """Bytes of a file inside; ``FileNotFoundError`` if absent, ``ValueError`` over limit.

        A relative path is taken from the work folder, here and in ``write``.
        """
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file inside, making parent folders; the mode of an old file stays."""
        ...

    def close(self) -> None:
        """Remove the sandbox and everything in it; safe to call twice."""
        ...


class SandboxFactory(Protocol):
    """Opens the sandboxes of one run.

    A plugin is made as ``(settings, *, run, lock, stopping)``: the ``SandboxSettings``, the run's
    name, a file that is locked while the run lives, and a function that is true once it stops.
    It also gets those of ``start`` (instance -> a bare repository that holds the base commit) and
    ``progress`` (a function of a line) that its ``__init__`` names.
    """

    def open(self, instance: Instance) -> AbstractContextManager[Sandbox]:
        """A fresh start state of the instance, removed at the end of the ``with``.

        Raises ``SandboxError`` when there is none.
        """
        ...


class CodeSearch(Protocol):
    """The code graph as the search tool sees it; it lives on the host and costs no sandbox."""

    def text(self, pattern: str, *, regex: bool, path: str, limit: int) -> str:
        """Lines that match, as ``file:line: text``, grouped by file."""
        ...

    def files(self, pattern: str, *, limit: int) -> str:
        """Paths that match a glob or contain the text."""
        ...

    def symbol(self, name: str, *, kind: str, limit: int) -> str:
        """Definitions (``kind="definition"``) or references (``kind="reference"``) of a name."""
        ...

    def changed(self, path: str, content: bytes | None) -> None:
        """Re-parse a file that the agent wrote (None: deleted)."""
        ...


def _never() -> bool:
    return False


@dataclass(frozen=True)
class AttemptContext:
    """What one attempt gives its scaffold in addition to the model and the sandbox."""

    record: Callable[[Step], None]
    """Called once a step, as soon as it is over; durable when it returns."""
    clock: Callable[[], float]
    """Unix seconds."""
    stopping: Callable[[], bool] = _never
    """True once the user asked the run to stop: end at the next step boundary."""
    search: CodeSearch | None = None
    past: Sequence[Step] = ()
    """Steps of this very attempt that were paid for before a crash: carry their actions out
    again in the fresh sandbox, take their answers as given, pay nothing, then go on."""
    handover: str = ""
    """What earlier attempts leave to the first message; empty for a fresh start."""
    continued: bool = False
    """``handover`` holds an earlier conversation, and its changes are in the sandbox already."""
    note: str = ""
    """For the first step's note: what of the hand-over could not be kept."""
    window: int = 0
    """Tokens that the model's window holds; 0 is unknown."""
    max_output_tokens: int = 8192
    timeout: float = 600.0
    """Seconds for one answer of the model."""
    stop_loss: Callable[[int, Decimal], str] | None = None
    """Steps made and USD spent so far -> why the attempt should be given up now, or the empty
    string. None where nothing was calibrated."""
    image_tokens: int = 0
    """Most tokens that one picture of the issue takes; 0: the model is shown none."""
    text_tools: bool = False
    """The model has no native tool calls: use the text dialect."""
    temperature: float | None = None
    seed: int | None = None
    variant: str = ""
    work_plan: str = ""
    """For the first message: what a planner wrote (``Plan.phases``)."""
    phases: AttemptPhases | None = None
    """What other tiers do in the attempt; None where its arm makes every call."""
    comes_back: bool = False
    """When the sandbox's engine goes away the attempt continues in a new sandbox: a step that
    was cut short is not recorded, for its paid answer is acted upon anew there."""


@dataclass(frozen=True)
class PhaseTier:
    """A tier that makes calls in an attempt with phases."""

    context: AttemptContext
    """Its own window, caps and dialect."""
    usd: Callable[[Usage], Decimal]
    """USD of one call."""
    cache_seconds: float
    """How long its cache keeps a prefix that is not read."""


@dataclass(frozen=True)
class AttemptPhases:
    """What other tiers do in one attempt (``Plan.phases``), and with what."""

    phases: tuple[Phase, ...]
    arm: str
    """Tier of the attempt's arm, which makes all other calls."""
    tiers: Mapping[str, PhaseTier]
    """Those of ``phases``, and the arm's."""
    model: Callable[[str], Model] | None = None
    """Tier of a phase -> its metered model; None where nothing is asked, as in a replay."""
    work_plan: str = ""
    """The plan that an earlier attempt at the issue paid for."""


class Scaffold(Protocol):
    """A strategy that turns a model and a sandbox into a trajectory.

    Limits end it with an ``exit``, not an exception. ``ModelError`` and ``SandboxError`` pass
    through untouched: the caller rescues the diff and records who broke.
    """

    def solve(
        self,
        instance: Instance,
        model: Model,
        sandbox: Sandbox,
        budget: Budget,
        context: AttemptContext,
    ) -> Trajectory:
        """Work on the issue until submitted or a limit is reached."""
        ...


@runtime_checkable
class KeepsDialogue(Protocol):
    """A scaffold, or its class, whose requests are those of ``agents.dialogue``.

    A replay makes them again. Of any other strategy it checks seals and sums alone.
    """

    keeps_dialogue: bool


@dataclass(frozen=True)
class VerificationContext:
    """What a verifier may use."""

    open_sandbox: Callable[[Instance], AbstractContextManager[Sandbox]]
    """A fresh start state of the instance, closed by the caller's ``with``."""
    apply: Callable[[Sandbox, str], Result]
    """Apply a patch text in the work folder; a non-zero exit says that it does not fit. Output that
    begins with ``CONTINUED_PREFIX`` names files, with commas, that the start state holds already as
    patched; with ``FITTED_PREFIX``, what applied it where git could not."""
    writer: Model | None = None
    """Writes tests from the issue; metered, booked as overhead. None: the run names none."""
    judge: Model | None = None
    """Reads issue, diff and evidence; metered, booked as overhead. None: the run names none."""
    graph: Any = None
    """``codegraph.graph.CodeGraph`` at the base commit, or None when the repository could not be
    read.
    """
    deadline: float = 0.0
    """Unix seconds by which the verdict must be there; 0 is none."""
    clock: Callable[[], float] = field(default=lambda: 0.0)
    steps: Callable[[str], Sequence[Step]] = field(default=lambda attempt_id: ())
    """Steps of an attempt of this instance, by id."""
    cache: VerifierCache = field(default_factory=VerifierCache)
    """Shared by the verifiers of one instance: results of running tests at the base, by key."""
    notes: MutableMapping[str, Any] = field(default_factory=dict)
    """The same for what was paid for: durable, so that a resume finds it; JSON values."""
    runner_hint: Callable[[], str] = str
    """Names the test runner where the repository does not tell; empty where nothing does."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Prompt -> its template, as the run keeps it; one that is not here is looked up."""


class Verifier(Protocol):
    """How far to trust a candidate, without the answer key.

    ``pass`` needs positive evidence that something ran; no evidence is ``unknown``. Raises
    ``BoundaryError`` when it could not look; the caller records that as ``unknown``.
    """

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Verdict on ``outcome.candidate``; ``peers`` are the other outcomes of the instance.

        ``outcome.verdicts`` holds the verdicts of the verifiers before this one.
        """
        ...

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded evidence: a replay compares the two."""
        ...


class Selector(Protocol):
    """Which candidate to hand in; pure and deterministic.

    One that can end a move early is a ``policy_abilities.SupportsEarlyStop`` too.
    """

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """One of the outcomes' non-empty candidates, or None when there is none."""
        ...
