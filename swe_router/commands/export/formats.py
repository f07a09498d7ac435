"""A run in the forms that other tools take: predictions, a leaderboard folder, a statement."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swe_router import plain_values, templates
from swe_router.commands import output_files
from swe_router.commands.export import statement_facts
from swe_router.commands.grade import grading_run
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.grading import predictions as files
from swe_router.integrity.locate import find_run
from swe_router.journal.header import Header, header_of_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Grade, RunRecord
from swe_router.reports import statement_text as words
from swe_router.reports.view_parts import text_view
from swe_router.safe_files import path_within
from swe_router.terminal import escaped_controls
from swe_router.wiring.preflight import verifier_tiers

RETRIED_STOPS = frozenset({"infra", "interrupted"})
"""Statuses of records that a resume would try again."""
EVALUATION_LOGS = ("patch.diff", "report.json", "test_output.txt")


def export_run(
    run_name: str, runs_folder: Path, export_format: str, out: Path, *, allow_partial: bool
) -> CommandResult:
    """Write a run as ``export_format`` into ``out``.

    Raises ``UsageError``: an unknown form, an unfinished run without ``allow_partial``, a folder
    that cannot be written.
    """
    if export_format not in EXPORT_FORMATS:
        raise UsageError(f"--format {export_format!r}: there is {', '.join(EXPORT_FORMATS)}")
    run = find_run(run_name, runs_folder)
    left = unfinished_instances(run)
    if left and not allow_partial:
        raise UsageError(
            f"run {run.name} is unfinished: {words.some_names(left)} (of {len(run.instances())});"
            " finish it with `swe-router resume`, or say --partial"
        )
    try:
        written = EXPORT_FORMATS[export_format](run, header_of_run(run), out)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from None
    facts = {"run": run.name, "format": export_format, "unfinished": left, "written": written}
    return CommandResult(facts=facts, view=text_view(_written_files_line(written, out)))


def _written_files_line(files: list[str], out: Path) -> str:
    """One line, whether it is one file or seventy."""
    if len(files) <= 3:
        return f"wrote {', '.join(files)}"
    return f"wrote {len(files)} files to {out} (--json names all)"


def unfinished_instances(run: RunFolder) -> list[str]:
    """Instances without a record, or with one that a resume would try again."""
    records = run.records()
    return [
        one.id
        for one in run.instances()
        if one.id not in records or records[one.id].status in RETRIED_STOPS
    ]


def _export_predictions(run: RunFolder, header: Header, out: Path) -> list[str]:
    """A predictions file as swebench and sb-cli take it: ``out`` itself, or both forms in it."""
    if out.suffix in (".json", ".jsonl"):
        out.parent.mkdir(parents=True, exist_ok=True)
        paths = [out]
    else:
        output_files.output_folder(
            out, "preds.json and all_preds.jsonl (or name a .json or .jsonl)"
        )
        paths = [out / "preds.json", out / "all_preds.jsonl"]
    for path in paths:
        files.write_predictions(path, grading_run.run_predictions(run))
    return [str(path) for path in paths]


def _export_statement(run: RunFolder, header: Header, out: Path) -> list[str]:
    """``statement.md``, its facts, and the list of every test that a verdict rests on."""
    output_files.output_folder(out, "statement.md, statement.json and tests.jsonl")
    facts = statement_facts.statement_of_run(run, header)
    tests = plain_values.json_lines(statement_facts.provenance_of_tests(run.records()))
    whole = {**facts, "checklist": words.checklist(facts)}
    content = {
        "statement.md": escaped_controls(words.statement_markdown(facts)),
        "statement.json": plain_values.json_text(whole, indent=1) + "\n",
        "tests.jsonl": tests,
    }
    return _write_text_files(out, content)


def _export_experiments(run: RunFolder, header: Header, out: Path) -> list[str]:
    """A folder in the form of the SWE-bench experiments repository."""
    output_files.output_folder(out, "a leaderboard submission")
    records, grades = run.records(), run.grades()
    facts = statement_facts.statement_of_run(run, header)
    made = _export_statement(run, header, out)
    files.write_predictions(path_within(out, "all_preds.jsonl"), grading_run.run_predictions(run))
    content = {
        "metadata.yaml": _metadata_yaml(header, facts, records),
        "README.md": escaped_controls(_readme_text(facts, grades, records)),
        "per_instance_details.json": plain_values.json_text(
            _details_facts(records, grades), indent=1
        )
        + "\n",
        "results/results.json": plain_values.json_text(_results_facts(records, grades), indent=1)
        + "\n",
    }
    for name, record in records.items():
        content[f"trajs/{name}.json"] = (
            plain_values.json_text(_trajectory_facts(run, header, record)) + "\n"
        )
    made += [str(out / "all_preds.jsonl"), *_write_text_files(out, content)]
    return made + _copy_evaluation_logs(run, grades, out)


EXPORT_FORMATS: Mapping[str, Callable[[RunFolder, Header, Path], list[str]]] = {
    "preds": _export_predictions,
    "experiments": _export_experiments,
    "statement": _export_statement,
}
"""Name of ``--format`` -> what writes it and names what it wrote."""


def _write_text_files(out: Path, content: Mapping[str, str]) -> list[str]:
    for name, text in content.items():
        path = path_within(out, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return [str(out / name) for name in content]


def _metadata_yaml(
    header: Header, facts: Mapping[str, Any], records: Mapping[str, RunRecord]
) -> str:
    """Strings as JSON, which is YAML; what the run does not know is left for its maker."""
    used = {o.arm.model for record in records.values() for o in record.outcomes}
    if any(record.whole_usd > record.usd for record in records.values()):
        used |= set(verifier_tiers(header.settings))
    models = [header.settings.tiers[t].model for t in header.settings.tiers if t in used]
    models += [f"{source} (made elsewhere)" for source in facts["imported"]]
    attempts = words.attempts_tag(facts)
    return templates.render_page(
        "metadata.yaml",
        {"json": json.dumps},
        name=f"swe-router ({header.settings.policy.name})",
        models=list(dict.fromkeys(models)),
        attempts=attempts,
    )


def _readme_text(
    facts: Mapping[str, Any], grades: Mapping[str, Grade], records: Mapping[str, RunRecord]
) -> str:
    resolved = sum(one.outcome == "resolved" for one in grades.values())
    judged = sum(one.outcome != "ungraded" for one in grades.values())
    usd = sum(float(record.whole_usd) for record in records.values())
    return (
        f"{words.statement_markdown(facts)}\n## Result\n\n{resolved} resolved of {judged} graded"
        " and"
        f" {facts['instances']} instances in all; ${usd:.2f} for the whole run.\n"
    )


def _details_facts(records: Mapping[str, RunRecord], grades: Mapping[str, Grade]) -> dict[str, Any]:
    return {
        name: {
            "resolved": grades[name].outcome == "resolved",
            "cost": float(record.whole_usd),
            "api_calls": sum(o.attempt.trajectory.steps for o in record.outcomes),
        }
        for name, record in records.items()
        if name in grades and grades[name].outcome != "ungraded"
    }


def _results_facts(records: Mapping[str, RunRecord], grades: Mapping[str, Grade]) -> dict[str, Any]:
    return {
        "no_generation": sorted(name for name, record in records.items() if not record.patch),
        "no_logs": sorted(n for n in records if n not in grades or grades[n].outcome == "ungraded"),
        "resolved": sorted(n for n, grade in grades.items() if grade.outcome == "resolved"),
    }


def _trajectory_facts(run: RunFolder, header: Header, record: RunRecord) -> dict[str, Any]:
    log = InstanceLog(run.attempt_folder(record.instance.id))
    tiers = header.settings.tiers
    return {
        "trajectory_format": "swe-router-1",
        "instance_id": record.instance.id,
        "info": {
            "model_stats": {
                "instance_cost": float(record.whole_usd),
                "api_calls": sum(o.attempt.trajectory.steps for o in record.outcomes),
            },
            "exit_status": record.status,
            "submission": record.patch,
        },
        "attempts": [
            {
                "id": one.attempt.id,
                "handed_in": one.attempt.id == record.chosen,
                "model": tiers[one.arm.model].model
                if one.arm.model in tiers
                else one.attempt.source,
                "exit": one.attempt.trajectory.exit,
                "cost": float(one.attempt.trajectory.usd),
                "verdicts": {v.verifier: v.outcome for v in one.verdicts},
                "steps": [step.model_dump(mode="json") for step in log.steps(one.attempt.id)],
            }
            for one in record.outcomes
        ],
    }


def _copy_evaluation_logs(run: RunFolder, grades: Mapping[str, Grade], out: Path) -> list[str]:
    """The evaluation's own files of what is handed in, where the run still has them."""
    made = []
    for name, grade in grades.items():
        log = grade.evidence.get("log")
        if not isinstance(log, str):
            continue
        # Older runs hold absolute paths of logs, not paths relative to the run's folder.
        source = Path(log.rpartition(f"{run.path.name}/")[2]).parent
        for file in EVALUATION_LOGS:
            given = _file_within(run.path, str(source / file))
            if given is not None and given.is_file():
                target = path_within(out, f"logs/{name}/{file}")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(given, target)
                made.append(str(out / "logs" / name / file))
    return made


def _file_within(folder: Path, name: str) -> Path | None:
    """A file of a folder; None for one that lies elsewhere, as the log of a run that was moved."""
    try:
        return path_within(folder, name)
    except UsageError:
        return None
