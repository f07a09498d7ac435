"""A paid answer whose process was killed before the ledger heard of it."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import Ledger
from swe_router.records import Completion, Instance, Message
from swe_router.wiring.run_wiring import RunWiring

INSTANCE = Instance(id="demo__x-1", repo="demo/x", base_commit="c" * 40, problem="It breaks.")


@pytest.fixture
def wiring(tmp_path):
    (tmp_path / "settings.json").write_text('{"settings": {}, "seal": "of this run"}')
    return RunWiring(
        RunFolder(tmp_path), SimpleNamespace(settings=SimpleNamespace(budget=Decimal(1))), print
    )


def test_a_resume_charges_it_at_its_price_and_not_at_its_reservation(wiring):
    dead = "this host|another boot|1|1|1"
    ledger = Ledger(wiring.run.ledger_file, Decimal(1), owner=lambda: dead, alive=lambda _: True)
    hold = ledger.hold("local", Decimal("0.5"), f"{INSTANCE.id}/1-local")
    reservation = hold.reserve(Decimal("0.3"))
    message = Message(role="assistant", content="paid")
    answer = Completion(message=message, usd=Decimal("0.02"))
    Receipts(InstanceLog(wiring.run.attempt_folder(INSTANCE.id)), "1-local").keep(
        "r", reservation, answer
    )
    wiring.ledger.abandon_others()
    assert wiring.ledger.view().spent == Decimal("0.3"), "nothing is known of the answer yet"
    wiring.settle_receipts(INSTANCE)
    wiring.settle_receipts(INSTANCE)
    view = wiring.ledger.view()
    assert (view.spent, view.reserved) == (Decimal("0.02"), 0)
