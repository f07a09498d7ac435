"""A run from its settings to its summary: create, drive, resume, finish."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.text import Text

from swe_router import pool
from swe_router.assemble import (
    bars,
    facts,
    graded,
    imports,
    lessons,
    machine,
    made_with,
    preflight,
    stoploss,
)
from swe_router.assemble.header import Header, of_run, run_name
from swe_router.assemble.holding import breaker_of
from swe_router.assemble.shown import Shown
from swe_router.assemble.stopping import graceful, interruptible
from swe_router.assemble.wire import Wiring, build_policy, features_of
from swe_router.assemble.worker import Done, Job, Rejected, away, here
from swe_router.deferred import deferred
from swe_router.errors import UsageError
from swe_router.grading.grade import check_gradable
from swe_router.journal import brought
from swe_router.journal.folder import RunFolder, text_digest
from swe_router.journal.lines import append
from swe_router.journal.tape import Tape
from swe_router.records import Budget, Instance, RunRecord
from swe_router.reports import ending, text
from swe_router.reports.live import View
from swe_router.sandboxes import scratch
from swe_router.seams import Policy
from swe_router.settings import Settings
from swe_router.solve.imported import lesson

if TYPE_CHECKING:
    from swe_router.assemble import accounting, forecast, marks
    from swe_router.reports import accounting_text
else:
    accounting = deferred("swe_router.assemble.accounting")
    forecast = deferred("swe_router.assemble.forecast")
    marks = deferred("swe_router.assemble.marks")
    accounting_text = deferred("swe_router.reports.accounting_text")

Say = Callable[[str], None]

RETRIED = {
    "none": frozenset[str](),
    "infra": frozenset({"infra"}),
    "limit": frozenset({"infra", "budget"}),
    "all": frozenset({"infra", "budget", "empty"}),
}
"""What ``--retry`` tries again, by the status of the record."""


def create(settings: Settings, out: Path, say: Say) -> RunFolder:
    """A new run folder after every check. Raises ``UsageError``."""
    header, begun = _resolved(settings, say)
    name = run_name(header.settings, header.created)
    kept = made_with.parts(header.settings)
    header = replace(header, made_with={key: text_digest(text) for key, text in kept.items()})
    run = RunFolder.create(out, name, header.plain(), begun.instances, kept.values())
    for instance_id, case in begun.cases.items():
        brought.store(run.attempt_folder(instance_id), case)
    Wiring(run, header, say).ledger.figures()
    say(f"run folder: {run.path}")
    return run


def plan(settings: Settings, say: Say) -> Shown:
    """What a run would do, checked, at no cost."""
    header, begun = _resolved(settings, say)
    instances = begun.instances
    ladder = header.ladder()
    came = sum(len(case.outcomes) for case in begun.cases.values())
    per_tier = {str(one.arm): float(one.budget.dollars) for one in ladder}
    known = {
        "run": run_name(header.settings, header.created),
        "split": settings.split,
        "policy": settings.policy.name,
        "instances": len(instances),
        "budget": float(settings.budget),
        "sandbox": header.sandbox,
        "attempt_usd": per_tier,
        "usd_at_most": float(forecast.at_most(header, len(instances), came)),
        "skipped": dict(header.skipped),
    }
    lines = [f"{name}: {value}" for name, value in known.items()]
    rows = bars.facts(header.settings)
    known["acceptance"] = rows
    lines += bars.words(rows)
    if begun.cases:
        said = forecast.forecast(header, instances, begun.cases)
        lines = [*forecast.lines(said), *lines]
        known["from"] = said
    return Shown(facts=known, view=Text("\n".join([*lines, "nothing was started or spent"])))


def find(name: str, out: Path) -> RunFolder:
    """A run by name or path."""
    return RunFolder.find(name, out)


def require_same(run: RunFolder, settings: Settings) -> None:
    """Raises ``UsageError`` when the run was made under other settings."""
    header = of_run(run)
    if settings.source:
        settings = imports.begin(settings, lambda line: None).settings
    if header.settings.verify.bars:
        settings = bars.resolved(settings)
    if header.digest == settings.digest():
        return
    old, new = header.settings.model_dump(mode="json"), settings.model_dump(mode="json")
    differ = [name for name in old if old[name] != new[name] and name != "workers"]
    raise UsageError(
        f"run {run.name} was made under other settings: {', '.join(differ)} differ;"
        f" `{_resuming(run)}` goes on with its own"
    )


def drive(run: RunFolder, *, workers: int | None, retry: str, say: Say) -> Shown:
    """Carry out what a run owes, grade it, and sum it up.

    Exit codes are those of ``reports.ending``.
    """
    header = of_run(run)
    if _finished(run, header, retry):
        say("nothing is owed")
        return _closing(run, facts.of(run), False)
    imports.check(run, header)
    wiring = Wiring(run, header, say)
    number = header.settings.workers if workers is None else workers
    preflight.open_files(preflight.FILES_PER_WORKER * max(1, number))
    with interruptible(), run.locked():
        # The lock says that nobody else drives this run: what others held is nobody's now.
        wiring.ledger.abandon_others()
        machine.sweep(run.name)
        wiring.breaker.forget()
        began = time.time()
        try:
            stopped = _work(wiring, number, retry)
        finally:
            machine.sweep(run.name)  # what workers left that were killed
            append(run.path / "sessions.jsonl", {"from": began, "to": time.time()})
        wiring.ledger.abandon_others()
        marks.write_predictions(run)
        if header.settings.grade.enabled and not run.stopping():
            try:
                marks.grade_run(run, say=say)
            except KeyboardInterrupt:
                stopped = True
        known = facts.of(run)
        account = accounting_text.markdown(accounting.of_runs([run]))
        run.write_text("report.md", text.markdown(known) + account)
    return _closing(run, known, stopped)


def _finished(run: RunFolder, header: Header, retry: str) -> bool:
    """Nothing is owed and nothing is to be graded: a finished run is only read."""
    if owed(run, retry) or not run.predictions_file.exists():
        return False
    if not header.settings.grade.enabled:
        return True
    ungraded = bool(run.records().keys() - run.grades().keys())
    return not ungraded and not (header.settings.grade.candidates and graded.unseen(run))


def _resolved(settings: Settings, say: Say) -> tuple[Header, imports.Begun]:
    begun = imports.begin(settings, say)
    settings, instances = bars.resolved(begun.settings), begun.instances
    if settings.grade.enabled:
        check_gradable(settings.split, [one.id for one in instances])
    ready = preflight.ready(settings, instances, say)
    header = Header(
        settings=settings,
        digest=settings.digest(),
        rates=ready.rates,
        skipped=ready.skipped,
        sandbox=ready.sandbox,
        prompts=ready.prompts,
        created=time.time(),
        stop_loss=stoploss.read(settings.stop_loss, settings.ladder),
    )
    policy = build_policy(header, instances, say)
    if getattr(policy, "needs", ""):
        knobs = settings.policy.knobs
        batch = [lessons.judged(features_of(one, None), knobs) for one in instances]
        policy.prepare(batch, _whole(settings))
    return header, begun


def _whole(settings: Settings) -> Budget:
    return Budget(dollars=settings.budget)


def owed(run: RunFolder, retry: str) -> list[Instance]:
    """Instances without a record, and those whose record is of a kind to be tried again.

    One that an earlier launch began anew and did not conclude is owed like any other.
    """
    records = run.records()
    kinds = RETRIED[retry]
    return [
        one
        for one in run.instances()
        if one.id not in records
        or records[one.id].status in kinds
        or not Tape(run.attempt_folder(one.id)).belongs_to(records[one.id])
    ]


def _work(wiring: Wiring, workers: int, retry: str) -> bool:
    """Do what is owed; True when the user stopped it."""
    run = wiring.run
    todo = owed(run, retry)
    total = len(run.instances())
    records = run.records()
    for one in todo:
        tape = wiring.tape(one)
        if one.id in records and tape.belongs_to(records[one.id]):
            tape.restart()
    if not todo:
        wiring.say("nothing is owed")
        return False
    console = Console(stderr=True, markup=False, emoji=False)
    with (
        View(total, wiring.settings.budget, console) as view,
        graceful(run.stop_file, view.say),
    ):
        view.skipped(total - len(todo))
        state = _State(wiring, todo, view)
        if workers:
            tail = _Tail(run.logs / "progress.jsonl", view)
            with scratch.folder(run.name, run.lock_file) as place:
                made = pool.Pool(away, workers, run.stopping, lambda: state.tick(tail), place)
                made.run(state.jobs(), state.done)
        else:
            made = pool.Pool(lambda job: here(job, view.event), 0, run.stopping)
            made.run(state.jobs(), state.done)
    return run.stopping() and not wiring.breaker.given_up()


def learned(wiring: Wiring) -> Policy:
    """The policy of a run as it stands: prepared, with all that concluded instances taught."""
    batch = [wiring.features(one, None) for one in wiring.run.instances()]
    policy = wiring.policy().prepare(batch, _whole(wiring.settings))
    for record in wiring.run.concluded():
        policy = policy.update(lesson(record))
    return policy


class _State:
    """What the driver knows between jobs: the policy as it learns, and what is left."""

    def __init__(self, wiring: Wiring, todo: Sequence[Instance], view: View) -> None:
        self._wiring, self._todo, self._view = wiring, todo, view
        self._left = len(todo)
        self._looking: set[str] = set()
        self._over: set[str] = set()
        self._policy = learned(wiring)

    def jobs(self) -> Iterator[Job]:
        """All that is owed; what instances came with is looked at before any attempt is made.

        A policy that rations its money must know how many are left.
        """
        run = self._wiring.run
        first = [one for one in self._todo if imports.unseen(run, one)]
        self._looking = {one.id for one in first}
        for instance in first:
            yield Job(run.path, instance, self._policy, self._left, first=True)
        rest = [one for one in self._todo if one.id not in self._over]
        while rest:
            free = next((one for one in rest if one.id not in self._looking), None)
            if free is None:
                yield pool.LATER
            else:
                rest.remove(free)
                yield Job(run.path, free, self._policy, self._left)
            rest = [one for one in rest if one.id not in self._over]

    def done(self, job: Job, result: Done | pool.Lost | pool.Fault) -> None:
        self._looking.discard(job.instance.id)
        if not isinstance(result, Rejected):
            self._over.add(job.instance.id)
        if isinstance(result, RunRecord):
            self._wiring.run.add_record(result)
            self._policy = self._policy.update(lesson(result))
            self._left -= 1
            self._view.done(result)
        elif isinstance(result, pool.Lost):
            self._view.say(f"{job.instance.id}: {result.why}; it is owed")
        elif isinstance(result, pool.Fault):
            self._fault(job.instance.id, result)
        self._spent()

    def _fault(self, instance_id: str, fault: pool.Fault) -> None:
        log = self._wiring.run.logs / "faults.jsonl"
        row = {"instance": instance_id, "at": time.time(), "why": fault.why, "trace": fault.trace}
        append(log, row)
        self._view.say(
            f"{instance_id}: a fault of swe-router's own ({fault.why}); it is owed; see {log}"
        )

    def tick(self, tail: _Tail) -> None:
        tail.read()
        self._spent()

    def _spent(self) -> None:
        view = self._wiring.ledger.view()
        self._view.spent(view.spent)


class _Tail:
    """Progress that Ray workers wrote to a file, passed on to the view."""

    def __init__(self, path: Path, view: View) -> None:
        self._path, self._view = path, view
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as file:
            file.seek(self._offset)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self._offset += len(line.encode("utf-8"))
                with contextlib.suppress(ValueError):  # the line that a killed worker tore
                    self._view.event(*json.loads(line))


def _closing(run: RunFolder, known: facts.RunFacts, stopped: bool) -> Shown:
    how = ending.ended(known.instances, known.records, stopped=stopped)
    resume = f"\nfinish it with: {_resuming(run)}" if _owes(known) else ""
    away = breaker_of(run, of_run(run).settings).given_up() if _owes(known) else {}
    gone = [f"{name} stayed away: {row.cause} ({row.why})" for name, row in away.items()]
    view = Group(
        text.instances_table(known),
        Text(""),
        text.closing(known),
        *(Text(line, "bold") for line in gone),
        Text(f"run folder: {run.path}{resume}"),
    )
    said = {**facts.summary(known), "ended": how}
    if away:
        said["away"] = {n: {"cause": row.cause, "why": row.why} for n, row in away.items()}
    return Shown(said, view, ending.CODES[how])


def _owes(known: facts.RunFacts) -> bool:
    """Some instance has no record, or one that a resume tries again by itself."""
    return ending.ended(known.instances, known.records) == "infra"


def _resuming(run: RunFolder) -> str:
    """The command for this run; by its folder, as a name is looked up under ``runs`` only."""
    return f"swe-router resume {shlex.quote(str(run.path))}"
