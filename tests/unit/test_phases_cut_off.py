"""An attempt with phases, killed at every write: each call is paid once, by the right tier's money.

The process that works is a real one and dies by SIGKILL. Two tiers are reserved, settled and kept
on disk in one hold, as in a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

from swe_router.agents import recorded_attempt
from swe_router.agents.dialogue import DialogueSetup
from swe_router.agents.tool_loop import ToolLoop
from swe_router.errors import LedgerRefused
from swe_router.journal.instance_log import Receipts
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel
from swe_router.records import Arm, Budget, Completion, Phase, Plan, Usage
from swe_router.records.requests import request_digest
from swe_router.seams import AttemptPhases, PhaseTier
from swe_router.wiring import phase_wiring
from swe_router.wiring.run_wiring import RunWiring
from tests.doubles.agent import INSTANCE, LOOK, SUBMIT, Told, answer, call
from tests.doubles.phased import SHEET, rate
from tests.doubles.talker import QuickSandbox

ATTEMPT, KEY = "1-weak", f"{INSTANCE.id}/1-weak"
PLAN = Plan(
    arm=Arm(model="weak"),
    budget=Budget(dollars=Decimal(5)),
    phases=(
        Phase(role="planner", tier="strong", usd=1, calls=2),
        Phase(role="advisor", tier="strong", usd=1, calls=1),
        Phase(role="finisher", tier="strong", usd=1, stall=2),
    ),
)
ASK = call("ask_advisor", question="Where?")
RATES = {"weak": rate("1"), "strong": rate("10")}
WANTED = ["strong", "weak", "strong", "weak", "weak", "strong"]
"""Plan, question, advice, two equal looks, end."""


class Talk:
    """Answers by what it is asked, so that the same request has the same answer; keeps a bill."""

    def __init__(self, bill: Path, tier: str) -> None:
        self.bill, self.tier = bill, tier

    def complete(self, messages, tools=(), *, limits) -> Completion:
        with self.bill.open("a") as file:
            file.write(f"{self.tier} {request_digest(messages, tools, limits)}\n")
        turns = sum(message.role == "assistant" for message in messages)
        if self.tier == "weak":
            made = answer(ASK) if turns == 0 else answer(LOOK)
        else:
            made = answer(SUBMIT) if turns > 1 else answer(say="Plan, or advice.")
        usage = Usage(input_tokens=10 * len(messages), output_tokens=5, seconds=1.0)
        return made.model_copy(update={"usage": usage})


class Kill:
    """Kills this process before or after the ``at``-th piece of work."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work):
        def fused(*words, **named):
            self()
            made = work(*words, **named)
            self()
            return made

        return fused


def wiring_of(folder: Path) -> RunWiring:
    settings = SimpleNamespace(budget=Decimal(10))
    (folder / "settings.json").write_text('{"settings": {}, "seal": "of this run"}')
    return RunWiring(RunFolder(folder), SimpleNamespace(settings=settings), print)


def known(model=None) -> AttemptPhases:
    context = Told().context()
    tiers = {name: PhaseTier(context, one.usd, 300.0) for name, one in RATES.items()}
    return AttemptPhases(PLAN.phases, "weak", tiers, model)


def work(folder: Path, kill: Kill):
    """What a worker does with the attempt, begun or gone on with."""
    wiring = wiring_of(folder)
    wiring.settle_receipts(INSTANCE)
    log = wiring.log_of(INSTANCE)
    rest = PLAN.budget.dollars - wiring.ledger.spent_by(KEY)
    with wiring.ledger.hold("weak", rest, KEY) as hold:

        def model(tier: str) -> MeteredModel:
            receipts = Receipts(log, ATTEMPT, among_steps=True)
            share = phase_wiring.share_of(wiring.ledger, hold, PLAN, tier)
            book = SimpleNamespace(
                reserve=kill.around(share.reserve), settle=kill.around(share.settle),
                void=share.void, lose=share.lose,
            )  # fmt: skip
            kept = SimpleNamespace(
                paid_answer=receipts.paid_answer, keep=kill.around(receipts.keep)
            )
            talk = SimpleNamespace(complete=kill.around(Talk(folder / "bill", tier).complete))
            signs = "" if tier == "weak" else tier
            return MeteredModel(talk, book, RATES[tier], receipts=kept, tier=signs)

        models = {tier: model(tier) for tier in RATES}
        sandbox = SimpleNamespace(identity="test:quick", run=kill.around(QuickSandbox().run))
        record = kill.around(lambda step: log.record_step(ATTEMPT, step))
        context = Told().context(
            record=record, past=log.steps(ATTEMPT), phases=known(models.__getitem__)
        )
        loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
        return loop.solve(INSTANCE, models["weak"], sandbox, PLAN.budget, context)


def killed_at(folder: Path, at: int) -> bool:
    folder.mkdir()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work(folder, Kill(at))
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def check(folder: Path) -> bool:
    """Goes on to the end; what then holds of money, records and replay. Whether money was lost."""
    end = work(folder, Kill(0))
    steps = wiring_of(folder).log_of(INSTANCE).steps(ATTEMPT)
    assert [step.completion.tier or "weak" for step in steps] == WANTED
    assert end.exit == "submitted"
    found = recorded_attempt.recheck_attempt(
        SHEET, INSTANCE, steps, DialogueSetup(Told().context(phases=known()), 20, 60),
        recorded=end, budget=PLAN.budget,
    )  # fmt: skip
    assert found == []
    figures = Ledger(folder / "ledger.jsonl", Decimal(10)).figures()
    assert figures.reserved == 0
    for tier, price in RATES.items():
        mine = [step for step in steps if (step.completion.tier or "weak") == tier]
        assert figures.by_tier[tier].settled == sum(step.completion.usd for step in mine)
        assert all(step.completion.usd == price.usd(step.completion.usage) for step in mine)
    assert end.tiers["strong"].usd == figures.by_tier["strong"].settled
    bill = Counter((folder / "bill").read_text().splitlines())
    assert len(bill) == len(WANTED)
    twice = [request for request, times in bill.items() if times > 1]
    assert len(twice) <= 1, "only the call that was on its way is asked again"
    assert bool(figures.lost) >= bool(twice)
    return figures.lost > 0


def test_an_attempt_with_phases_that_dies_at_any_write_is_paid_once_and_replays_exactly(tmp_path):
    at, lost = 1, 0
    while killed_at(tmp_path / str(at), at):
        lost += check(tmp_path / str(at))
        at += 1
    # Two places each around reservation, call, receipt, settlement and step; a command has two.
    assert at - 1 == 10 * len(WANTED) + 2 * 2
    assert lost == 4 * len(WANTED), "between a reservation and its receipt"


def test_no_phase_spends_what_is_another_tiers_in_the_attempt(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(10))
    plan = PLAN.model_copy(update={"phases": PLAN.phases[:1]})
    with ledger.hold("weak", plan.budget.dollars, KEY) as hold:
        strong = phase_wiring.share_of(ledger, hold, plan, "strong")
        weak = phase_wiring.share_of(ledger, hold, plan, "weak")
        first = strong.reserve(Decimal("0.7"))
        assert _refused(strong, "0.4"), "what is out counts"
        strong.settle(first, Decimal("0.5"), Usage())
        second = strong.reserve(Decimal("0.5"))
        strong.void(second)
        assert _refused(weak, "4.1")
        weak.settle(weak.reserve(Decimal(4)), Decimal(4), Usage())
    with ledger.hold("weak", Decimal("0.5"), KEY) as hold:
        again = phase_wiring.share_of(ledger, hold, plan, "strong")
        assert _refused(again, "0.51"), "a resume counts what was spent before"
    figures = ledger.figures()
    assert {name: one.settled for name, one in figures.by_tier.items()} == {
        "weak": 4, "strong": Decimal("0.5"),
    }  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [row["tier"] for row in rows if row["op"] == "reserve"] == ["strong", "strong", "weak"]


def _refused(share, usd: str) -> bool:
    with contextlib.suppress(LedgerRefused):
        share.reserve(Decimal(usd))
        return False
    return True
