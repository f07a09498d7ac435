"""``report``: error rates of the verifiers of runs, as files and as a model for the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import plain_values
from swe_router.commands import output_files
from swe_router.commands.report import attempt_costs
from swe_router.commands.report.graded_verdicts import (
    STRONGEST_CLASSES,
    judged_verdicts,
    judged_verdicts_of_files,
)
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.integrity import consistency, trust
from swe_router.integrity.locate import find_run
from swe_router.journal import run_inputs
from swe_router.journal.header import header_of_run
from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.outcomes.simulation.verifier_model import MeasuredVerifier, VerifierModel
from swe_router.records import ACCEPTANCE
from swe_router.reports import verifier_errors_text
from swe_router.reports.attempt_cost_lines import attempt_cost_lines
from swe_router.reports.verifier_errors import (
    ALL_TIERS,
    MIN_INSTANCES,
    group_error_rates,
    verifier_error_rates,
)
from swe_router.wiring import acceptance_thresholds

if TYPE_CHECKING:
    from swe_router.reports import verifier_errors_html, verifier_errors_plot
else:
    verifier_errors_html = deferred_module("swe_router.reports.verifier_errors_html")
    verifier_errors_plot = deferred_module("swe_router.reports.verifier_errors_plot")


def report_error_rates(
    run_names: Sequence[str],
    runs_folder: Path,
    output_folder: Path | None,
    verdict_files: Sequence[Path] = (),
    label_files: Sequence[Path] = (),
) -> CommandResult:
    """The error rates of the verifiers of runs, and of rows of ``verify``, and their files.

    ``verdict_files`` are files of such rows, ``label_files`` of the official results of their
    candidates. Raises ``UsageError``: nothing named, no such run, a damaged one, files that do not
    serve, a folder that cannot be written.
    """
    if not run_names and not verdict_files:
        raise UsageError("name graded runs, or --verdicts FILE --labels FILE")
    if bool(verdict_files) != bool(label_files):
        raise UsageError(
            "--verdicts and --labels go together: the verdicts, and which patches were right"
        )
    runs = [find_run(name, runs_folder) for name in dict.fromkeys(run_names)]
    if output_folder is not None:
        output_files.output_folder(
            output_folder, "report.json, report.md, report.html and report.png"
        )
    facts = error_rates_of_runs(runs, verdict_files, label_files)
    if output_folder is not None:
        _write_report(facts, output_folder)
    return CommandResult(facts=facts, view=verifier_errors_text.verifier_errors_view(facts))


def error_rates_of_runs(
    runs: Sequence[RunFolder], verdict_files: Sequence[Path] = (), label_files: Sequence[Path] = ()
) -> dict[str, Any]:
    """The accounting of several runs, pooled; a run and its copy count once."""
    headers = [header_of_run(run) for run in runs]
    rows = dict.fromkeys(
        row
        for run, header in zip(runs, headers, strict=True)
        for row in judged_verdicts(run, header)
    )
    rows |= dict.fromkeys(judged_verdicts_of_files(verdict_files, label_files))
    tops = {str(plan.arm) for header in headers for plan in header.ladder()[-1:]}
    facts = verifier_error_rates(
        list(rows),
        uses_recordings=any(header.recordings for header in headers),
        last_tiers={*tops, *STRONGEST_CLASSES},
    )
    doubts = {key: doubt for run in runs for key, grade in run.grades_by_patch().items()
              if (doubt := grade.doubt)}  # fmt: skip
    # A run of unknown origin may name code; that code is not run here.
    known = [
        header.settings.model_copy(update={"verify": run_inputs.verify_settings(run, header)})
        for run, header in zip(runs, headers, strict=True)
        if not trust.names_code(header.settings)
    ]
    rests = [row for settings in known for row in acceptance_thresholds.threshold_rows(settings)]
    lines = list(dict.fromkeys(acceptance_thresholds.threshold_lines(rests)))
    changed = [note for run in runs for note in consistency.seal_warnings(run)]
    costs = attempt_costs.attempt_costs(runs, headers)
    spent = attempt_cost_lines(costs)
    notes = [*changed, *_doubted_grades_notes(doubts), *lines, *facts["notes"], *spent]
    names = [*(run.name for run in runs), *(path.name for path in verdict_files)]
    return {**facts, "runs": names, "doubts": len(doubts), "bars": rests, "costs": costs,
            "notes": notes}  # fmt: skip


def _doubted_grades_notes(doubts: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    """A note on official verdicts that the test runner's own record contradicts."""
    if not doubts:
        return []
    (name, _), reasons = next(iter(doubts.items()))
    return [
        f"{len(doubts)} official verdict{'s are' if len(doubts) > 1 else ' is'} contradicted by"
        f" the test runner's own record and counted as given: {name}: {reasons[0]}"
    ]


def measured_verifier(
    run: RunFolder, tier: str = "", preferred_verifier: str = ""
) -> VerifierModel:
    """The combination's operating point on a graded run, of one tier or of all.

    ``preferred_verifier`` is taken as the tier where the run has it. Raises ``UsageError`` for a
    tier that is not there, and where no right or no wrong patch was judged.
    """
    rows = [row for row in judged_verdicts(run, header_of_run(run)) if row.verifier == ACCEPTANCE]
    tiers = list(dict.fromkeys(row.tier for row in rows))
    if tier and tier not in tiers:
        raise UsageError(
            f"run {run.name} has no patch of tier {tier!r}: there is {', '.join(tiers)}"
        )
    asked = tier or (preferred_verifier if preferred_verifier in tiers else "")
    one = group_error_rates(
        asked or ALL_TIERS, ACCEPTANCE, [r for r in rows if asked in ("", r.tier)]
    )
    tpr, fpr = one["tpr"], one["fpr"]
    if not tpr["n"] or not fpr["n"]:
        raise UsageError(
            f"run {run.name} measures no verifier: {tpr['n']} right and {fpr['n']} wrong patches"
            f" {f'of {asked} ' if asked else ''}have an official result (`swe-router grade`)"
        )
    fewest = min(one["right_instances"], one["wrong_instances"])
    few = ", too few to rest on" if fewest < MIN_INSTANCES else ""
    ends = {
        f"{name}_{end}": rate[end]
        for name, rate in (("tpr", tpr), ("fpr", fpr))
        for end in ("low", "high", "n")
    }
    name = f"measured on {asked or 'all tiers'} of {run.name}{few}"
    return VerifierModel(tpr["rate"], fpr["rate"], name, measured=MeasuredVerifier(**ends))


def _write_report(facts: Mapping[str, Any], out: Path) -> None:
    curves = verifier_errors_plot.error_rates_png(facts)
    content = {
        "report.json": plain_values.json_text(facts, indent=1).encode(),
        "report.md": verifier_errors_text.verifier_errors_markdown(facts).lstrip().encode(),
        "report.html": verifier_errors_html.verifier_errors_page(facts, curves).encode(),
        "report.png": curves,
    }
    output_files.write_files(out, content)
