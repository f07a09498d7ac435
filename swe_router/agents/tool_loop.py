"""The strategy ``tool-loop``: ask, carry out, show, until submitted or a limit is reached."""

from __future__ import annotations

import time
from decimal import Decimal

from swe_router.agents import loop_rules, tools
from swe_router.agents.dialogue import DialogueSetup, last_call_failed
from swe_router.agents.manifest import Manifest
from swe_router.agents.observation_text import sendable
from swe_router.agents.phased_dialogue import dialogue_of
from swe_router.agents.search_tool import SearchTool
from swe_router.agents.toolbox import Toolbox
from swe_router.errors import (
    LedgerRefused,
    ModelError,
    SandboxError,
    ScaffoldError,
    SweRouterError,
)
from swe_router.records import (
    Action,
    Budget,
    Completion,
    Exit,
    Instance,
    Step,
    ToolCall,
    Trajectory,
)
from swe_router.seams import AttemptContext, Model, Sandbox

PAST_LEFT = "past steps not used from"
"""Begins the note of the step before which a resumed attempt left its past."""
GRACE, GRACE_SECONDS = 10, 0.2
"""How often, and for how long in all, a stop is looked for behind a sandbox that broke."""


class ToolLoop:
    """A scaffold: one append-only conversation with tools."""

    keeps_dialogue = True

    def __init__(
        self, manifest: Manifest, *, command_timeout: float, command_timeout_max: float
    ) -> None:
        self._manifest = manifest
        self._timeouts = command_timeout, command_timeout_max

    def solve(
        self,
        instance: Instance,
        model: Model,
        sandbox: Sandbox,
        budget: Budget,
        context: AttemptContext,
    ) -> Trajectory:
        """Work on the issue until submitted or a limit is reached.

        ``ModelError`` and ``SandboxError`` pass through; each paid answer was recorded before.
        Raises ``ScaffoldError`` for a fault of our own, so that one attempt breaks and no run.
        """
        try:
            session = _LoopSession(
                self._manifest, self._timeouts, instance, sandbox, budget, context
            )
            session.replay_past_steps()
            exit_, why = session.work(model)
        except SweRouterError:
            raise
        except Exception as error:
            raise ScaffoldError(f"{type(error).__name__}: {error}") from error
        return Trajectory.of(session.steps, exit_, why)


class _LoopSession:
    """One attempt under way."""

    def __init__(
        self,
        manifest: Manifest,
        timeouts: tuple[float, float],
        instance: Instance,
        sandbox: Sandbox,
        budget: Budget,
        context: AttemptContext,
    ) -> None:
        self._budget, self._context = budget, context
        self._rules = loop_rules.rules_of(manifest.rules)
        self._dialogue = dialogue_of(manifest, instance, DialogueSetup(context, *timeouts))
        lookup = SearchTool(
            sandbox,
            context.search,
            base=instance.base_commit,
            limit=manifest.limits.search_results,
            timeout=timeouts[0],
        )
        self._sandbox = Toolbox(
            sandbox=sandbox,
            lookup=lookup,
            clock=context.clock,
            remaining=self._remaining,
            command_timeout=timeouts[0],
            command_timeout_max=timeouts[1],
            observation_bytes=self._dialogue.observation_bytes,
            tells_refusals=self._rules.rest_waits,
        )
        self.steps: list[Step] = list(context.past)
        self._spent = sum((step.completion.usd for step in self.steps), Decimal(0))
        self._note = "" if context.past else context.note
        self._begun = context.clock()

    def replay_past_steps(self) -> None:
        """Rebuild conversation and sandbox from the steps that were paid for before a crash."""
        for step in self._context.past:
            self._dialogue.recall(step.phase)
            self._dialogue.make_room()
            if self._dialogue.request().digest() != step.request:
                self._note = f"{PAST_LEFT} {step.index}: its request would be another one now"
                break
            for action in step.actions:
                # The recorded observation stands; only what changes the sandbox is done again.
                if not action.call.error and action.call.name in ("bash", "edit"):
                    self._sandbox.carry_out(action.call)
            self._dialogue.add(step.completion, step.actions)
        self._begun = self._context.clock() - sum(map(_seconds, self.steps))

    def work(self, model: Model) -> tuple[Exit, str]:
        """Live steps until the attempt ends: how, and why."""
        while (ending := self._dialogue.ended or self._limit()) is None:
            note = self._dialogue.make_room()
            if self._dialogue.ended:
                continue
            request = self._dialogue.request()
            asked = self._asked_model(model)
            try:
                answer = asked.complete(request.messages, request.tools, limits=request.limits)
            except LedgerRefused as refusal:
                if self._dialogue.refused(str(refusal)):
                    continue
                return "budget", str(refusal)
            except ModelError as error:
                if self._dialogue.only_helps and self._dialogue.refused(_named(error)):
                    continue
                raise
            notes = "; ".join(part for part in (self._note, note) if part)
            self._carry_out(request.digest(), _clean(answer), notes)
            self._note = ""
        return ending

    def _asked_model(self, own: Model) -> Model:
        """The model of the tier that makes the next call; ``own``: of the attempt's arm."""
        tier, phases = self._dialogue.tier, self._context.phases
        if not tier or phases is None:
            return own
        assert phases.model is not None, "phases need the models of their tiers"
        return phases.model(tier)

    def _carry_out(self, digest: str, answer: Completion, note: str) -> None:
        """Do what the answer asks; the paid answer is recorded even if the sandbox breaks.

        A stop of the run cuts commands short, or kills the sandbox with its signal, and so does an
        engine that goes away: what they printed then is no observation. Such a step is not
        recorded; its answer is kept by the meter, and a process that continues the attempt acts on
        it anew.
        """
        actions: list[Action] = []
        try:
            for call in self._dialogue.calls(answer):
                # One answer may hold any number of calls: the rest of them is not carried out.
                if actions and self._remaining() <= 0:
                    break
                if self._context.stopping():
                    return
                actions.append(self._act(call))
                if call.name == tools.SUBMIT and not call.error:
                    break
                if self._dialogue.ends_turn(call):
                    break
                if self._rules.rest_waits and last_call_failed(actions):
                    break
        except BaseException as error:
            if not (self._engine_left(error) or self._stopped(error)):
                self._record(digest, answer, actions, note)
            raise
        if self._context.stopping():
            return
        self._record(digest, answer, actions, note)
        self._dialogue.add(answer, actions)

    def _engine_left(self, error: BaseException) -> bool:
        """Whether the next sandbox makes this step whole; replayed, its edit would be lost."""
        gone = isinstance(error, SandboxError) and error.says_nothing_of_instance
        return gone and self._context.comes_back

    def _stopped(self, error: BaseException) -> bool:
        """Whether a stop of the run is behind an error.

        A Ctrl-C may reach the sandbox before it reaches us, and kill it: we know a moment later.
        """
        tries = GRACE if isinstance(error, SandboxError) else 1
        for left in range(tries, 0, -1):
            if self._context.stopping():
                return True
            if left > 1:
                time.sleep(GRACE_SECONDS / GRACE)
        return False

    def _record(self, digest: str, answer: Completion, actions: list[Action], note: str) -> None:
        step = Step(
            index=len(self.steps),
            request=digest,
            completion=answer,
            actions=tuple(actions),
            note=note,
            phase=self._dialogue.phase,
        ).sealed(self.steps[-1].seal if self.steps else "")
        self.steps.append(step)
        self._spent += answer.usd
        self._context.record(step)

    def _act(self, call: ToolCall) -> Action:
        if call.error:
            return self._dialogue.corrective(call)
        return self._dialogue.own_action(call) or self._sandbox.carry_out(call)

    def _remaining(self) -> float:
        if not self._budget.seconds:
            return float("inf")
        return self._budget.seconds - (self._context.clock() - self._begun)

    def _limit(self) -> tuple[Exit, str] | None:
        """The limit that is reached before the next step, if one is."""
        if self._context.stopping():
            return "interrupted", "the run was asked to stop"
        if self._budget.steps and len(self.steps) >= self._budget.steps:
            return "steps", f"the limit of {self._budget.steps} steps is reached"
        if self._remaining() <= 0:
            return "time", f"the limit of {self._budget.seconds:g} seconds is reached"
        spent = self._spent
        if spent and spent >= self._budget.dollars:
            return "budget", f"${spent} of ${self._budget.dollars} are spent"
        # In an attempt with phases the dialogue asks it, of the arm's own steps.
        rule = None if self._context.phases else self._context.stop_loss
        given_up = rule(len(self.steps), spent) if rule else ""
        return ("stop_loss", given_up) if given_up else None


def _named(error: ModelError) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _seconds(step: Step) -> float:
    return step.completion.usage.seconds + sum(action.seconds for action in step.actions)


def _clean(answer: Completion) -> Completion:
    """The answer with nothing in it that could neither be sent again nor be recorded."""
    message = answer.message
    fields = {
        "content": sendable(message.content),
        "tool_calls": tuple(map(_clean_call, message.tool_calls)),
    }
    if (message.content, message.tool_calls) == tuple(fields.values()):
        return answer
    return answer.model_copy(update={"message": message.model_copy(update=fields)})


def _clean_call(call: ToolCall) -> ToolCall:
    fields = {"arguments": sendable(dict(call.arguments)), "error": sendable(call.error)}
    same = (call.arguments, call.error) == tuple(fields.values())
    return call if same else call.model_copy(update=fields)
