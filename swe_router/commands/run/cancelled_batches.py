"""``resume --cancel-batches``: what is out is ended, and what it cost until then is settled."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from swe_router.commands.result import CommandResult
from swe_router.commands.run import batches_out
from swe_router.commands.signals import graceful_stop
from swe_router.journal.header import header_of_run
from swe_router.journal.run_folder import RunFolder
from swe_router.reports.run_text import usd_text
from swe_router.reports.sentences import counted_noun
from swe_router.reports.view_parts import text_view
from swe_router.wiring import batching
from swe_router.wiring.run_wiring import RunWiring

STOPPING = "stopping: batches that have not ended by now stay on the books"


def cancel_batches(
    run: RunFolder, say: Callable[[str], None], resume_command: str
) -> CommandResult:
    """Cancel the batches of a run that are out. Answers that came by then serve its resume."""
    wiring = RunWiring(run, header_of_run(run), say)
    with run.locked():
        wiring.ledger.abandon_others()
        before = wiring.ledger.view()
        with (
            graceful_stop(run.stop_file, say, STOPPING),
            batching.open_lane(wiring, sends=False, notify=say) as seating,
        ):
            if seating is not None:
                seating.cancel_all()
        after = wiring.ledger.view()
    out = batches_out.batches_out(run)
    ended = before.calls_out - after.calls_out
    cost = after.spent - before.spent
    message = (
        f"{counted_noun(ended, 'call')} ended for {usd_text(cost)}; their answers serve"
        f" `{resume_command}`"
        if before.calls_out
        else "nothing is out in batches"
    )
    lines = [message, *batches_out.batches_out_lines(out, resume_command)]
    facts = {
        "run": run.name,
        "calls_ended": ended,
        "usd": float(max(Decimal(0), cost)),
        "batches_out": [one.as_json() for one in out],
    }
    return CommandResult(facts, text_view("\n".join(lines)), 1 if out else 0)
