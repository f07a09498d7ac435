"""Driving a run from Python: progress goes to a function, and no interrupt ends the process."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from typing import IO, TYPE_CHECKING, cast

from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.silent_warnings import no_warnings

if TYPE_CHECKING:
    from swe_router import terminal
    from swe_router.commands.run import run_driver
else:
    run_driver = deferred_module("swe_router.commands.run.run_driver")
    terminal = deferred_module("swe_router.terminal")

Progress = Callable[[str], None]
WIDTH = 10_000
"""Columns of a line of progress: ``progress`` gets it whole."""


class Lines(io.TextIOBase):
    """A text stream that gives each whole line to a function."""

    def __init__(self, say: Progress) -> None:
        self._say, self._rest = say, ""

    def write(self, text: str) -> int:
        """Pass on the lines that are whole and keep the rest."""
        *whole, self._rest = f"{self._rest}{text}".split("\n")
        for line in whole:
            self._say(line)
        return len(text)


def silent(line: str) -> None:
    """The default ``progress``: a notebook shows the result alone."""


def drive(
    folder: RunFolder,
    *,
    retry_kind: str,
    workers: int | None = None,
    budget: Decimal | None = None,
    hours: float | None = None,
    progress: Progress | None = None,
) -> str:
    """Carry out what a run owes and grade it; return how it ended.

    Raises ``UsageError`` as ``run_driver.drive_run`` does.
    """
    say = progress or silent
    console = terminal.Console(
        file=cast("IO[str]", Lines(say)), width=WIDTH, color_system=None, force_terminal=False,
        markup=False, emoji=False,
    )  # fmt: skip
    with no_warnings():  # libraries of the harness warn of what a notebook lacks
        done = run_driver.drive_run(
            folder, workers=workers, retry_kind=retry_kind, say=say, budget=budget, hours=hours,
            terminal_controls=run_driver.TerminalControls(console, _interrupt),
        )  # fmt: skip
    return str(done.facts.get("ended", ""))  # none where another process drives the run


def _interrupt() -> None:
    """The second interrupt: the process, which is the user's, goes on."""
    raise KeyboardInterrupt
