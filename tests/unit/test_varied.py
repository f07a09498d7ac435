"""What the candidates of one move are variety, and that no provider gets what it refuses."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import settings
from swe_router.agents import manifest, prompts
from swe_router.commands.replay import dialogue_setup
from swe_router.errors import UsageError
from swe_router.policies.cascade import Cascade
from swe_router.policies.ensembles.best_of import LlmBlender
from swe_router.policies.ensembles.varied import VariedPolicy, Variety
from swe_router.policy_abilities import SupportsChoice, deciding_policy, is_sequential, needs_of
from swe_router.records import BudgetView, Features, Plan, Try
from swe_router.solve.handover import HandedOver
from swe_router.wiring import ensemble
from swe_router.wiring.run_wiring import attempt_context_of
from tests.doubles.engine import INSTANCE, plan

LADDER = (plan("weak", "0.10"), plan("strong", "0.40"))
ISSUE = Features(instance_id="i")


def purse(left: str = "9") -> BudgetView:
    return BudgetView(budget=Decimal(left), spent=Decimal(0), reserved=Decimal(0),
                     instances_left=1, clock=0.0)  # fmt: skip


def plans(variety: Variety, candidates: int, left: str = "9") -> tuple[Plan, ...]:
    policy = VariedPolicy(Cascade(LADDER, candidates=candidates, seed=5), variety)
    decision = policy.decide(ISSUE, (), purse(left))
    assert isinstance(decision, Try)
    return decision.plans


def test_every_candidate_differs_and_says_how():
    variety = Variety(("", "reproduce-first"), (0.2, 0.8), (LADDER[1],), frozenset({"weak"}))
    made = plans(variety, 4)
    assert [(p.arm.model, p.variant, p.temperature, p.seed) for p in made] == [
        ("weak", "", 0.2, None),
        ("strong", "", None, 6),
        ("weak", "reproduce-first", 0.8, 7),
        ("strong", "reproduce-first", None, 8),
    ]
    assert [p.budget.dollars for p in made] == [Decimal("0.10"), Decimal("0.40")] * 2


@given(st.integers(1, 4), st.integers(1, 4))
def test_in_the_long_run_each_variant_meets_each_temperature(variants, temperatures):
    variety = Variety(
        variants=tuple(f"v{n}" for n in range(variants)),
        temperatures=tuple(n / 10 for n in range(temperatures)),
        takes_temperature=frozenset({"weak"}),
    )
    made = variety.diversified([LADDER[0]] * (variants * temperatures))
    assert len({(p.variant, p.temperature) for p in made}) == variants * temperatures


def test_as_many_are_made_as_their_own_limits_leave_money_for():
    variety = Variety(further_tiers=(LADDER[1],))
    made = plans(variety, 4, left="0.55")
    assert [p.arm.model for p in made] == ["weak", "strong"]
    policy = VariedPolicy(Cascade(LADDER, candidates=4), variety)
    decision = policy.decide(ISSUE, (), purse("0.55"))
    assert "2 fewer candidates, for lack of money" in decision.why


def test_a_single_attempt_and_a_policy_of_its_own_mind_are_left_alone():
    variety = Variety(variants=("reproduce-first",))
    assert plans(variety, 1)[0].variant == ""
    own = VariedPolicy(LlmBlender(LADDER), variety)
    assert [p.variant for p in own.decide(ISSUE, (), purse()).plans] == ["", ""]


def test_it_shows_what_the_policy_has_and_survives_the_way_to_a_worker():
    policy = VariedPolicy(Cascade(LADDER), Variety(variants=("a",)))
    issue = Features(instance_id="o__n-1")
    assert policy.knobs == Cascade(LADDER).knobs
    assert needs_of(policy) == ""
    assert not is_sequential(policy)
    assert not isinstance(deciding_policy(policy, issue), SupportsChoice)
    blender = VariedPolicy(VariedPolicy(LlmBlender(LADDER), Variety()), Variety())
    assert isinstance(deciding_policy(blender, issue), SupportsChoice)
    assert pickle.loads(pickle.dumps(policy)) == policy


def demo(**changes):
    return settings.load("demo", sets=[f"{key}={value}" for key, value in changes.items()])


def test_a_temperature_reaches_only_a_tier_that_takes_one():
    wished = demo(**{"tiers.local.temperature": 0.5})
    for tier, sent in (("local", 0.9), ("cloud", None)):
        hot = plan(tier).model_copy(update={"temperature": 0.9, "seed": 3, "variant": "minimal"})
        assert attempt_context_of(wished, hot).temperature == sent
        kept = dialogue_setup(wished, hot, HandedOver()).context
        assert (kept.temperature, kept.seed, kept.variant) == (sent, 3, "minimal")
    assert attempt_context_of(wished, plan("local")).temperature == 0.5


def test_the_settings_make_it_and_say_what_has_no_effect():
    said: list[str] = []
    plain = demo()
    assert ensemble.with_variation(Cascade(LADDER), plain, LADDER) == Cascade(LADDER)
    ensemble.check_ensemble(plain, said.append)
    assert said == []
    ensemble.check_ensemble(demo(**{"ensemble.temperatures": "[0.5]"}), said.append)
    assert any("one candidate per move" in line for line in said)
    assert any("no tier has a temperature" in line for line in said)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("ensemble.variants", '["nonsense"]', "reproduce-first"),
        ("selector", "oracle", "official results"),
        ("ensemble.knobs.qualitty", "1", "qualitty"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_paid(key, value, named):
    with pytest.raises(UsageError, match=named):
        ensemble.check_ensemble(demo(**{key: value}), print)


def test_a_tier_beside_must_be_on_the_ladder():
    with pytest.raises(UsageError, match=r"ensemble\.tiers names tier 'clou'"):
        demo(**{"ensemble.tiers": '["clou"]'})


def test_each_shipped_variant_asks_for_something_else():
    sheet = manifest.read_manifest("default")
    said = {prompts.opening_messages(sheet, INSTANCE, text=False, variant=name)[1].content
            for name in ("", *sheet.variants)}  # fmt: skip
    assert len(said) == 1 + len(sheet.variants) >= 3
    assert all(INSTANCE.problem in text for text in said)
