"""An attempt in which another tier plans, advises or finishes: who is asked, and at what price."""

from __future__ import annotations

from decimal import Decimal

import pytest

from swe_router.errors import LedgerRefused, Overloaded
from swe_router.records import Message, Phase
from tests.doubles.agent import FIX, LOOK, SUBMIT, answer, call
from tests.doubles.phased import PhasedAttempt, measured

PLANNER = Phase(role="planner", tier="strong", usd=1, calls=3)
ADVISOR = Phase(role="advisor", tier="strong", usd=1, calls=2)
FINISHER = Phase(role="finisher", tier="strong", usd=1, stall=3)
SEARCH = call("search", query="def add")
ASK = call("ask_advisor", question="Which operator?")
TEXT, NATIVE = {"text_tools": True}, {"text_tools": False}
DIALECTS = pytest.mark.parametrize("fields", [TEXT, NATIVE], ids=["text", "native"])


def planned(**fields):
    made = {
        "weak": [answer(FIX), answer(SUBMIT)],
        "strong": [answer(SEARCH), answer(say="Turn the minus into a plus.")],
    }
    return PhasedAttempt((PLANNER,), **{**made, **fields})


def tiers(steps):
    return [step.completion.tier for step in steps]


def roles(steps):
    return [step.phase.role if step.phase else "" for step in steps]


@DIALECTS
def test_the_plan_of_the_strong_tier_stands_in_the_first_message_of_the_cheap_one(tmp_path, fields):
    text = fields["text_tools"]
    attempt = planned(weak=[answer(FIX, text=text), answer(SUBMIT, text=text)], weak_fields=fields)
    end, steps = attempt.run(tmp_path)
    assert (end.exit, tiers(steps)) == ("submitted", ["strong", "strong", "", ""])
    assert roles(steps) == ["planner", "", "executor", ""]
    first = attempt.own.requests[0].messages[1].content
    assert "Turn the minus into a plus." in first
    assert "Turn the minus" not in attempt.helper.requests[0].messages[1].content
    assert [tool.name for tool in attempt.helper.requests[0].tools] == ["search"]
    assert end.usd == sum(step.completion.usd for step in steps)
    assert attempt.divergences(end, steps) == []


def test_a_planner_cannot_change_files_and_is_asked_for_its_plan_at_its_last_call(tmp_path):
    looks = [answer(FIX), answer(SEARCH), answer(SEARCH, say="A plan, and one more look.")]
    attempt = planned(strong=looks)
    end, steps = attempt.run(tmp_path)
    assert "the tools are search" in steps[0].actions[0].observation
    assert "Write the work plan now" in attempt.helper.requests[2].messages[-1].content
    assert "A plan, and one more look." in attempt.own.requests[0].messages[1].content
    assert attempt.divergences(end, steps) == []


def test_a_plan_that_was_paid_for_is_not_written_again(tmp_path):
    attempt = planned(strong=[], work_plan="Turn it.")
    end, steps = attempt.run(tmp_path)
    assert tiers(steps) == ["", ""]
    assert "used again" in steps[0].phase.why
    assert "Turn it." in attempt.own.requests[0].messages[1].content
    assert attempt.divergences(end, steps) == []


@pytest.mark.parametrize("error", [LedgerRefused("no money"), Overloaded("busy", billed=False)])
def test_an_attempt_goes_on_without_the_planner_that_cannot_be_asked(tmp_path, error):
    attempt = planned(strong=[error])
    end, steps = attempt.run(tmp_path)
    assert (end.exit, tiers(steps)) == ("submitted", ["", ""])
    assert str(error) in steps[0].phase.refused[0]
    assert attempt.divergences(end, steps) == []


@DIALECTS
def test_advice_is_the_result_of_the_call_that_asked_for_it(tmp_path, fields):
    text = fields["text_tools"]
    attempt = PhasedAttempt(
        (ADVISOR,),
        weak=[answer(LOOK, text=text), answer(ASK, LOOK, text=text), answer(FIX, text=text),
              answer(ASK, text=text), answer(SUBMIT, text=text)],
        strong=[answer(say="Plus."), answer(say="Submit it.")],
        weak_fields=fields,
    )  # fmt: skip
    end, steps = attempt.run(tmp_path)
    assert tiers(steps) == ["", "", "strong", "", "", "strong", ""]
    assert end.exit == "submitted"
    shown = attempt.own.requests[2].messages
    assert any("Plus." in message.content for message in shown[-2:])
    assert len(steps[1].actions) == 1, "what stands behind the question waits for its answer"
    first, second = attempt.helper.requests
    assert second.messages[: len(first.messages)] == first.messages, "the advisor's cache holds"
    assert "return a - b" in first.messages[1].content
    assert "Which operator?" in first.messages[1].content
    assert "return a + b" in second.messages[-1].content
    assert "return a - b" not in second.messages[-1].content.partition("return a + b")[2]
    assert attempt.divergences(end, steps) == []


def test_no_more_questions_are_asked_than_the_phase_allows(tmp_path):
    one = ADVISOR.model_copy(update={"calls": 1})
    attempt = PhasedAttempt((one,), [answer(ASK), answer(ASK), answer(SUBMIT)], [answer(say="+")])
    end, steps = attempt.run(tmp_path)
    assert tiers(steps) == ["", "strong", "", ""]
    assert "all questions" in steps[2].actions[0].observation
    assert attempt.divergences(end, steps) == []


@pytest.mark.parametrize("error", [LedgerRefused("no money"), Overloaded("busy", billed=True)])
def test_an_attempt_goes_on_without_the_advisor_that_cannot_be_asked(tmp_path, error):
    attempt = PhasedAttempt((ADVISOR,), [answer(ASK), answer(FIX), answer(SUBMIT)], [error])
    end, steps = attempt.run(tmp_path)
    assert (end.exit, tiers(steps)) == ("submitted", ["", "", ""])
    assert steps[1].phase.refused == (f"advisor: {_said(error)}",)
    assert attempt.divergences(end, steps) == []


def _said(error):
    return str(error) if isinstance(error, LedgerRefused) else f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("weak", [TEXT, NATIVE], ids=["from text", "from native"])
@pytest.mark.parametrize("strong", [TEXT, NATIVE], ids=["to text", "to native"])
def test_a_stalled_attempt_is_finished_by_the_strong_tier_in_its_own_dialect(
    tmp_path, weak, strong
):
    thought = Message(role="assistant", kept=({"type": "thinking", "signature": "s"},))
    looks = [answer(LOOK, say="I look.", text=weak["text_tools"]) for _ in range(3)]
    looks[0] = looks[0].model_copy(
        update={"message": looks[0].message.model_copy(update={"kept": thought.kept})}
    )
    ends = [answer(FIX, text=strong["text_tools"]), answer(SUBMIT, text=strong["text_tools"])]
    attempt = PhasedAttempt((FINISHER,), looks, ends, weak, strong)
    end, steps = attempt.run(tmp_path)
    assert (end.exit, tiers(steps)) == ("submitted", ["", "", "", "strong", "strong"])
    assert steps[3].phase.why == "the same call showed the same 3 times"
    taken_over = attempt.helper.requests[0].messages
    assert not any(message.kept for message in taken_over), "another provider's thoughts"
    native = not strong["text_tools"]
    assert bool(attempt.helper.requests[0].tools) is native
    assert any(message.tool_calls for message in taken_over) is native
    assert any(message.role == "tool" for message in taken_over) is native
    assert sum("[exit code 0]" in message.content for message in taken_over) == 3
    assert "cat calc.py" in (str(taken_over[2].tool_calls) if native else taken_over[2].content)
    assert "You take over" in taken_over[-1].content
    assert attempt.divergences(end, steps) == []


def test_the_stop_loss_hands_over_where_it_would_end_an_attempt_else(tmp_path):
    def rule(steps, usd):
        return "too many steps" if steps >= 2 else ""

    looks = [answer(LOOK), answer(SEARCH)]
    attempt = PhasedAttempt((FINISHER,), looks, [answer(FIX), answer(SUBMIT)])
    end, steps = attempt.run(tmp_path, stop_loss=rule)
    assert (end.exit, tiers(steps)) == ("submitted", ["", "", "strong", "strong"])
    assert attempt.divergences(end, steps, stop_loss=rule) == []
    alone = PhasedAttempt((ADVISOR,), looks, [])
    end, steps = alone.run(tmp_path / "alone", stop_loss=rule)
    assert (end.exit, end.why) == ("stop_loss", "too many steps")
    assert alone.divergences(end, steps, stop_loss=rule) == []
    assert alone.divergences(end, steps) != [], "a rule that was changed is found"


def test_an_attempt_that_gives_up_is_taken_over(tmp_path):
    attempt = PhasedAttempt(
        (FINISHER.model_copy(update={"stall": 0}),),
        [answer(say="Hm.") for _ in range(3)],
        [answer(FIX), answer(SUBMIT)],
    )
    end, steps = attempt.run(tmp_path)
    assert (end.exit, tiers(steps)) == ("submitted", ["", "", "", "strong", "strong"])
    assert attempt.divergences(end, steps) == []


def test_a_first_visit_that_the_phase_cannot_pay_is_not_made(tmp_path):
    """30,000 tokens at a write price of $12.50 a million are $0.375."""
    looks = [measured(answer(LOOK), 30_000) for _ in range(3)]
    for usd, taken in (("0.37", False), ("0.40", True)):
        attempt = PhasedAttempt(
            (FINISHER.model_copy(update={"usd": Decimal(usd)}),),
            [*looks, answer(SUBMIT)], [answer(SUBMIT)],
        )  # fmt: skip
        end, steps = attempt.run(tmp_path / usd)
        assert ("strong" in tiers(steps)) is taken
        assert attempt.divergences(end, steps) == []


def test_an_attempt_whose_finisher_cannot_be_paid_goes_on_by_itself(tmp_path):
    """Its first call is reserved by the bytes of the prefix, far above what is expected."""
    refused = LedgerRefused("no money")
    attempt = PhasedAttempt(
        (FINISHER,), [*[answer(LOOK)] * 4, answer(FIX), answer(SUBMIT)], [refused]
    )
    end, steps = attempt.run(tmp_path)
    assert (end.exit, tiers(steps)) == ("submitted", [""] * 6)
    assert steps[3].phase.refused == ("finisher: no money",)
    assert roles(steps) == ["", "", "", "executor", "", ""], "it is not asked again"
    own = attempt.own.requests
    assert own[3].messages[: len(own[2].messages)] == own[2].messages
    assert attempt.divergences(end, steps) == []
    again = PhasedAttempt((FINISHER,), [answer(FIX), answer(SUBMIT)], [])
    _, all_steps = again.run(tmp_path / "again", past=steps[:4])
    assert [step.request for step in all_steps] == [step.request for step in steps]
    given_up = PhasedAttempt((FINISHER,), [answer(say="Hm.")] * 3, [refused])
    end, steps = given_up.run(tmp_path / "up")
    assert (end.exit, end.why) == ("budget", "no money")
    assert given_up.divergences(end, steps) == []


def going_back(**fields):
    """The strong tier made two calls after a stall; the weak one's cache may be warm still."""
    phase = FINISHER.model_copy(update={"back": 2, "band": fields.pop("band", 0.1)})
    seconds = fields.pop("seconds", 1.0)
    looks = [measured(answer(LOOK), 1000 * n, seconds=seconds) for n in (10, 11, 12)]
    strong = [measured(answer(SEARCH), 1000 * n, seconds=seconds) for n in (13, 14)]
    ends = [answer(FIX), answer(SUBMIT)]
    return PhasedAttempt((phase,), [*looks, *ends], [*strong, *ends], **fields)


@pytest.mark.parametrize(
    ("fields", "back"),
    [
        ({}, True),
        # The weak tier forgot the prefix: to write it again costs more than the other's reads.
        ({"seconds": 400.0, "weak_usd": "4"}, False),
        ({"seconds": 400.0, "weak_usd": "4", "cache_seconds": 3600.0}, True),
        # Nearly the same price: within the band it stays where it is.
        ({"weak_usd": "6"}, False),
        ({"weak_usd": "6", "band": 0.0}, True),
    ],
)
def test_the_work_goes_back_where_that_is_clearly_cheaper_by_the_state_of_the_caches(
    tmp_path, fields, back
):
    attempt = going_back(**fields)
    end, steps = attempt.run(tmp_path)
    assert end.exit == "submitted"
    assert tiers(steps) == ["", "", "", "strong", "strong", *(["", ""] if back else ["strong"] * 2)]
    weighed = steps[5].phase
    assert weighed.role == ("executor" if back else "finisher")
    assert weighed.usd is not None
    assert weighed.propensity == 1
    band = Decimal(str(attempt.phases[0].band))
    arm, other = (weighed.usd, weighed.other_usd) if back else (weighed.other_usd, weighed.usd)
    assert (arm < other * (1 - band)) is back
    assert attempt.divergences(end, steps) == []
    if back:
        own = attempt.own.requests
        assert own[3].messages[: len(own[2].messages)] == own[2].messages, "its own prefix stays"


ALL = (PLANNER, ADVISOR, FINISHER)


def whole():
    """A plan, a question, a stall and an end by the strong tier."""
    looks = [answer(LOOK)] * 3
    return PhasedAttempt(
        ALL,
        weak=[answer(ASK), *looks],
        strong=[
            answer(SEARCH), answer(say="Plan."), answer(say="Advice."), answer(FIX), answer(SUBMIT)
        ],
    )  # fmt: skip


def test_a_resume_after_any_step_asks_the_same_tiers_the_same(tmp_path):
    attempt = whole()
    end, steps = attempt.run(tmp_path / "whole")
    assert tiers(steps) == ["strong"] * 2 + ["", "strong"] + [""] * 3 + ["strong"] * 2
    assert attempt.divergences(end, steps) == []
    for cut in range(1, len(steps)):
        again = whole()
        made = tiers(steps[:cut])
        again.weak = again.weak[made.count("") :]
        again.strong = again.strong[made.count("strong") :]
        resumed, all_steps = again.run(tmp_path / str(cut), past=steps[:cut])
        assert [step.request for step in all_steps] == [step.request for step in steps]
        assert [step.phase for step in all_steps] == [step.phase for step in steps]
        assert resumed.usd == end.usd
        assert again.divergences(resumed, all_steps) == []


def test_a_replay_finds_a_phase_that_was_changed(tmp_path):
    attempt = whole()
    end, steps = attempt.run(tmp_path)
    other = steps[-1].completion.model_copy(update={"tier": ""})
    forged = [*steps[:-1], steps[-1].model_copy(update={"completion": other})]
    assert any("tier" in one.where for one in attempt.divergences(end, forged))
    taken = roles(steps).index("finisher")
    said = steps[taken].phase.model_copy(update={"why": "because"})
    forged = [*steps]
    forged[taken] = steps[taken].model_copy(update={"phase": said})
    assert any("phase" in one.where for one in attempt.divergences(end, forged))
