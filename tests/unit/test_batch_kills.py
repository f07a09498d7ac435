"""A process that dies at a request to a batch API: before it, or once it was carried out."""

from __future__ import annotations

import os
import signal
from decimal import Decimal

import pytest

from swe_router.ledger import log_reader
from tests.doubles.batch_http import Fault
from tests.doubles.batch_server import BatchServer
from tests.doubles.batched import DIALECTS
from tests.doubles.fleet import Fleet, billed_usd, talking


def work_until_killed(fleet, server, at, acts):
    """A process of its own that the provider kills at its ``at``-th request; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            fleet.work()
        finally:
            os._exit(0)

    def fault(method, path, n):
        if n != at:
            return None
        os.kill(child, signal.SIGKILL)
        return Fault(acts=acts, hangs_up=True)

    server.fault = fault
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    server.fault = lambda method, path, n: None
    return killed


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("acts", [True, False], ids=["carried out", "not carried out"])
def test_a_process_killed_at_a_request_leaves_nothing_to_be_paid_twice(tmp_path, dialect, acts):
    killed = 0
    for at in range(6):
        with BatchServer(dialect, answer=talking(dialect), seed=at) as server:
            folder = tmp_path / str(at)
            killed += work_until_killed(Fleet(folder, server, size=3, steps=2), server, at, acts)
            successor = Fleet(folder, server, size=3, steps=2)
            successor.work()
            figures = successor.ledger().figures()
            state = log_reader.read_ledger(folder / "ledger.jsonl")
        assert figures.settled == billed_usd(server)
        assert (figures.reserved, figures.submitted, figures.lost) == (Decimal(0),) * 3
        assert not any(call.unused for call in state.calls.values())
        assert len(server.bill) == 6, "each step was bought once"
    assert killed >= 5
