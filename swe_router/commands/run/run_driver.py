"""``run`` and ``resume``: a run is created, driven, resumed and closed."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from swe_router import pool
from swe_router.commands import run_facts
from swe_router.commands.grade import grading_run, pending_grades
from swe_router.commands.report import error_rates
from swe_router.commands.result import CommandResult
from swe_router.commands.run import batches_out, candidate_import, dry_run_report
from swe_router.commands.run.crew import Crew, require_possible
from swe_router.commands.run.jobs import JobQueue, LogTail
from swe_router.commands.run.notifier import Notifier
from swe_router.commands.run.run_header import resolved_header
from swe_router.commands.run.worker import (
    Job,
    JobResult,
    instances_at_once,
    run_in_ray,
    run_local,
    run_seated,
)
from swe_router.commands.signals import end_process, graceful_stop, interruptible, time_limit
from swe_router.errors import UsageError
from swe_router.integrity import consistency, own_runs, trust, unfinished
from swe_router.journal import imported_candidates, run_inputs
from swe_router.journal.header import Header, header_of_run, instances_digest, run_name
from swe_router.journal.run_folder import RunFolder, text_digest
from swe_router.jsonl import append_value
from swe_router.ledger import log_reader
from swe_router.reports import exit_status, run_text, sentences, verifier_errors_text
from swe_router.reports.live_view import LiveView
from swe_router.reports.view_parts import text_view
from swe_router.sandboxes import temp_folders
from swe_router.sandboxes.reaper import is_locked
from swe_router.settings import HOW_NOT_WHAT, Settings
from swe_router.terminal import Console
from swe_router.wiring import (
    acceptance_thresholds,
    batching,
    cleanup,
    preflight,
    service_breaker,
    worker_environment,
)
from swe_router.wiring.run_wiring import RunWiring

Say = Callable[[str], None]


@dataclass(frozen=True)
class TerminalControls:
    """Where the driver of a run shows its progress, and what ends it there."""

    console: Console = field(
        default_factory=lambda: Console(stderr=True, markup=False, emoji=False)
    )
    force_quit: Callable[[], None] = end_process
    """What a second Ctrl-C does."""


def create_run(settings: Settings, runs_folder: Path, say: Say) -> RunFolder:
    """A new run folder after every check. Raises ``UsageError``."""
    header, start = resolved_header(settings, say)
    require_possible(header)
    dry_run_report.require_images(header, start.instances)
    name = run_name(header.settings, header.created)
    kept = run_inputs.current_inputs(header.settings)
    header = replace(
        header,
        made_with={key: text_digest(text) for key, text in kept.items()},
        instances=instances_digest(start.instances),
    )
    run = RunFolder.create(runs_folder, name, header.as_json(), start.instances, kept.values())
    own_runs.remember(run)
    for instance_id, case in start.cases.items():
        imported_candidates.store_case(run.attempt_folder(instance_id), case)
    RunWiring(run, header, say).ledger.figures()
    say(f"run folder: {run.path}")
    return run


def find_to_resume(
    run_name: str,
    runs_folder: Path,
    *,
    is_trusted: bool = False,
    requested_settings: Settings | None = None,
    sandbox_risks_only: bool = False,
) -> RunFolder:
    """A run by name or path, to resume.

    Raises ``UsageError`` as ``consistency.check_run`` and ``trust.require_trusted`` do.
    ``requested_settings``: those of this call; what they ask for themselves needs no trust.
    ``sandbox_risks_only``: nothing but the run's sandboxes is used, as in grading.
    """
    run = RunFolder.find(run_name, runs_folder)
    header = consistency.check_run(run, will_spend=True)
    trust.require_trusted(
        run,
        header,
        trusted=is_trusted,
        requested_settings=requested_settings,
        sandbox_risks_only=sandbox_risks_only,
    )
    return run


def require_same_settings(
    run: RunFolder, settings: Settings, sets: Sequence[str] = ()
) -> list[str]:
    """Raises ``UsageError`` when the run was made under other settings.

    Waiting times of the breaker may differ: the items of ``sets`` (``a.b=value``) that set them
    are returned.
    """
    header = header_of_run(run)
    if settings.source:
        settings = candidate_import.read_run_inputs(settings, lambda line: None).settings
    if header.settings.verify.bars:
        settings = acceptance_thresholds.with_thresholds(settings)
    requested = settings.budget
    if requested == unfinished.cap_in_force(
        run
    ):  # it was raised to that: the rest must be the same
        settings = settings.model_copy(update={"budget": header.settings.budget})
    # Not by the digest: that of an older run lacks the fields that were added since.
    old, new = (
        service_breaker.without_patience(one.model_dump(mode="json"))
        for one in (header.settings, settings)
    )
    differ = [name for name in old if old[name] != new[name] and name not in HOW_NOT_WHAT]
    if not differ:
        return service_breaker.patience_changes(header.settings, settings, sets)
    more = (
        f"; `{resume_command(run)} --budget {requested}` raises its cap"
        if "budget" in differ
        else ""
    )
    raise UsageError(
        f"run {run.name} was made under other settings: {', '.join(differ)} differ;"
        f" `{resume_command(run)}` goes on with its own{more}"
    )


def drive_run(
    run: RunFolder,
    *,
    workers: int | None,
    retry_kind: str,
    say: Say,
    budget: Decimal | None = None,
    hours: float | None = None,
    notify_hook: str | None = None,
    wait_settings: Sequence[str] = (),
    terminal_controls: TerminalControls | None = None,
    batch: bool | None = None,
) -> CommandResult:
    """Work on every instance that is owed, grade, and summarize.

    ``retry_kind``: a key of ``unfinished.RETRIED_STATUSES``; ``budget``: the run's new cap in USD;
    ``wait_settings``: changed waiting times; ``hours``: stop after so many; ``notify_hook``: see
    ``Notifier``; ``terminal_controls``: None is stderr; ``batch``: whether calls go in batches,
    None: as the settings say. Exit codes: ``reports.exit_status``.
    """
    header, notifier = header_of_run(run), Notifier(notify_hook, say)
    terminal_controls = terminal_controls or TerminalControls()
    unfinished.require_same_budget(run, header)
    waits = service_breaker.store_patience(run, header.settings, wait_settings, say)
    if budget is not None:
        unfinished.raise_cap(RunWiring(run, header, say).ledger, run, budget, say)
    if (waits or budget is not None) and is_locked(run.lock_file):
        return _live_change_result(run)
    if _is_finished(run, header, retry_kind):
        known = run_facts.read_run_facts(run)  # a damaged file is reported first
        say("nothing is owed")
        result = _closing_result(run, known, False)
        notifier.notify_end(result.facts, result.exit_code)
        return result
    candidate_import.require_same_candidates(run, header)
    wiring = RunWiring(run, header, say)
    crew = Crew(header.settings.workers if workers is None else workers,
                 header.settings.batch.enabled if batch is None else batch)  # fmt: skip
    crew.check(wiring)
    preflight.allow_open_files(preflight.OPEN_FILES_PER_WORKER * crew.at_once(wiring.header))
    with (
        notifier.notifying_faults(run.name),
        interruptible(),
        run.locked(),
        time_limit(hours, run.stopping, say),
    ):
        # The lock proves that no other process drives this run: holds of others are free.
        wiring.ledger.abandon_others()
        cleanup.sweep(run.name)
        wiring.breaker.forget()
        ends = _work_and_grade(wiring, crew, retry_kind, notifier, terminal_controls)
        # The cap may have been raised meanwhile, or a tier that was given up came back.
        while not (ends.stopped or run.stopping()) and (
            unfinished.has_newly_payable(run) or (ends.held and not wiring.breaker.given_up())
        ):
            ends = _work_and_grade(wiring, crew, "none", notifier, terminal_controls)
        known = _written_report(run)
    result = _closing_result(run, known, ends.stopped)
    notifier.notify_end(result.facts, result.exit_code)
    return result


def _written_report(run: RunFolder) -> run_facts.RunFacts:
    """The facts of the run, once ``report.md`` says them."""
    known = run_facts.read_run_facts(run)
    account = verifier_errors_text.verifier_errors_markdown(error_rates.error_rates_of_runs([run]))
    run.write_text("report.md", run_text.report_markdown(known) + account)
    return known


@dataclass(frozen=True)
class _RoundEnd:
    """How a round of work ended."""

    stopped: bool = False
    """By the user."""
    held: frozenset[str] = frozenset()
    """Instances that need a tier which was given up."""


def _work_and_grade(
    wiring: RunWiring,
    crew: Crew,
    retry_kind: str,
    notifier: Notifier,
    terminal_controls: TerminalControls,
) -> _RoundEnd:
    """Work on what is owed and grade it."""
    run, began = wiring.run, time.time()
    try:
        ends = _work_on_owed(wiring, crew, retry_kind, notifier, terminal_controls)
    finally:
        cleanup.sweep(run.name)  # what workers left that were killed
        append_value(run.path / "sessions.jsonl", {"from": began, "to": time.time()})
    wiring.ledger.abandon_others()
    grading_run.write_predictions(run)
    if wiring.settings.grade.enabled and not (ends.stopped or run.stopping()):
        try:
            grades = grading_run.grade_run(run, say=wiring.say)
            gold_outcomes = grading_run.gold_outcomes_of_run(run, list(grades))
            if gold_outcomes is not None:
                wiring.say(sentences.resolved_by_gold(grades, gold_outcomes))
        except KeyboardInterrupt:
            ends = replace(ends, stopped=True)
    return ends


def _live_change_result(run: RunFolder) -> CommandResult:
    """What is shown where another process drives the run: its driver takes the new cap over."""
    cap = unfinished.cap_in_force(run) or Decimal(0)
    facts = {"run": run.name, "budget": float(cap), "driven": True}
    message = f"{run.name} is being driven: its driver goes by that from now on (cap ${cap})"
    return CommandResult(facts, text_view(message))


def _is_finished(run: RunFolder, header: Header, retry_kind: str) -> bool:
    """Nothing is owed and nothing is to be graded: a finished run is only read."""
    if log_reader.read_ledger(run.ledger_file).submitted:
        return False
    if unfinished.pending_instances(run, retry_kind) or not run.predictions_file.exists():
        return False
    if not header.settings.grade.enabled:
        return True
    if unfinished.has_ungraded(run):
        return False
    return not (header.settings.grade.candidates and pending_grades.has_ungraded_candidate(run))


def _work_on_owed(
    wiring: RunWiring,
    crew: Crew,
    retry_kind: str,
    notifier: Notifier,
    terminal_controls: TerminalControls,
) -> _RoundEnd:
    """Work on the instances that are owed."""
    run = wiring.run
    todo = unfinished.pending_instances(run, retry_kind)
    total = len(run.instances())
    unfinished.reopen_pending(run, retry_kind, todo)
    if not todo and not batching.has_batches_out(wiring):
        wiring.say("nothing is owed")
        return _RoundEnd()
    with (
        LiveView(total, wiring.ledger.view().budget, terminal_controls.console) as view,
        graceful_stop(run.stop_file, view.say, force_quit=terminal_controls.force_quit),
        batching.open_lane(wiring, sends=crew.sends_batches, notify=view.say) as seating,
    ):
        view.skipped(total - len(todo))
        state = JobQueue(wiring, todo, view, notifier)
        if crew.workers:
            tail = LogTail(run.logs / "progress.jsonl", view)
            with temp_folders.temp_folder(run.name, run.lock_file) as place:
                made = pool.Pool(
                    run_in_ray,
                    crew.workers,
                    run.stopping,
                    lambda: state.show_progress(tail),
                    place,
                    environment=worker_environment.worker_variables(wiring.settings, os.environ),
                )
                made.run(state.jobs(), state.finish_job)
        else:
            threads = instances_at_once(wiring.header)
            if seating is not None and seating.sends:
                threads = batching.instances_at_once(wiring.header, len(todo))
                seating.lane.lockstep.expected = min(threads, len(todo))

            def work(job: Job) -> JobResult:
                if seating is not None:
                    return run_seated(job, view.event, seating)
                return run_local(job, view.event, threads)

            here: pool.Pool[Job, JobResult] = pool.Pool(
                work, 0, run.stopping, state.show_spending, threads=threads,
                on_fatal_error=run.stop_file.touch,
            )  # fmt: skip
            here.run(state.jobs(), state.finish_job)
            if seating is not None and not run.stopping():
                seating.collect_leftovers()
    stopped = run.stopping() and not service_breaker.has_given_up(run)
    return _RoundEnd(stopped, frozenset() if run.stopping() else frozenset(state.held_instances))


def _closing_result(run: RunFolder, known: run_facts.RunFacts, stopped: bool) -> CommandResult:
    stands = unfinished.standing_records(run)
    how = exit_status.run_ending(known.instances, stands, stopped=stopped)
    owes = exit_status.run_ending(known.instances, stands) == "infra"
    resume = f"\nfinish it with: {resume_command(run)}" if owes else ""
    out = batches_out.batches_out(run)
    resume += "".join(
        f"\n{line}" for line in batches_out.batches_out_lines(out, resume_command(run))
    )
    short = sum(record.short_of_money for record in known.records.values())
    if short:
        resume += (
            f"\nfor {short} of them the money ended: {resume_command(run)} --budget USD adds some"
        )
    away = service_breaker.breaker_of(run, header_of_run(run)).given_up() if owes else {}
    gone = [f"{name} stayed away: {row.cause} ({row.why})" for name, row in away.items()]
    view = run_text.run_view(
        known, unavailable_services=gone, ending=f"run folder: {run.path}{resume}"
    )
    facts = {**run_facts.run_summary(known), "ended": how}
    if out:
        facts["batches_out"] = [one.as_json() for one in out]
    if away:
        facts["away"] = {n: {"cause": row.cause, "why": row.why} for n, row in away.items()}
    return CommandResult(facts, view, exit_status.EXIT_CODES[how])


def resume_command(run: RunFolder) -> str:
    """The command for this run; by its folder, as a name is looked up under ``runs`` only."""
    return f"swe-router resume {shlex.quote(str(run.path))}"
