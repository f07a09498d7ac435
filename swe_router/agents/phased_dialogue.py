"""The conversation of an attempt in which other tiers plan, advise or finish: a pure value machine.

Who makes the next call follows from the calls before it alone (answers, results, usage), so that a
resume and a replay decide as the live run did. What only the live run could know, that a call was
refused, stands in ``Step.phase`` and is recalled from there.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from swe_router.agents import phase_talks
from swe_router.agents.dialogue import Dialogue, DialogueSetup, ModelRequest
from swe_router.agents.manifest import Manifest
from swe_router.agents.observation_text import shortened
from swe_router.agents.phase_state import PhaseState
from swe_router.agents.phase_talks import ASK, AdvisorTalk, PlannerTalk
from swe_router.estimates import switch_price
from swe_router.records import (
    Action,
    Completion,
    Exit,
    Instance,
    Phase,
    PhaseChoice,
    ToolCall,
    phase_of,
)
from swe_router.records.phases import PhaseRole
from swe_router.seams import AttemptPhases, PhaseTier

Pending = tuple[Completion, tuple[Action, ...]]


class PhasedDialogue:
    """One attempt's conversations as one; has what the loop uses of a ``Dialogue``."""

    def __init__(self, manifest: Manifest, instance: Instance, setup: DialogueSetup) -> None:
        assert setup.context.phases is not None
        self._phases: AttemptPhases = setup.context.phases
        self._instance, self._setup = instance, setup
        self._manifest = manifest.at(instance.workdir)
        self._bare = manifest
        planner, advisor = self._phase("planner"), self._phase("advisor")
        sheet = phase_talks.with_advisor_tool(manifest, advisor.calls) if advisor else manifest
        self._sheet = sheet
        self._main = Dialogue(sheet, instance, setup)
        self._finisher: Dialogue | None = None
        self._planner: PlannerTalk | None = None
        self._advisor: AdvisorTalk | None = None
        self._pending: Pending | None = None
        """The turn whose question is with the advisor."""
        self._advises = advisor is not None
        self._state = PhaseState()
        self._role: PhaseRole = "executor"
        self._refusals: tuple[str, ...] = ()
        self._ended: tuple[Exit, str] | None = None
        self._may_return = False
        self._finishes = True
        """The finisher may be asked: none of its calls was refused yet."""
        self.phase: PhaseChoice | None = None
        """The decision that the next step records."""
        if planner is not None:
            self._begin(self._phases.work_plan)

    @property
    def tier(self) -> str:
        """Tier that makes the next call; empty for the attempt's own."""
        phase = self._phase(self._role)
        return phase.tier if phase else ""

    @property
    def only_helps(self) -> bool:
        """The next call is one that the attempt can do without."""
        return self._role in ("planner", "advisor")

    @property
    def ended(self) -> tuple[Exit, str] | None:
        """How the attempt ended, once it did."""
        if self._role in ("planner", "advisor"):
            return None
        return self._ended or self._working.ended

    @property
    def observation_bytes(self) -> int:
        """Bytes of one observation: what the smaller window bears."""
        if self._phase("finisher") is None:
            return self._main.observation_bytes
        return min(self._main.observation_bytes, self._make_finisher().observation_bytes)

    def copy(self) -> PhasedDialogue:
        """The same conversations, to go on with apart from these."""
        twin = copy.copy(self)
        twin._main = self._main.copy()
        twin._finisher = self._finisher.copy() if self._finisher else None
        twin._planner = self._planner.copy() if self._planner else None
        twin._advisor = self._advisor.copy() if self._advisor else None
        return twin

    def make_room(self) -> str:
        """See ``Dialogue.make_room``; where an arm's window is full, the finisher may take over."""
        if self._role == "advisor":
            return ""
        if self._role == "planner" and self._planner is not None:
            note = self._planner.dialogue.make_room()
            if self._planner.dialogue.ended is None:
                return note
            self._begin_execution("", "the planner's window is full")
        before = self._main.ended
        note = self._working.make_room()
        full = self._main.ended if before is None and self._role == "executor" else None
        if full is not None and self._take_over(full[1]):
            return self._working.make_room()
        return note

    def request(self) -> ModelRequest:
        """The next request."""
        if self._role == "advisor" and self._advisor is not None:
            return self._advisor.request()
        if self._role == "planner" and self._planner is not None:
            return self._planner.dialogue.request()
        return self._working.request()

    def calls(self, completion: Completion) -> tuple[ToolCall, ...]:
        """See ``Dialogue.calls``; an advisor calls nothing."""
        if self._role == "advisor":
            return ()
        if self._role == "planner" and self._planner is not None:
            return self._planner.dialogue.calls(completion)
        return self._working.calls(completion)

    def corrective(self, call: ToolCall) -> Action:
        """See ``Dialogue.corrective``."""
        return self._main.corrective(call)

    def own_action(self, call: ToolCall) -> Action | None:
        """What comes of a call that no tool carries out: a question to the advisor."""
        if call.error or call.name != ASK:
            return None
        if self._can_ask():
            return Action(call=call, observation="")
        why = "all questions that could be asked were asked"
        return Action(call=call, observation=self._talk().refused(why))

    def ends_turn(self, call: ToolCall) -> bool:
        """Whether nothing behind this call is carried out: it waits for the advisor."""
        return not call.error and call.name == ASK and self._can_ask()

    def add(self, completion: Completion, actions: Sequence[Action]) -> None:
        """An answer and what came of it; then, who makes the next call."""
        role, self.phase = self._role, None
        self._state = self._state.with_call(role, completion, actions)
        if role == "planner" and self._planner is not None:
            plan = self._planner.add(completion, actions)
            if plan is not None:
                self._begin_execution(plan, "the work plan is written")
        elif role == "advisor":
            self._with_advice(self._talk().answered(completion))
        elif actions and self.ends_turn(actions[-1].call):
            self._ask(completion, tuple(actions))
        else:
            self._add_turn(completion, actions)

    def refused(self, why: str) -> bool:
        """Note that the next call cannot be made; whether the attempt goes on without it."""
        role = self._role
        if role == "planner":
            self._refusals += (f"{role}: {why}",)
            self._begin_execution("", "the planner cannot be asked")
        elif role == "advisor":
            self._refusals += (f"{role}: {why}",)
            self._advises = False
            self._with_advice(self._talk().refused("the advisor cannot be asked"))
            self._choose(self._role, "the advisor cannot be asked")
        elif role == "finisher" and self._main.ended is None:
            self._refusals += (f"{role}: {why}",)
            self._finishes = False
            self._role = "executor"
            self._main.say_after(
                self._manifest.say(phase_talks.TAKE_OVER, why="", back=True).strip()
            )
            self._choose(self._role, "the other tier cannot go on")
        elif role == "executor" and self._phase("finisher"):
            self._refusals += (f"{role}: {why}",)
            if not self._take_over("its share of the money is spent"):
                self._refusals = self._refusals[:-1]
                return False
        else:
            return False
        return True

    def recall(self, phase: PhaseChoice | None) -> None:
        """Take in what a recorded step says that was refused before it."""
        for text in phase.refused if phase else ():
            self.make_room()
            self.refused(text.partition(": ")[2])

    @property
    def _working(self) -> Dialogue:
        """The conversation that works on the files."""
        return self._finisher if self._role == "finisher" and self._finisher else self._main

    def _phase(self, role: str) -> Phase | None:
        return phase_of(self._phases.phases, role)

    def _tier_of(self, role: PhaseRole) -> PhaseTier:
        phase = self._phase(role)
        return self._phases.tiers[phase.tier if phase else self._phases.arm]

    def _setup_of(self, role: PhaseRole) -> DialogueSetup:
        """The setup of a role's own conversation: its tier's limits, the attempt's beginning."""
        mine = self._setup.context
        context = replace(
            self._tier_of(role).context,
            handover=mine.handover,
            continued=mine.continued,
            work_plan=self._main_plan,
            variant="" if role == "planner" else mine.variant,
        )
        return replace(self._setup, context=context)

    _main_plan = ""
    """The work plan in the first message of the executor."""

    def _begin(self, known_plan: str) -> None:
        """Ask the planner first, unless a plan was paid for before."""
        if known_plan:
            self._begin_execution(known_plan, "the work plan of an earlier attempt is used again")
            return
        phase = self._phase("planner")
        assert phase is not None
        self._role = "planner"
        setup = self._setup_of("planner")
        self._planner = PlannerTalk(self._bare, self._instance, setup, phase.calls)
        self._choose("planner", "a work plan is written first")

    def _begin_execution(self, plan: str, why: str) -> None:
        self._role = "executor"
        if plan:
            self._main_plan = shortened(plan, self._main.observation_bytes)
            context = replace(self._setup.context, work_plan=self._main_plan)
            setup = replace(self._setup, context=context)
            self._main = Dialogue(self._sheet, self._instance, setup)
        self._choose("executor", why if plan else f"{why}: there is no work plan")

    def _choose(
        self,
        role: PhaseRole,
        why: str,
        usd: Decimal | None = None,
        other_usd: Decimal | None = None,
    ) -> None:
        """Note who makes the next call, for the step that records it."""
        phase = self._phase(role)
        tier = phase.tier if phase else self._phases.arm
        refused, self._refusals = self._refusals, ()
        self.phase = PhaseChoice(
            role=role, tier=tier, why=why, usd=usd, other_usd=other_usd, refused=refused
        )

    def _talk(self) -> AdvisorTalk:
        if self._advisor is None:
            setup = self._setup_of("advisor")
            self._advisor = AdvisorTalk(self._manifest, self._instance, setup)
        return self._advisor

    def _can_ask(self) -> bool:
        phase = self._phase("advisor")
        if phase is None or not self._advises or self._role != "executor":
            return False
        open_calls = not phase.calls or self._state.steps_of("advisor") < phase.calls
        return open_calls and self._state.usd_of("advisor") < phase.usd

    def _ask(self, completion: Completion, actions: tuple[Action, ...]) -> None:
        ahead = self._main.copy()
        ahead.add(completion, actions)
        self._talk().ask(actions[-1].call, ahead.turns)
        self._pending = completion, actions
        self._role = "advisor"
        self._choose("advisor", "the arm asks")

    def _with_advice(self, text: str) -> None:
        """Show the advice to the one who asked, as the result of the call."""
        assert self._pending is not None
        completion, actions = self._pending
        self._pending, self._role = None, "executor"
        shown = shortened(text, self._main.observation_bytes)
        last = actions[-1].model_copy(update={"observation": shown})
        self._add_turn(completion, (*actions[:-1], last))

    def _add_turn(self, completion: Completion, actions: Sequence[Action]) -> None:
        mine = self._working
        mine.add(completion, actions)
        other = self._finisher if mine is self._main else self._main
        if other is not None:
            seconds = sum(action.seconds for action in actions) + completion.usage.seconds
            other.adopt(mine.turns[-1], seconds)
        if self._role == "executor":
            self._state = self._state.with_turn(actions)
            self._weigh_takeover()
        else:
            self._weigh_return()

    def _weigh_takeover(self) -> None:
        """Let the finisher take over where the arm ended in vain, stalls, or is to be stopped."""
        own = self._state.steps_of("executor")
        rule, ended = self._setup.context.stop_loss, self._main.ended
        if ended is not None:
            if ended[0] == "gave_up":
                self._take_over(ended[1])
            return
        if given_up := rule(own, self._state.usd_of("executor")) if rule else "":
            if not self._take_over(given_up):
                self._ended = "stop_loss", given_up
            return
        phase = self._phase("finisher")
        if phase is None:
            return
        if phase.after and own >= phase.after:
            self._take_over(f"it made the {own} steps that it has before another takes over")
        elif stalled := self._state.why_stalled(phase):
            self._may_return = self._take_over(stalled)

    def _make_finisher(self) -> Dialogue:
        return Dialogue(self._bare, self._instance, self._setup_of("finisher"))

    def _take_over(self, why: str) -> bool:
        """Hand the work to the finisher, if it may still make a call and can pay for it."""
        phase, state = self._phase("finisher"), self._state
        spent = phase is not None and 0 < phase.calls <= state.steps_of("finisher")
        if phase is None or spent or not self._finishes:
            return False
        prefix, pace = self._main.estimated_tokens(), state.pace()
        tier = self._tier_of("finisher")
        warm = state.cache_of("finisher").warm_tokens(tier.cache_seconds)
        usd = switch_price.next_call_usd(tier.usd, prefix, warm, pace.output_tokens)
        if usd > phase.usd - state.usd_of("finisher") or not self._main.turns:
            return False
        if self._finisher is None:
            self._finisher = self._make_finisher()
            for turn in self._main.turns:
                self._finisher.adopt(turn)
        note = self._manifest.say(phase_talks.TAKE_OVER, why=why, back=False)
        self._finisher.say_after(note.strip())
        self._role, self._may_return = "finisher", False
        own = self._tier_of("executor")
        kept = state.cache_of("executor").warm_tokens(own.cache_seconds)
        other = switch_price.next_call_usd(own.usd, prefix, kept, pace.output_tokens)
        self._choose("finisher", why, usd=usd, other_usd=other)
        return True

    def _weigh_return(self) -> None:
        """Give the work back to the arm once it is unstuck, if that is clearly cheaper."""
        phase, state = self._phase("finisher"), self._state
        assert phase is not None
        if self._working.ended is not None:
            return
        if phase.calls and state.steps_of("finisher") >= phase.calls:
            self._ended = "steps", f"{phase.tier} made the {phase.calls} calls that it may make"
        may_return = phase.back and self._may_return and self._ended is None
        if not may_return or state.newest_in_a_row("finisher") % phase.back:
            return
        prefix, pace = self._working.estimated_tokens(), state.pace()
        both = {}
        for role in ("executor", "finisher"):
            tier = self._tier_of(role)
            warm = state.cache_of(role).warm_tokens(tier.cache_seconds)
            both[role] = switch_price.calls_usd(tier.usd, prefix, warm, pace, phase.back)
        if switch_price.is_clearly_cheaper(both["executor"], both["finisher"], phase.band):
            self._role, self._state = "executor", state.without_turns()
            note = self._manifest.say(phase_talks.TAKE_OVER, why="", back=True)
            self._main.say_after(note.strip())
            why = (
                f"the next {phase.back} calls are clearly cheaper, the read of the prefix included"
            )
            self._choose("executor", why, usd=both["executor"], other_usd=both["finisher"])
        else:
            why = f"going back is not cheaper by {phase.band:.0%} over {phase.back} calls"
            self._choose("finisher", why, usd=both["finisher"], other_usd=both["executor"])


def dialogue_of(
    manifest: Manifest, instance: Instance, setup: DialogueSetup
) -> Dialogue | PhasedDialogue:
    """The conversation of an attempt, with phases where its plan has some."""
    kind = PhasedDialogue if setup.context.phases else Dialogue
    return kind(manifest, instance, setup)
