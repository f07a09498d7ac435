"""The small rules of `solve`, each by itself: who is asked, what is counted, when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from swe_router.errors import Lost, VerifierError
from swe_router.records import (
    IMPORTED,
    CallLimits,
    Completion,
    Failure,
    Message,
    RecordedDecision,
    Result,
    Stop,
    Try,
    Verdict,
)
from swe_router.solve import imported_outcomes, moves, verifier_cost
from swe_router.solve.decision_maker import MAX_MOVES
from swe_router.solve.engine import solve, status_of
from swe_router.solve.selection import PolicySelector, selector_for
from swe_router.solve.stoppable import unless_stopping
from swe_router.solve.unpaid import ended_for_lack_of_money
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    ExactPurse,
    FakeSandbox,
    First,
    Ladder,
    ListMemory,
    Plays,
    context,
    plan,
)
from tests.doubles.project import outcome, verdict

D = Decimal


def imported(patch="came", *verdicts, source="", number=1):
    made = outcome(patch, *verdicts, tier=IMPORTED, number=number)
    return made.model_copy(update={"attempt": made.attempt.model_copy(update={"source": source})})


def never_begun(number=1):
    made = outcome("", ended="budget", number=number)
    end = made.attempt.trajectory.model_copy(
        update={"why": "an attempt on tier weak needs 1 USD: it does not fit"}
    )
    return made.model_copy(update={"attempt": made.attempt.model_copy(update={"trajectory": end})})


class Done(Ladder):
    """A policy that never wants more."""

    def decide(self, features, history, purse):
        return Stop(why="enough")


def ends_unpaid(history, policy=None, why="enough"):
    decided = RecordedDecision(decision=Stop(why=why), purse=ExactPurse().view())
    return ended_for_lack_of_money(policy or Done(()), FEATURES, history, decided)


def test_one_attempt_that_had_no_money_to_begin_leaves_an_instance_unpaid():
    begun = outcome("wrong", verdict("fail"), number=2)
    lacking = never_begun()
    assert lacking.never_begun
    assert not begun.never_begun
    assert ends_unpaid((begun, lacking))
    assert not ends_unpaid((begun,))
    assert not ends_unpaid(())
    accepted = outcome("right", verdict("pass"), number=3)
    assert not ends_unpaid((accepted, lacking)), "it is solved"
    cut = outcome("right", verdict("pass"), ended="steps", number=3)
    assert ends_unpaid((cut, lacking)), "what was cut off is not trusted"


def test_a_policy_that_would_try_more_with_money_leaves_an_instance_unpaid():
    ladder = Ladder((plan("weak"), plan("mid")))
    assert ends_unpaid((outcome("wrong", verdict("fail")),), ladder)
    assert not ends_unpaid(
        (outcome("wrong", verdict("fail")),), ladder, "it never stopped by itself"
    )
    came = imported("came", verdict("pass"))
    assert not ends_unpaid((came,), ladder), "taken as it came"
    assert ends_unpaid((came, outcome("wrong", verdict("fail"))), ladder), "it went on"
    tried = RecordedDecision(
        decision=Try(plans=(plan("weak"),), why="x"), purse=ExactPurse().view()
    )
    assert not ended_for_lack_of_money(ladder, FEATURES, (), tried)


def test_candidates_that_came_accepted_end_it_and_are_named_by_their_sources():
    one = imported("a", verdict("pass"), source="x/preds.json")
    two = imported("b", verdict("pass"), source="y/preds.json", number=2)
    bad = imported("c", verdict("fail"), source="z", number=3)
    stop = imported_outcomes.accepted_import((one, two, one, bad))
    assert stop is not None
    assert stop.why == "the candidate it came with was accepted: x/preds.json y/preds.json"
    nameless = imported_outcomes.accepted_import((imported("a", verdict("pass")),))
    assert nameless is not None
    assert nameless.why.endswith(f"accepted: 1-{IMPORTED}")
    mine = outcome("a", verdict("pass"))
    assert imported_outcomes.accepted_import((bad, mine)) is None
    assert list(imported_outcomes.selectable_outcomes((one, bad))) == [one]
    assert list(imported_outcomes.selectable_outcomes((one, bad, mine))) == [one, bad, mine]
    assert list(imported_outcomes.selectable_outcomes((bad,))) == [bad]
    assert imported_outcomes.own_outcomes((one, mine, bad)) == (mine,)


@dataclass(frozen=True)
class Hands:
    """Knobs that hand work over, and give an instance up below a value."""

    handover: str = "notes"
    gives_up: str = ""

    def why_stop(self, outcomes, next_plan):
        return f"{self.gives_up}{next_plan.arm.model}" if self.gives_up else ""


@dataclass(frozen=True)
class Knobbed(Done):
    plans: Any = ()
    knobs: Any = field(default_factory=Hands)


def test_a_decision_is_passed_on_with_what_the_instance_came_with():
    came = (imported("c", verdict("fail")),)
    go = Try(plans=(plan("weak"), plan("mid")), why="x")
    passed = imported_outcomes.decision_after_imports(go, Knobbed(), came)
    assert [one.handover for one in passed.plans] == ["notes", "notes"]
    assert imported_outcomes.decision_after_imports(go, Knobbed(), (outcome("d"),)) is go
    assert imported_outcomes.decision_after_imports(Stop(why="y"), Knobbed(), came) == Stop(why="y")
    assert imported_outcomes.decision_after_imports(go, Done(()), came) is go
    assert imported_outcomes.decision_after_imports(go, Knobbed(knobs=Hands("fresh")), came) is go
    given_up = imported_outcomes.decision_after_imports(
        go, Knobbed(knobs=Hands("notes", "no use: ")), came
    )
    assert given_up == Stop(why="no use: weak")


def test_candidates_that_came_are_verified_once_and_progress_says_so():
    told = []
    memory = ListMemory()
    made = context(memory, imported=(imported("wrong"),),
                   progress=lambda *words: told.append(words))  # fmt: skip
    found = imported_outcomes.verify_imported(made, INSTANCE)
    assert [one.verdicts[0].outcome for one in found] == ["fail"]
    assert told == [(INSTANCE.id, IMPORTED, 0, "verifying")]
    assert imported_outcomes.verify_imported(made, INSTANCE) == found
    assert len(told) == 1
    assert imported_outcomes.verify_imported(context(), INSTANCE) == ()
    with pytest.raises(moves.Interrupted):
        imported_outcomes.verify_imported(
            context(imported=(imported("x"),), stopping=lambda: True), INSTANCE
        )


def test_a_policy_chooses_among_its_own_and_the_selector_where_it_left_no_patch():
    @dataclass(frozen=True)
    class Chooses(Done):
        plans: Any = ()

        def choose_among(self, features, outcomes):
            return 0

    selector = selector_for(Chooses(), FEATURES, First())
    assert isinstance(selector, PolicySelector)
    one, two = outcome("a", number=1), outcome("b", number=2)
    assert selector.select((imported("c"), one, two)) == one.candidate
    assert selector.select((imported("c"),)).patch == "c"
    assert selector.select((outcome("", number=3), two)) == two.candidate
    assert isinstance(selector_for(Done(()), FEATURES, First()), First)


# What verifiers pay.


def bill(notes, calls=(), **evidence):
    shown = Verdict(candidate="c", verifier="judge", outcome="pass", evidence=evidence)
    made = SimpleNamespace(notes=notes)
    billed: Any = verifier_cost.with_costs(shown, "1-weak", made, calls)
    return billed.evidence


def test_a_verdict_is_billed_what_it_paid_for_in_this_process_and_before():
    call = {"sample": 1, "usd": "0.25", "usage": {}}
    more = {"sample": 2, "usd": "0.5", "usage": {}}
    assert bill({}, a=1) == {"a": 1}
    assert bill({}, [call], paid_before="x", a=1) == {"a": 1, "usd": "0.25", "calls": [call]}
    notes = {
        "judge:1": {"charged_to": "1-weak", "call": more},
        "judge:2": {"charged_to": "1-weak", "usd": "1", "usage": {"x": 1}},
        "judge:3": {"charged_to": "2-mid", "call": more},
        "other:1": {"charged_to": "1-weak", "call": more},
        "judge:4": "text",
    }
    old = {"sample": 1, "usd": "1", "usage": {"x": 1}}
    assert bill(notes, [call, more]) == {"usd": "1.75", "calls": [more, old, call]}


def test_each_paid_answer_is_tallied_with_its_sample():
    class Answers:
        def complete(self, messages, tools=(), *, limits):
            return Completion(message=Message(role="assistant"), usd=D("0.1"))

    calls: list[dict[str, Any]] = []
    tally = verifier_cost.CallTally(Answers(), calls)
    tally.complete([], limits=CallLimits(max_output_tokens=1, timeout=1, seed=3))
    tally.complete([], limits=CallLimits(max_output_tokens=1, timeout=1))
    assert [(one["sample"], one["usd"]) for one in calls] == [(3, "0.1"), (1, "0.1")]


# Moves, and what an instance came to.


def solved(policy, made):
    return solve(INSTANCE, FEATURES, policy=policy, context=made, run_name="r")


def test_attempts_count_up_from_the_first_free_number():
    assert moves.attempt_ids(4, [plan("weak"), plan("mid")]) == ["4-weak", "5-mid"]


@dataclass
class Settles(First):
    """A selector whose choice stands after one accepted candidate."""

    lefts: list[int] = field(default_factory=list)

    def settled(self, outcomes, left):
        self.lefts.append(left)
        return "one is accepted" if outcomes[-1].accepted else ""


@dataclass(frozen=True)
class Three(Done):
    plans: Any = ()

    def decide(self, features, history, purse):
        return Stop(why="done") if history else Try(plans=(plan("weak"),) * 3, why="three at once")


def test_plans_that_change_nothing_any_more_are_left_out():
    memory, selector = ListMemory(), Settles()
    solved(Three(), context(memory, selector=selector, early_stop=True))
    (outcomes, left_out) = next(value for kind, value in memory.written if kind == "outcomes")
    assert len(outcomes) == 1
    assert (left_out.move, left_out.attempts, left_out.why) == (
        0, ("2-weak", "3-weak"), "one is accepted"
    )  # fmt: skip
    assert selector.lefts == [2]
    whole = ListMemory()
    solved(Three(), context(whole, selector=Settles(), early_stop=False))
    (outcomes, left_out) = next(value for kind, value in whole.written if kind == "outcomes")
    assert (len(outcomes), left_out) == (3, None)
    assert moves.why_settled(First(), (), 3) == ""


def test_nothing_is_begun_once_the_run_stops():
    class Opening:
        def __enter__(self):
            return FakeSandbox(identity="it", workdir="/app")

        def __exit__(self, *_):
            return None

    stopping = []
    opening: Any = Opening()
    with unless_stopping(opening, lambda: bool(stopping)) as sandbox:
        assert (sandbox.identity, sandbox.workdir) == ("it", "/app")
        assert sandbox.run("ls", timeout=1) == Result(exit_code=0, output="")
        with pytest.raises(FileNotFoundError):
            sandbox.read("x")
        stopping.append(True)
        with pytest.raises(VerifierError, match="the run is stopping"):
            sandbox.run("ls", timeout=1)
    with (
        pytest.raises(VerifierError, match="the run is stopping"),
        unless_stopping(opening, lambda: True),
    ):
        pass


def test_a_sandbox_that_broke_is_tried_again_under_the_next_name():
    class Breaks(Plays):
        def solve(self, instance, model, sandbox, budget, its):
            raise Lost("container killed")

    memory = ListMemory()
    made = context(memory, scaffold=Breaks(), sandbox_retries=2)
    solved(Ladder((plan("weak"),)), made)
    outcomes = next(value for kind, value in memory.written if kind == "outcomes")[0]
    assert [one.attempt.id for one in outcomes] == ["1-weak", "1-weak.2", "1-weak.3"]
    assert [one.attempt.failure.boundary for one in outcomes] == ["sandbox"] * 3
    broke = [value.attempt.id for kind, value in memory.written if kind == "broke"]
    assert broke == ["1-weak", "1-weak.2"]


def broke(*, counts):
    failure = Failure(kind="Lost", boundary="sandbox", message="m", retry=False, counts=counts)
    return outcome("", ended="broke", failure=failure)


def test_how_an_instance_ended_is_told_by_its_attempts():
    out_of_money = outcome("", ended="budget")
    assert status_of((), has_patch=True) == "candidate"
    assert status_of((), has_patch=False) == "budget"
    assert status_of((out_of_money, out_of_money), has_patch=False) == "budget"
    assert status_of((out_of_money, outcome("", ended="steps")), has_patch=False) == "empty"
    assert status_of((broke(counts=False),) * 2, has_patch=False) == "infra"
    assert status_of((broke(counts=False), broke(counts=True)), has_patch=False) == "empty"
    assert status_of((broke(counts=False), outcome("")), has_patch=False) == "empty"


def test_a_record_sums_what_its_own_attempts_cost():
    record = solved(Ladder((plan("weak"), plan("mid"))), context(patch="wrong"))
    assert (record.usd, record.usage.output_tokens) == (D("0.04"), 4)
    assert (record.status, record.stop, record.chosen) == (
        "candidate",
        "top of the ladder",
        "2-mid",
    )
    assert not record.unpaid


def test_a_policy_that_never_stops_is_stopped_after_its_moves():
    @dataclass(frozen=True)
    class Endless(Done):
        plans: Any = ()

        def decide(self, features, history, purse):
            return Try(plans=(plan("weak"),), why="again")

    record = solved(Endless(), context(patch="wrong"))
    assert len(record.outcomes) == MAX_MOVES == len(record.decisions) - 1
    assert record.stop == f"stopped after {MAX_MOVES} moves: the policy never stopped by itself"
    assert not record.unpaid


def test_a_policy_that_stops_for_money_that_others_hold_waits_for_it():
    @dataclass(frozen=True)
    class Careful(Done):
        plans: Any = ()

        def decide(self, features, history, purse):
            if history or purse.left < 1:
                return Stop(why="no money")
            return Try(plans=(plan("weak"),), why="go")

    told: list[tuple[Any, ...]] = []
    purse = ExactPurse(others=[D("9.5"), D("9.5"), D(0)])
    made = context(purse=purse, progress=lambda *words: told.append(words))
    record = solved(Careful(), made)
    assert len(record.outcomes) == 1
    waits = [words for words in told if words[3] == "waiting for money that others hold"]
    assert waits == [(INSTANCE.id, "", 0, "waiting for money that others hold")] * 2
    spent = ExactPurse(spent=D("9.5"), others=[D("0.2")])
    assert solved(Careful(), context(purse=spent)).outcomes == (), "what is spent does not return"
    with pytest.raises(moves.Interrupted):
        solved(Careful(), context(purse=ExactPurse(others=[D("9.5")]), stopping=lambda: True))


def test_a_run_that_was_cut_off_takes_its_moves_as_they_stand():
    memory = ListMemory()
    ladder = Ladder((plan("weak"), plan("mid")))
    first = solved(ladder, context(memory, patch="wrong"))
    assert solved(ladder, context(memory)) == first, "nothing is tried again"
    memory.written = [one for one in memory.written if one[0] != "outcomes"][:1]
    again = solved(ladder, context(memory, patch="wrong"))
    assert [one.attempt.id for one in again.outcomes] == ["1-weak", "2-mid"]
