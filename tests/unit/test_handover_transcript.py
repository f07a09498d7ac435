"""An earlier conversation: its room, what is cut first, and the money that is kept for it."""

from __future__ import annotations

import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from swe_router.agents import manifest
from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.journal.header import Header
from swe_router.models.metered import MeteredModel
from swe_router.prices import flat_rate, free_rate
from swe_router.records import Budget
from swe_router.seams import AttemptContext
from swe_router.settings import load
from swe_router.solve.handover import transcript
from swe_router.wiring.handover_limit import handover_limit
from tests.doubles.agent import SUBMIT, PlayedModel, answer
from tests.doubles.earlier import did, step
from tests.doubles.engine import INSTANCE

SHEET = manifest.read_manifest("default")


@given(st.lists(st.integers(0, 900), min_size=1, max_size=8), st.integers(60, 4000))
def test_a_transcript_fits_and_keeps_the_newest(sizes, limit):
    steps = [
        step(n, did("bash", "x" * size, 0, command=f"echo {n}")) for n, size in enumerate(sizes)
    ]
    text = transcript(steps, limit)
    assert len(text.encode()) <= limit
    assert f"Step {len(sizes)}:" in text


def test_old_observations_go_before_old_steps():
    steps = [step(n, did("bash", "x" * 800, 0, command=f"echo {n}")) for n in range(4)]
    whole = transcript(steps, 10_000)
    assert whole.count("x" * 800) == 4
    some = transcript(steps, len(whole) - 700)
    assert some.count("x" * 800) == 3
    assert "Step 1:" in some
    least = transcript(steps, 1000)
    assert "steps are left out]" in least or least.count("x" * 800) == 0


def test_an_earlier_conversation_takes_what_window_and_limit_bear():
    sizes = ("local.window=10000", "local.max_output_tokens=2000", "cloud.window=200000")
    settings = load("demo", sets=[f"tiers.{one}" for one in sizes])
    price = flat_rate(Decimal(3), Decimal(15), source="t", on=datetime.date(2026, 1, 1))
    rates = {"local": free_rate(datetime.date(2026, 1, 1)), "cloud": price}
    header = Header(settings, "", rates, {}, "local", {}, 0.0)
    local, cloud = header.ladder()
    assert handover_limit(header, local) == 8000 * 3 // 2, (
        "half the window's room, at three bytes a token"
    )
    cheap = cloud.model_copy(update={"budget": Budget(dollars=Decimal("0.12"))})
    assert handover_limit(header, cheap) == 10_000, "a quarter of the limit, at a token a byte"
    dear = cloud.model_copy(update={"budget": Budget(dollars=Decimal(100))})
    assert handover_limit(header, dear) > 200_000


class Books:
    def __init__(self):
        self.reserved = []

    def reserve(self, usd):
        self.reserved.append(usd)
        return str(len(self.reserved))

    def settle(self, reservation, usd, usage, note=""):
        pass


@given(limit=st.integers(500, 30_000))
def test_the_prefix_is_reserved_for_at_the_price_of_input(limit):
    price = flat_rate(Decimal(3), Decimal(15), source="t", on=datetime.date(2026, 1, 1))
    text = transcript([step(0, did("bash", "x" * 40_000, 0, command="echo"))], limit)

    def reserved(handover: str) -> Decimal:
        books = Books()
        model = MeteredModel(PlayedModel(answer(SUBMIT)), books, price)
        context = AttemptContext(record=lambda step: None, clock=lambda: 0.0, handover=handover)
        request = Dialogue(SHEET, INSTANCE, DialogueSetup(context, 20, 60)).request()
        model.complete(request.messages, request.tools, limits=request.limits)
        return books.reserved[0]

    least = Decimal(len(text.encode())) * 3 / 1_000_000
    assert reserved(text) - reserved("") >= least
