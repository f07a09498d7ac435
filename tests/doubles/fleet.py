"""A fleet of attempts whose calls go in batches to a fake provider, with all that a run keeps."""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from swe_router.agents import manifest
from swe_router.agents.tool_loop import ToolLoop
from swe_router.errors import LedgerRefused, ModelError, StillAway
from swe_router.journal.collected_answers import CollectedAnswers
from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.ledger import Ledger
from swe_router.models.batches.batch_lane import BatchLane, LaneTimes
from swe_router.models.batches.batched_model import BatchedModel, BatchSeat
from swe_router.models.batches.lockstep import Lockstep
from swe_router.models.metered import MeteredModel
from swe_router.models.retrying import RetryingModel
from swe_router.prices import flat_rate
from swe_router.records import Budget
from swe_router.wiring.batch_prices import half_of
from swe_router.wiring.ledger_budget import LedgerBudget
from tests.doubles import batch_bodies
from tests.doubles.agent import INSTANCE, Told
from tests.doubles.batched import model_at
from tests.doubles.talker import QuickSandbox

SHEET = manifest.read_manifest("default")
TIER = "cloud"
RATE = flat_rate(
    Decimal(3),
    Decimal(15),
    cache_read=Decimal("0.3"),
    cache_write=Decimal("3.75"),
    source="test",
    on=datetime.date(2026, 11, 24),
)
RATES = {"standard": RATE, "batch": half_of(RATE)}


def talking(dialect):
    """Asks for one command after another; what an answer uses depends on its request alone."""

    def answer(body, service):
        text = repr(body.get("messages") or body.get("input"))
        calls = [("bash", {"command": f"echo {len(text)}"})]
        tokens = (500 + len(text) % 997, 20 + len(text) % 89)
        return batch_bodies.reply(dialect, calls=calls, tokens=tokens, service=service)

    return answer


def billed_usd(server) -> Decimal:
    """What the provider's own bill comes to, by the published prices, each call by itself."""
    total = Decimal(0)
    for one in server.bill:
        usage, share = one.usage, Decimal("0.5") if one.service == "batch" else Decimal(1)
        asked = usage.get("input_tokens", usage.get("prompt_tokens"))
        given = usage.get("output_tokens", usage.get("completion_tokens"))
        total += share * (asked * Decimal(3) + given * Decimal(15)) / 1_000_000
    return total


QUICK = LaneTimes(quiet=0.01, gather=5.0, poll=0.1, search=0.2)


@dataclass
class Fleet:
    """One process that works on the attempts of a run folder; another may go on with it."""

    folder: Path
    server: object
    size: int = 15
    steps: int = 3
    budget: Decimal = Decimal(10)
    attempt_usd: Decimal = Decimal("0.5")
    retries: int = 3
    live_after: float = 3600.0
    sends: bool = True
    places: int = 4
    times: LaneTimes = QUICK
    stopping: threading.Event = field(default_factory=threading.Event)
    on_write: object = None
    """Called before and after each write of the books, with what was written."""
    ends: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)
    notices: list = field(default_factory=list)
    most_reserved: Decimal = Decimal(0)

    def ledger(self, sleep=time.sleep) -> Ledger:
        stopping = self.stopping.is_set
        return Ledger(self.folder / "ledger.jsonl", self.budget, stopping=stopping, sleep=sleep)

    def log_of(self, name) -> InstanceLog:
        return InstanceLog(self.folder / "trajectories" / name)

    def steps_of(self, name):
        return self.log_of(name).steps("1-cloud")

    def work(self) -> None:
        """All attempts, until they have ended or the run stops."""
        self.folder.mkdir(exist_ok=True)
        ledger = self.ledger()
        ledger.abandon_others()
        lane = BatchLane(
            ledger.batches,
            CollectedAnswers(self.folder / "batch-answers.jsonl"),
            service=lambda tier: model_at(self.server).batches(),
            rates={TIER: RATES["batch"]},
            lockstep=Lockstep(self.places),
            times=self.times,
            stopping=self.stopping.is_set,
            notify=self.notices.append,
        )
        if self.on_write:
            self._watch(ledger.batches, lane)
        lane.lockstep.expected = self.size
        with lane:
            hands = [
                threading.Thread(target=self._attempt, args=(lane, f"demo__calc-{n}"))
                for n in range(self.size)
            ]
            for hand in hands:
                hand.start()
            for hand in hands:
                hand.join()
            if not self.stopping.is_set():
                lane.cancel_unwanted()
                lane.state.idle_until(lambda: not lane.state.out, 10)
        lane.require_sound()
        if self.faults:
            raise self.faults[0]

    def _watch(self, book, lane) -> None:
        """Put the fuse around whatever the lane writes and sends."""
        for name in ("send", "submitted", "unsend", "finish"):
            setattr(book, name, self.on_write(getattr(book, name), name))
        answers = lane.state._answers
        answers.add = self.on_write(answers.add, "add")
        lane.state.hand_out = self.on_write(lane.state.hand_out, "hand out")

    def _attempt(self, lane, name) -> None:
        try:
            with lane.lockstep.member() as member:
                self._work_on(BatchSeat(lane, member, self.sends, self.live_after), name)
        except StillAway as error:
            self.ends[name] = f"away: {error}"
        except (LedgerRefused, ModelError) as error:
            self.ends[name] = f"{type(error).__name__}: {error}"
        except BaseException as error:
            self.faults.append(error)

    def _work_on(self, seat, name) -> None:
        log, ledger = self.log_of(name), self.ledger(seat.member.sleep)
        settle_receipts(log, ledger)
        instance = INSTANCE.model_copy(update={"id": name, "problem": f"fix {name}\n"})
        with LedgerBudget(ledger, 1).hold(TIER, self.attempt_usd, f"{name}/1-cloud") as hold:
            receipts = Receipts(log, "1-cloud", among_steps=True)
            if self.on_write:
                receipts.keep = self.on_write(receipts.keep, "keep")
                hold.settle = self.on_write(hold.settle, "settle")
            bare = model_at(self.server, session=f"{name}#1")
            metered = MeteredModel(bare, hold, RATE, receipts=receipts)
            live = RetryingModel(metered, 1, first_wait=0.01)
            model = BatchedModel(
                metered, live, seat, bare.batches(), hold, TIER, self.retries,
                contextlib.nullcontext,
            )  # fmt: skip
            past = log.steps("1-cloud")
            context = Told().context(
                record=lambda step: log.record_step("1-cloud", step),
                past=past,
                stopping=self.stopping.is_set,
            )
            loop = ToolLoop(SHEET, command_timeout=20, command_timeout_max=60)
            budget = Budget(dollars=self.attempt_usd, steps=self.steps)
            made = loop.solve(instance, model, QuickSandbox(), budget, context)
            self.ends[name] = made.exit
        view = ledger.view()
        self.most_reserved = max(self.most_reserved, view.spent + view.reserved)


def settle_receipts(log, ledger) -> None:
    """As ``RunWiring.settle_receipts``."""
    for receipt in log.receipts():
        if receipt.reservation in ledger.lost():
            ledger.reconcile(receipt.reservation, receipt.completion.usd)
        elif receipt.completion.service == "batch":
            ledger.batches.settle_kept(receipt.reservation, receipt.completion)


def in_a_process(fleet: Fleet, kill_at: int) -> bool:
    """A process of its own works until it is killed at a write; whether it was."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            fleet.on_write = Fuse(kill_at).around
            fleet.work()
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


class Fuse:
    """Kills this process when it is passed for the ``at``-th time."""

    def __init__(self, at: int) -> None:
        self.at, self.passed, self._lock = at, 0, threading.Lock()

    def _pass(self) -> None:
        with self._lock:
            self.passed += 1
            if self.passed == self.at:
                os.kill(os.getpid(), 9)

    def around(self, work, name):
        def fused(*words, **named):
            self._pass()
            made = work(*words, **named)
            self._pass()
            return made

        return fused
