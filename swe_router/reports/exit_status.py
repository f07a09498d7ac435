"""How a run ended, in one word, and its exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from swe_router.records import RunRecord

RunEnding = Literal["done", "budget", "infra", "stopped"]

EXIT_CODES: Mapping[RunEnding, int] = {"done": 0, "infra": 1, "budget": 3, "stopped": 130}


def run_ending(
    instances: Sequence[str], records: Mapping[str, RunRecord], *, stopped: bool = False
) -> RunEnding:
    """How a launch ended; pure.

    ``stopped``: by Ctrl-C, a signal or ``--hours``. ``infra``: an instance has no record, or its
    record says that its infrastructure broke and nothing is left to try. ``budget``: an instance
    would have continued with more money, also one whose cheap tier broke and whose next tier could
    have covered it.
    """
    if stopped:
        return "stopped"
    poor = {name for name in instances if name in records and records[name].short_of_money}
    broke = {name for name in instances if name not in records or records[name].status == "infra"}
    if broke - poor:
        return "infra"
    if poor:
        return "budget"
    return "done"
