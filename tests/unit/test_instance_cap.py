"""A cap for each instance: over all its attempts and what its verifiers ask, and no other's."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from swe_router import plugins, settings
from swe_router.commands.run import run_driver
from swe_router.errors import LedgerRefused, UsageError
from swe_router.ledger import Ledger
from swe_router.policies.cascade import Cascade
from swe_router.policies.ration import Ration
from swe_router.records import BudgetView, RecordedDecision
from swe_router.replay.record_check import decide_again
from swe_router.reports.exit_status import run_ending
from swe_router.reports.run_text import record_view
from swe_router.solve.engine import solve
from swe_router.wiring.ledger_budget import LedgerBudget
from tests.doubles.engine import FEATURES, INSTANCE, Patches, Plays, context, plan
from tests.doubles.office import NOTHING
from tests.unit.test_summary import facts

D = Decimal


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl", D("10"))


def test_attempts_and_verifiers_calls_of_an_instance_share_its_cap(ledger):
    with ledger.hold("local", D("0.5"), "x/1-local", D("1")) as hold:
        hold.settle(hold.reserve(D("0.3")), D("0.3"), NOTHING)
        assert ledger.taken_by("x") == D("0.5")
    writer = ledger.overhead("x/verify:1-local", D("0.9"), D("1"))
    writer.settle(writer.reserve(D("0.2")), D("0.1"), NOTHING)
    waits = writer.reserve(D("0.2"))
    assert ledger.taken_by("x") == D("0.6")
    with pytest.raises(LedgerRefused, match=r"x may cost 1 USD in all: .* needs 0\.5 and 0\.4"):
        ledger.hold("cloud", D("0.5"), "x/2-cloud", D("1"))
    with pytest.raises(LedgerRefused, match="x may cost 1 USD"):
        writer.reserve(D("0.41"))
    writer.lose(waits)
    assert ledger.taken_by("x") == D("0.6"), "a lost call stays charged"
    assert ledger.hold("cloud", D("0.5"), "xy/1-cloud", D("1")).remaining == D("0.5"), (
        "another's money"
    )
    assert ledger.hold("cloud", D("0.4"), "x/2-cloud", D("1")).remaining == D("0.4")


def capped(ledger, cap, ladder, patch="wrong"):
    purse = LedgerBudget(ledger, 1, INSTANCE.id, cap)

    class Scaffold(Plays):
        def solve(self, instance, model, sandbox, budget, context):
            model.settle(model.reserve(D("0.25")), D("0.25"), NOTHING)
            return super().solve(instance, model, sandbox, budget, context)

    there = context(
        purse=purse, scaffold=Scaffold(), snapshot=lambda sandbox: Patches(patch),
        model_for=lambda plan, session, hold: hold,
    )  # fmt: skip
    return solve(INSTANCE, FEATURES, policy=ladder, context=there, run_name="r")


TWO = Cascade((plan("local", "0.5"), plan("cloud", "1")))


def test_an_instance_stops_at_its_cap_which_is_not_the_runs_money(ledger):
    made = capped(ledger, D("1.2"), TWO)
    assert [one.arm.model for one in made.outcomes] == ["local"]
    assert [one.purse.own for one in made.decisions] == [D("1.2"), D("0.95")]
    assert made.unpaid is False
    assert run_ending([INSTANCE.id], {INSTANCE.id: made}) == "done"
    again = capped(ledger, D("5"), TWO)
    assert [one.arm.model for one in again.outcomes] == ["local", "cloud"]


def test_what_the_cap_left_is_on_record_shown_and_decides_the_same_again(ledger):
    made = capped(ledger, D("1.2"), TWO)
    for decided in made.decisions:
        read = RecordedDecision.model_validate_json(decided.model_dump_json())
        seen = made.outcomes[: made.decisions.index(decided)]
        assert decide_again(TWO, FEATURES, seen, read) == decided.decision
        free = read.model_copy(update={"purse": read.purse.model_copy(update={"own": None})})
        assert (decide_again(TWO, FEATURES, seen, free) == decided.decision) is (not seen)
    console = Console(width=200, file=io.StringIO())
    console.print(record_view(made, facts({INSTANCE.id: made})))
    assert "$0.9500 of its own limit" in " ".join(console.file.getvalue().split())


def test_a_policy_that_rations_the_runs_money_goes_by_the_runs_money():
    purse = BudgetView(budget=D(100), spent=D(0), reserved=D(0), instances_left=20, clock=0)
    ladder = Ration((plan("local", "0.5"), plan("cloud", "1")))
    assert ladder.share(1, purse) == ladder.share(1, purse.model_copy(update={"own": D("1")}))


def test_a_cap_that_pays_for_no_attempt_is_refused_before_the_run(tmp_path):
    with pytest.raises(UsageError, match=r"instance_usd of \$0\.01 pays for no attempt"):
        run_driver.create_run(
            settings.load("demo", sets=["limits.instance_usd=0.01"]), tmp_path, lambda line: None
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["0", "-1", '"x"'])
def test_a_cap_must_be_money(value):
    with pytest.raises(UsageError, match="instance_usd"):
        settings.load("demo", sets=[f"limits.instance_usd={value}"])


PLAIN = (
    "automix",
    "best-of-k",
    "cascade",
    "doc-6.6",
    "llm-blender",
    "random-mix",
    "ration",
    "retry",
)
"""One of each way to stop for money; none learns."""


@pytest.mark.parametrize("name", PLAIN)
def test_an_instance_that_its_own_cap_ends_is_not_told_to_lack_the_runs_money(name):
    ladder = (plan("local", "0.5"), plan("cloud", "1"))
    policy = plugins.load_plugin("policies", name)(ladder)
    poor = BudgetView(budget=D(9), spent=D(0), reserved=D(0), instances_left=1, clock=0.0)
    said = policy.decide(FEATURES, (), poor.model_copy(update={"own": D("0.1")})).why
    assert "limits.instance_usd" in said
    assert "for lack of money" not in said
    said = policy.decide(FEATURES, (), poor.model_copy(update={"budget": D("0.1")})).why
    assert "instance_usd" not in said
