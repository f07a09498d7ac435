"""How often the verifiers of runs were wrong: the report, its files, a channel for the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import plain
from swe_router.assemble import bars, made_with, outputs, received, sound
from swe_router.assemble.header import of_run
from swe_router.assemble.joined import STRONGEST, judged, of_files
from swe_router.assemble.look import find
from swe_router.assemble.shown import Shown
from swe_router.deferred import deferred
from swe_router.errors import UsageError
from swe_router.journal.folder import RunFolder
from swe_router.outcomes.channel import Channel, Measured
from swe_router.records import ACCEPTANCE
from swe_router.reports import accounting_text
from swe_router.reports.accounting import ALL, FEW, accounting, group

if TYPE_CHECKING:
    from swe_router.reports import accounting_html, accounting_plot
else:
    accounting_html = deferred("swe_router.reports.accounting_html")
    accounting_plot = deferred("swe_router.reports.accounting_plot")


def report(
    names: Sequence[str],
    folder: Path,
    out: Path | None,
    said: Sequence[Path] = (),
    labels: Sequence[Path] = (),
) -> Shown:
    """The error rates of the verifiers of runs, and of rows of ``verify``, and their files.

    ``said`` are files of such rows, ``labels`` of the official results of their candidates.
    Raises ``UsageError``: nothing named, no such run, a damaged one, files that do not serve, a
    folder that cannot be written.
    """
    if not names and not said:
        raise UsageError("name graded runs, or --verdicts FILE --labels FILE")
    if bool(said) != bool(labels):
        raise UsageError("--verdicts and --labels go together: what was said, and what was right")
    facts = of_runs([find(name, folder) for name in dict.fromkeys(names)], said, labels)
    if out is not None:
        _write(facts, out)
    return Shown(facts=facts, view=accounting_text.view(facts))


def of_runs(
    runs: Sequence[RunFolder], said: Sequence[Path] = (), labels: Sequence[Path] = ()
) -> dict[str, Any]:
    """The accounting of several runs, pooled; a run and its copy count once."""
    headers = [of_run(run) for run in runs]
    rows = dict.fromkeys(
        row for run, header in zip(runs, headers, strict=True) for row in judged(run, header)
    )
    rows |= dict.fromkeys(of_files(said, labels))
    tops = {str(plan.arm) for header in headers for plan in header.ladder()[-1:]}
    facts = accounting(
        list(rows),
        recordings=any(header.recordings for header in headers),
        tops={*tops, *STRONGEST},
    )
    doubts = {key: doubt for run in runs for key, grade in run.graded().items()
              if (doubt := grade.doubt)}  # fmt: skip
    # What a run's own code would say is not asked: the run may be a stranger's.
    known = [
        header.settings.model_copy(update={"verify": made_with.verify_settings(run, header)})
        for run, header in zip(runs, headers, strict=True)
        if not received.names_code(header.settings)
    ]
    rests = [row for settings in known for row in bars.facts(settings)]
    lines = list(dict.fromkeys(bars.words(rests)))
    changed = [note for run in runs for note in sound.notes(run)]
    notes = [*changed, *_doubted(doubts), *lines, *facts["notes"]]
    names = [*(run.name for run in runs), *(path.name for path in said)]
    return {**facts, "runs": names, "doubts": len(doubts), "bars": rests, "notes": notes}


def _doubted(doubts: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    """What is to be known of verdicts that the test runner's own record contradicts."""
    if not doubts:
        return []
    (name, _), said = next(iter(doubts.items()))
    return [
        f"{len(doubts)} official verdict{'s are' if len(doubts) > 1 else ' is'} contradicted by"
        f" the test runner's own record and counted as given: {name}: {said[0]}"
    ]


def channel_of(run: RunFolder, tier: str = "", prefer: str = "") -> Channel:
    """The combination's operating point on a graded run, of one tier or of all.

    ``prefer`` is taken as the tier where the run has it. Raises ``UsageError`` for a tier that
    is not there, and where no right or no wrong patch was judged.
    """
    rows = [row for row in judged(run, of_run(run)) if row.verifier == ACCEPTANCE]
    tiers = list(dict.fromkeys(row.tier for row in rows))
    if tier and tier not in tiers:
        raise UsageError(
            f"run {run.name} has no patch of tier {tier!r}: there is {', '.join(tiers)}"
        )
    asked = tier or (prefer if prefer in tiers else "")
    one = group(asked or ALL, ACCEPTANCE, [r for r in rows if asked in ("", r.tier)])
    tpr, fpr = one["tpr"], one["fpr"]
    if not tpr["n"] or not fpr["n"]:
        raise UsageError(
            f"run {run.name} measures no verifier: {tpr['n']} right and {fpr['n']} wrong patches"
            f" {f'of {asked} ' if asked else ''}have an official result (`swe-router grade`)"
        )
    least = min(one["right_instances"], one["wrong_instances"])
    few = ", too few to rest on" if least < FEW else ""
    ends = {
        f"{name}_{end}": rate[end]
        for name, rate in (("tpr", tpr), ("fpr", fpr))
        for end in ("low", "high", "n")
    }
    name = f"measured on {asked or 'all tiers'} of {run.name}{few}"
    return Channel(tpr["rate"], fpr["rate"], name, measured=Measured(**ends))


def _write(facts: Mapping[str, Any], out: Path) -> None:
    curves = accounting_plot.curves(facts)
    content = {
        "report.json": plain.text(facts, indent=1).encode(),
        "report.md": accounting_text.markdown(facts).lstrip().encode(),
        "report.html": accounting_html.page(facts, curves).encode(),
        "report.png": curves,
    }
    outputs.write(out, content)
