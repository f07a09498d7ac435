"""What ``show`` shows: a run, an instance, an attempt."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group
from rich.text import Text

from swe_router import assets
from swe_router.assemble import facts
from swe_router.assemble.shown import Shown
from swe_router.errors import UsageError
from swe_router.journal.folder import RunFolder
from swe_router.journal.tape import Tape
from swe_router.reports import text

SAMPLE = "sample"
"""Name of the recorded demo run that ships with the package."""


def find(name: str, out: Path) -> RunFolder:
    """A run by name or path; ``sample`` is the one that ships, unless there is one in ``out``."""
    shipped = assets.root() / "runs" / SAMPLE
    if name == SAMPLE and not (out / SAMPLE).exists() and shipped.exists():
        return RunFolder(shipped)
    return RunFolder.find(name, out)


def show(name: str, out: Path, instance: str | None, attempt: str | None) -> Shown:
    """A run, one instance of it, or one attempt."""
    run = find(name, out)
    known = facts.of(run)
    if instance is None:
        view = Group(text.instances_table(known), Text(""), text.closing(known))
        return Shown(facts=facts.summary(known), view=view)
    record = known.records.get(instance)
    if record is None:
        there = ", ".join(known.records) or "none yet"
        raise UsageError(f"run {run.name} has no record of {instance!r}: there is {there}")
    if attempt is None:
        return Shown(facts=record.model_dump(mode="json"), view=text.record_view(record, known))
    steps = Tape(run.attempt_folder(instance)).steps(attempt)
    if not steps:
        ids = ", ".join(o.attempt.id for o in record.outcomes)
        raise UsageError(f"{instance} has no steps of attempt {attempt!r}: there is {ids}")
    return Shown(facts=[s.model_dump(mode="json") for s in steps], view=text.steps_view(steps))
