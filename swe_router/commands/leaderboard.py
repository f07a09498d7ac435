"""``leaderboard``: policies compared over an outcome table or over runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router import plain_values, plugins
from swe_router.commands import outcome_tables as recorded
from swe_router.commands import output_files
from swe_router.commands.report import error_rates
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.features import feature_files
from swe_router.features.extraction_steps import extract_features
from swe_router.instances import splits
from swe_router.integrity.locate import find_run
from swe_router.outcomes.importers.forms import read_table
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.tables.shipped import shipped_features, shipped_table
from swe_router.outcomes.tables.table import OutcomeTable
from swe_router.records import Features
from swe_router.reports import board_html, board_plot
from swe_router.reports import board_table as words
from swe_router.settings.overrides import ALWAYS

Say = Callable[[str], None]


@dataclass(frozen=True)
class LeaderboardRequest:
    """The options of ``leaderboard``."""

    runs: Sequence[str] = ()
    runs_in: Path = Path("runs")
    outcome_table_path: Path | None = None
    split: str | None = None
    features_file: Path | None = None
    weak: str = ""
    strong: str = ""
    systems: tuple[str, ...] = ()
    verifier_rates: str = "hybrid"
    budget: Decimal | None = None
    policies: tuple[str, ...] = ()
    bootstraps: int = 10_000
    seed: int = 0
    uses_random_folds: bool = False
    output_folder: Path | None = None


TEXT_FEATURES_NOTE = (
    "the shipped features are of the issue texts alone: no policy sees the code graph or the"
    " history of their repositories (`swe-router features` makes them, --features gives them)"
)
"""A note of every board of the shipped table."""


def leaderboard(request: LeaderboardRequest, say: Say) -> CommandResult:
    """The board, and its files when a folder is named. Raises ``UsageError``."""
    if request.output_folder is not None:
        output_files.output_folder(request.output_folder, "the board")
    verifier = _verifier_model(request)
    named = tuple(dict.fromkeys(_policy_plugin(name) for name in request.policies))
    for name in named:
        plugins.load_plugin("policies", name.partition("+")[0])
    table = _outcome_table(request)
    facts = leaderboard_rows(
        table,
        _known_features(request, table),
        BoardRequest(
            verifier,
            request.weak,
            request.strong,
            request.systems,
            named,
            request.budget,
            request.bootstraps,
            request.seed,
            request.uses_random_folds,
        ),
        say,
    )
    if (
        request.features_file is None
        and request.split is None
        and not (request.outcome_table_path or request.runs)
    ):
        facts = {**facts, "assumptions": [*facts["assumptions"], TEXT_FEATURES_NOTE]}
    if request.output_folder is not None:
        written = _write_leaderboard(facts, request.output_folder)
        say(f"wrote {', '.join(written)} to {request.output_folder}")
    return CommandResult(facts=facts, view=words.leaderboard_view(facts))


def _policy_plugin(policy_name: str) -> str:
    """``always-SYSTEM`` is a row of the policy ``fixed``, which has one per system."""
    return "fixed" if policy_name.startswith(ALWAYS) else policy_name


def _verifier_model(request: LeaderboardRequest) -> verifier_model.VerifierModel:
    """The verifier model that is stated, or the rates of a graded run's own verifiers.

    ``RUN`` or ``RUN:TIER``; of a run that has the ``--weak`` tier only that tier's patches count:
    a cascade asks of the weak tier. Raises ``UsageError`` for a run that says nothing.
    """
    if verifier_model.states_rates(request.verifier_rates):
        return verifier_model.parse_verifier_model(request.verifier_rates)
    name, _, tier = request.verifier_rates.partition(":")
    try:
        run = find_run(name, request.runs_in)
    except UsageError as error:
        raise UsageError(
            f"--verifier {request.verifier_rates!r}: {error};"
            f" else write {verifier_model.KNOWN_FORMS}"
        ) from None
    return error_rates.measured_verifier(run, tier, request.weak)


def _outcome_table(request: LeaderboardRequest) -> OutcomeTable:
    """The table that was named, the rows of the runs added; else the one that ships."""
    parts = []
    if request.outcome_table_path is not None:
        parts.append(read_table(request.outcome_table_path))
    if request.runs:
        parts.append(recorded.table_of_runs(request.runs, request.runs_in).table)
    if not parts:
        return shipped_table()
    rows = tuple(row for part in parts for row in part.rows)
    keys = {(row.instance_id, row.system, row.run) for row in rows}
    if len(keys) < len(rows):
        raise UsageError("the runs and --outcomes hold the same runs: name one of the two")
    return OutcomeTable(rows, ", ".join(part.source for part in parts))


def _known_features(request: LeaderboardRequest, table: OutcomeTable) -> list[Features]:
    """Features and texts that were given, that ship, or that the runs worked on; else none."""
    wanted = set(table.instances)
    issues = [] if request.split is None else splits.load_instances(request.split)
    if request.features_file is not None:
        return feature_files.read_features(request.features_file, issues)
    known = shipped_features() if request.outcome_table_path is None and not request.runs else []
    known += [extract_features(one, None) for one in issues if one.id in wanted]
    for name in request.runs if request.split is None else ():
        known += [
            extract_features(one, None) for one in find_run(name, request.runs_in).instances()
        ]
    return list({one.instance_id: one for one in known}.values())


def _write_leaderboard(facts: Mapping[str, Any], out: Path) -> list[str]:
    """All files of a board, by name. Raises ``UsageError`` when the folder cannot be written."""
    plane, verifier = (
        board_plot.cost_quality_png(facts),
        board_plot.verifier_map_png(facts["verifier_map"]),
    )
    content = {
        "leaderboard.csv": words.as_csv(facts).encode(),
        "leaderboard.json": plain_values.json_text(facts, indent=1).encode(),
        "leaderboard.html": board_html.leaderboard_page(facts, plane, verifier).encode(),
        "leaderboard.png": plane,
        "verifier-map.png": verifier,
    }
    return output_files.write_files(out, content)
