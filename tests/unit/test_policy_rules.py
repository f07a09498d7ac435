"""Rules, blind mixes and named routes, as their sources state them."""

from __future__ import annotations

import pytest

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.policies.baselines.random_mix import stretch_shares
from swe_router.policies.rules.thresholds import first_design_scale
from swe_router.records import Features
from tests.doubles.lessons import TIERS, issue
from tests.unit.test_policies import plan, purse
from tests.unit.test_policy_formulas import first, policy


def words(count: int, text: str = "", files: float = 1.0) -> Features:
    values = {"words": float(count), "plausible_files": files, "complexity": 5.0}
    return Features(instance_id="i", text=text, values=values)


def test_the_scale_of_a4_is_the_document_s():
    assert first_design_scale(words(100)) == 2 + 2
    assert first_design_scale(words(1000, files=9)) == 4 + 3
    assert first_design_scale(words(0, "Fix the bug: refactor this algorithm", 9)) == 4 + 3 + 2 + 1
    assert first(policy("doc-a4"), words(100)) == "weak"
    assert first(policy("doc-a4"), words(1000, "a bug", 2)) == "strong"
    assert first(policy("doc-a4"), words(100, "a bug")) == "mid"


def test_the_document_s_rules_as_they_stand():
    def at(score: float, text: str = "") -> Features:
        return Features(instance_id="i", text=text, values={"complexity": score})

    said = [first(policy("doc-6.2"), at(score)) for score in (5, 5.1, 8, 8.1)]
    assert said == ["weak", "mid", "mid", "strong"]
    assert first(policy("doc-6.2"), at(1, "Optimization please")) == "mid"
    assert first(policy("doc-6.2"), at(1, "refactoring the algorithm")) == "strong"
    assert first(policy("doc-6.6"), at(7)) == "weak"
    assert first(policy("doc-6.6"), at(7.1)) == "strong"
    four = (plan("a", "0.1"), plan("b", "0.2"), plan("c", "0.3"), plan("d", "0.4"))
    made = plugins.load_plugin("policies", "doc-6.6")(four)
    assert first(made, at(7.1)) == "d"
    short, near = issue(50, "too short"), policy("doc-a3").training.features[0]
    assert first(policy("doc-a3"), short) == "weak"
    assert first(policy("doc-a3", words=0), near) == "weak"  # an exemplar of the weak tier itself
    assert first(policy("doc-a3", words=0), issue(3, "nothing alike")) == "strong"


def test_shares_are_kept_and_stretched_over_other_ladders():
    assert stretch_shares((0.2, 0.5, 0.3), 3) == pytest.approx((0.2, 0.5, 0.3))
    assert stretch_shares((0.2, 0.5, 0.3), 2) == pytest.approx((0.45, 0.55))
    mix = policy("random-mix", shares=(2, 5, 3))
    went = [first(mix, Features(instance_id=f"i{n}")) for n in range(2000)]
    assert [went.count(t) / 2000 for t in TIERS] == pytest.approx([0.2, 0.5, 0.3], abs=0.04)
    told = mix.options(Features(instance_id="i"), (), purse())
    assert [chance for chance, _ in told] == pytest.approx([0.2, 0.5, 0.3])


def test_rules_are_read_in_order():
    def told(**values: float) -> str:
        return first(policy("rules"), Features(instance_id="i", values=values))

    assert told(diff=1.0, complexity=9.0) == "weak"
    assert told(words=20.0, file_mentions=1.0, complexity=9.0) == "weak"
    assert told(words=200.0, complexity=7.0) == "strong"
    assert told(words=200.0, complexity=3.0, feature_words=2.0, bug_words=1.0) == "strong"
    assert told(words=200.0, complexity=3.0, bug_words=1.0) == "mid"


def test_a_route_names_a_tier_and_other_is_the_default():
    made = policy("arch-router", routes={"bug": "weak", "api": "mid"})
    assert first(made, issue(1, **{"judge.route.bug": 0.2, "judge.route.api": 0.7})) == "mid"
    assert first(made, issue(1, **{"judge.route.other": 1.0})) == "strong"
    with pytest.raises(UsageError, match="'wek'"):
        policy("arch-router", routes={"bug": "wek"})
