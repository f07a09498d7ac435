"""What a local tier costs: the sums of a purchase, of an hour, and of an attempt."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from swe_router.commands import local_cost_checks
from swe_router.commands.report import attempt_costs
from swe_router.errors import UsageError
from swe_router.estimates import local_cost
from swe_router.ledger import Ledger
from swe_router.ledger.log_reader import call_spans
from swe_router.models import tier_checks
from swe_router.records import Usage
from swe_router.settings import HardwareSettings, PriceSettings, load

DAY = datetime.date(2026, 11, 24)
FIRST = HardwareSettings(usd=2000, months=24, energy_usd=20, cloud_usd=600)
SECOND = HardwareSettings(usd=2500, months=24, energy_usd=0, cloud_usd=600, cloud_left_usd=180)


@pytest.mark.parametrize(
    ("hardware", "saved", "month", "left", "payback", "counted_twice"),
    [(FIRST, 600, 103, 497, "3.4", "4.0"), (SECOND, 420, 104, 316, "6.0", "7.9")],
)
def test_hardware_is_paid_back_by_what_it_saves_and_not_counted_twice(
    hardware, saved, month, left, payback, counted_twice
):
    assert round(local_cost.usd_per_month(hardware)) == month
    monthly = local_cost.usd_saved_per_month(hardware, Decimal(saved))
    assert round(monthly) == left
    assert f"{local_cost.payback_months(hardware, Decimal(saved)):.1f}" == payback
    # As is often done: the divisor already pays for the hardware once.
    assert f"{hardware.usd / monthly:.1f}" == counted_twice
    line = local_cost_checks.hardware_line(hardware)
    assert f"paid back in {payback} months" in line
    assert counted_twice not in line


def test_energy_follows_from_power_hours_and_the_price_of_a_kwh():
    owned = HardwareSettings(usd=2400, watts=400, usd_per_kwh="0.25", utilisation="0.5")
    assert local_cost.busy_hours_per_month(owned) == 365
    assert local_cost.energy_usd_per_month(owned) == Decimal("0.4") * 365 * Decimal("0.25")
    assert local_cost.usd_per_month(owned) == 100 + Decimal("36.5")
    assert local_cost.usd_per_gpu_hour(owned) == Decimal("136.5") / 365


def test_hardware_that_saves_less_than_its_energy_is_never_paid_back():
    owned = HardwareSettings(usd=2000, energy_usd=50, cloud_usd=40)
    assert local_cost.payback_months(owned, Decimal(40)) is None
    assert "never paid back" in local_cost_checks.hardware_line(owned)


def test_an_attempt_costs_its_seconds_over_the_calls_that_share_them():
    assert local_cost.usd_per_attempt(Decimal(2), Decimal(900), 1) == Decimal("0.5")
    assert local_cost.usd_per_attempt(Decimal(2), Decimal(900), Decimal("2.5")) == Decimal("0.2")
    assert local_cost.break_even_attempts(Decimal(2), Decimal("0.5")) == 4
    assert local_cost.break_even_attempts(Decimal(2), Decimal(0)) is None


@pytest.mark.parametrize(
    ("spans", "concurrency", "most"),
    [
        ([], 0, 0),
        ([(0, 10)], 1, 1),
        ([(0, 10), (0, 10)], 2, 2),
        ([(0, 10), (10, 20)], 1, 1),  # one after the other
        ([(0, 10), (5, 15), (100, 110)], 30 / 25, 2),  # a pause is not busy time
        ([(5, 5)], 1, 0),
    ],
)
def test_concurrency_is_measured_over_the_time_in_which_calls_were_out(spans, concurrency, most):
    found = local_cost.measure_overlap(spans)
    assert found.concurrency == pytest.approx(concurrency)
    assert found.most <= max(most, 1)


def test_calls_of_a_ledger_have_their_begin_and_end(tmp_path):
    times = iter(range(100, 200))
    book = Ledger(tmp_path / "ledger.jsonl", Decimal(1), clock=lambda: float(next(times)))
    hold = book.hold("local", Decimal("0.5"), "x/1-local")
    first, second = hold.reserve(Decimal("0.1")), hold.reserve(Decimal("0.1"))
    hold.settle(first, Decimal("0.01"), Usage(seconds=2.5), "")
    hold.void(second)
    assert call_spans(tmp_path / "ledger.jsonl") == {"local": [(101.5, 104.0)]}


def test_a_ledger_without_times_has_no_spans_and_is_not_damaged(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(
        '{"op":"reserve","id":"r1","tier":"local"}\n{"op":"settle","id":"r1","usd":"1"}\n'
    )
    assert call_spans(path) == {}


def test_an_owned_tier_is_billed_at_what_its_hour_costs():
    tier = load("hybrid", sets=["tiers.local.price=owned"]).tiers["local"]
    with pytest.raises(UsageError, match=r"tiers\.local\.price = \"owned\" needs your hardware"):
        tier_checks.rate_of("local", tier, PriceSettings(), DAY)
    given = PriceSettings(hardware=HardwareSettings(usd=7300, months=10, utilisation=1))
    rate = tier_checks.rate_of("local", tier, given, DAY)
    # 730 USD a month over 730 hours, shared by four.
    assert rate.per_second * 3600 * 4 == pytest.approx(Decimal(1))
    assert "GPU-hour of your own, shared by 4" in rate.source


@pytest.mark.parametrize(
    ("cloud", "left", "energy", "words"),
    [
        (100, 180, 0, "loses $184.17 and is never paid back: with it the cloud bill is no smaller"),
        (100, 20, 0, "loses $24.17 and is paid back in 31.2 months, after the 24 over which"),
        (600, 0, 600, "loses $104.17 and is never paid back: its energy costs as much as it saves"),
    ],
)
def test_hardware_that_does_not_pay_is_said_to_lose(cloud, left, energy, words):
    given = HardwareSettings(usd=2500, energy_usd=energy, cloud_usd=cloud, cloud_left_usd=left)
    assert words in local_cost_checks.hardware_line(given)


def test_a_tier_on_two_cards_costs_two_gpu_hours_even_for_one_call_at_a_time():
    sets = ["tiers.local.cards=2", "tiers.local.concurrency=1"]
    settings = load("hybrid", sets=sets)
    tier, given = settings.tiers["local"], PriceSettings(usd_per_gpu_hour="2.00")
    rate = tier_checks.rate_of("local", tier, given, DAY)
    assert rate.usd(Usage(seconds=1800)) == pytest.approx(Decimal(2))
    assert rate.source == "4.0000 USD per hour of 2 GPUs, shared by 1"
    assert attempt_costs.gpu_hour_usd(tier, given) == Decimal(4), "what the report divides"


def test_a_tier_on_one_card_has_the_digest_of_runs_from_before():
    tier = load("hybrid").tiers["local"]
    assert "cards" not in tier.model_dump()


def test_doctor_says_what_a_local_tier_costs(tmp_path):
    settings = load(
        "hybrid",
        sets=[
            "tiers.local.price=owned",
            "prices.hardware={usd=2000, months=24, energy_usd=20, cloud_usd=600}",
        ],
    )
    rows = {row.name: row.detail for row in local_cost_checks.local_cost_checks(settings, tmp_path)}
    assert "shared by 4 as set" in rows["cost of local"]
    assert "of sonnet (at its limit of $3.00)" in rows["cost of local"]
    assert "is not measured" in rows["cost of local"]
    assert "$103.33 a month" in rows["hardware"]
    assert "saves $496.67 and is paid back in 3.4 months" in rows["hardware"]
