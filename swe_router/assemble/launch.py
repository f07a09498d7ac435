"""A run from its settings to its summary: create, drive, resume, finish."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from rich.console import Group
from rich.text import Text

from swe_router import pool
from swe_router.assemble import (
    accounting,
    bars,
    begun,
    facts,
    graded,
    imports,
    lessons,
    machine,
    made_with,
    marks,
    owing,
    preflight,
    received,
    rehearsal,
    sound,
    stoploss,
    surroundings,
)
from swe_router.assemble.header import Header, instances_digest, of_run, run_name
from swe_router.assemble.holding import breaker_of
from swe_router.assemble.notify import Notifier
from swe_router.assemble.shown import Shown
from swe_router.assemble.stopping import ending_after, graceful, interruptible
from swe_router.assemble.wire import Wiring, build_policy, features_of, knobs_of
from swe_router.assemble.worker import Done, Job, Rejected, at_once, away, here
from swe_router.errors import UsageError
from swe_router.grading.grade import check_gradable
from swe_router.journal import brought
from swe_router.journal.folder import RunFolder, text_digest
from swe_router.journal.lines import append
from swe_router.records import Budget, Instance, RunRecord
from swe_router.reports import accounting_text, ending, text
from swe_router.reports.live import View
from swe_router.sandboxes import scratch
from swe_router.sandboxes.reaper import held
from swe_router.seams import Policy
from swe_router.settings import Settings
from swe_router.solve.imported import lesson
from swe_router.terminal import Console

Say = Callable[[str], None]


def create(settings: Settings, out: Path, say: Say) -> RunFolder:
    """A new run folder after every check. Raises ``UsageError``."""
    header, start = resolved(settings, say)
    rehearsal.must_do(header, start.instances)
    name = run_name(header.settings, header.created)
    kept = made_with.parts(header.settings)
    header = replace(
        header,
        made_with={key: text_digest(text) for key, text in kept.items()},
        instances=instances_digest(start.instances),
    )
    run = RunFolder.create(out, name, header.plain(), start.instances, kept.values())
    begun.remember(run)
    for instance_id, case in start.cases.items():
        brought.store(run.attempt_folder(instance_id), case)
    Wiring(run, header, say).ledger.figures()
    say(f"run folder: {run.path}")
    return run


def find(
    name: str,
    out: Path,
    *,
    trusted: bool = False,
    wished: Settings | None = None,
    boxes_only: bool = False,
) -> RunFolder:
    """A run by name or path, to go on with.

    Raises ``UsageError`` as ``sound.check`` and ``received.may_act`` do.
    """
    run = RunFolder.find(name, out)
    header = sound.check(run, acts=True)
    received.may_act(run, header, trusted=trusted, wished=wished, boxes_only=boxes_only)
    return run


def require_same(run: RunFolder, settings: Settings) -> None:
    """Raises ``UsageError`` when the run was made under other settings."""
    header = of_run(run)
    if settings.source:
        settings = imports.begin(settings, lambda line: None).settings
    if header.settings.verify.bars:
        settings = bars.resolved(settings)
    wished = settings.budget
    if wished == owing.cap_of(run):  # it was raised to that: the rest must be the same
        settings = settings.model_copy(update={"budget": header.settings.budget})
    # Not by the digest: that of an older run lacks the fields that were added since.
    old, new = header.settings.model_dump(mode="json"), settings.model_dump(mode="json")
    differ = [name for name in old if old[name] != new[name] and name != "workers"]
    if not differ:
        return
    more = f"; `{_resuming(run)} --budget {wished}` raises its cap" if "budget" in differ else ""
    raise UsageError(
        f"run {run.name} was made under other settings: {', '.join(differ)} differ;"
        f" `{_resuming(run)}` goes on with its own{more}"
    )


def drive(
    run: RunFolder,
    *,
    workers: int | None,
    retry: str,
    say: Say,
    budget: Decimal | None = None,
    hours: float | None = None,
    notify: str | None = None,
) -> Shown:
    """Carry out what a run owes, grade it, and sum it up.

    ``budget``: raise the run's cap to so many USD first; ``hours``: stop after so many;
    ``notify``: the hook of ``notify.Notifier``. Exit codes are those of ``reports.ending``.
    """
    header = of_run(run)
    owing.same_budget(run, header)
    if budget is not None:
        owing.raise_cap(Wiring(run, header, say).ledger, run, budget, say)
        if held(run.lock_file):
            return _told(run)
    if _finished(run, header, retry):
        say("nothing is owed")
        return _closing(run, facts.of(run), False)
    imports.check(run, header)
    wiring, told = Wiring(run, header, say), Notifier(notify, say)
    number = header.settings.workers if workers is None else workers
    preflight.open_files(preflight.FILES_PER_WORKER * max(1, number))
    with interruptible(), run.locked(), ending_after(hours, run.stopping, say):
        # The lock says that nobody else drives this run: what others held is nobody's now.
        wiring.ledger.abandon_others()
        machine.sweep(run.name)
        wiring.breaker.forget()
        stopped = _launched(wiring, number, retry, told)
        # Somebody may have raised the cap meanwhile.
        while not (stopped or run.stopping()) and owing.newly_paid(run):
            stopped = _launched(wiring, number, "none", told)
        known = facts.of(run)
        account = accounting_text.markdown(accounting.of_runs([run]))
        run.write_text("report.md", text.markdown(known) + account)
    shown = _closing(run, known, stopped)
    told.ended(shown.facts, shown.code)
    return shown


def _launched(wiring: Wiring, workers: int, retry: str, told: Notifier) -> bool:
    """Work on what is owed and grade it; True when the user stopped it."""
    run, began = wiring.run, time.time()
    try:
        stopped = _work(wiring, workers, retry, told)
    finally:
        machine.sweep(run.name)  # what workers left that were killed
        append(run.path / "sessions.jsonl", {"from": began, "to": time.time()})
    wiring.ledger.abandon_others()
    marks.write_predictions(run)
    if wiring.settings.grade.enabled and not (stopped or run.stopping()):
        try:
            marks.grade_run(run, say=wiring.say)
        except KeyboardInterrupt:
            stopped = True
    return stopped


def _told(run: RunFolder) -> Shown:
    """The cap was raised for a run that another process drives."""
    cap = owing.cap_of(run) or Decimal(0)
    facts_ = {"run": run.name, "budget": float(cap), "driven": True}
    return Shown(facts_, Text(f"{run.name} is being driven: its driver goes by ${cap} from now on"))


def _finished(run: RunFolder, header: Header, retry: str) -> bool:
    """Nothing is owed and nothing is to be graded: a finished run is only read."""
    if owing.owed(run, retry) or not run.predictions_file.exists():
        return False
    if not header.settings.grade.enabled:
        return True
    if owing.ungraded(run):
        return False
    return not (header.settings.grade.candidates and graded.unseen(run))


def resolved(settings: Settings, say: Say) -> tuple[Header, imports.Begun]:
    """What a run begins with, checked on this machine. Raises ``UsageError``."""
    start = imports.begin(settings, say)
    settings, instances = bars.resolved(start.settings), start.instances
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
        knobs=knobs_of(settings),
    )
    policy = build_policy(header, instances, say)
    if getattr(policy, "needs", ""):
        knobs = settings.policy.knobs
        batch = [lessons.judged(features_of(one, None), knobs) for one in instances]
        policy.prepare(batch, Budget(dollars=settings.budget))
    return header, start


def _work(wiring: Wiring, workers: int, retry: str, told: Notifier) -> bool:
    """Do what is owed; True when the user stopped it."""
    run = wiring.run
    todo = owing.owed(run, retry)
    total = len(run.instances())
    owing.take_up(run, retry, todo)
    if not todo:
        wiring.say("nothing is owed")
        return False
    console = Console(stderr=True, markup=False, emoji=False)
    with (
        View(total, wiring.ledger.view().budget, console) as view,
        graceful(run.stop_file, view.say),
    ):
        view.skipped(total - len(todo))
        state = _State(wiring, todo, view, told)
        if workers:
            tail = _Tail(run.logs / "progress.jsonl", view)
            with scratch.folder(run.name, run.lock_file) as place:
                made = pool.Pool(
                    away,
                    workers,
                    run.stopping,
                    lambda: state.tick(tail),
                    place,
                    env=surroundings.handed(wiring.settings, os.environ),
                )
                made.run(state.jobs(), state.done)
        else:
            made = pool.Pool(
                lambda job: here(job, view.event), 0, run.stopping, state.spent,
                threads=at_once(wiring.header), halt=run.stop_file.touch,
            )  # fmt: skip
            made.run(state.jobs(), state.done)
    return run.stopping() and not wiring.breaker.given_up()


def learned(wiring: Wiring) -> Policy:
    """The policy of a run as it stands: prepared, with all that concluded instances taught."""
    batch = [wiring.features(one, None) for one in wiring.run.instances()]
    policy = wiring.policy().prepare(batch, Budget(dollars=wiring.ledger.view().budget))
    for record in owing.told(wiring.run):
        policy = policy.update(lesson(record))
    return policy


class _State:
    """What the driver knows between jobs: the policy as it learns, and what is left."""

    def __init__(
        self, wiring: Wiring, todo: Sequence[Instance], view: View, told: Notifier
    ) -> None:
        self._wiring, self._todo, self._view, self._told = wiring, todo, view, told
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
            self._wiring.tape(job.instance).tidy()
            self._wiring.run.add_record(result)
            self._policy = self._policy.update(lesson(result))
            self._left -= 1
            self.spent()  # first, for the line that tells this instance tells the money too
            self._view.done(result)
        elif isinstance(result, pool.Lost):
            self._view.say(f"{job.instance.id}: {result.why}; it is owed")
        elif isinstance(result, pool.Fault):
            self._fault(job.instance.id, result)
        self.spent()

    def _fault(self, instance_id: str, fault: pool.Fault) -> None:
        log = self._wiring.run.logs / "faults.jsonl"
        row = {"instance": instance_id, "at": time.time(), "why": fault.why, "trace": fault.trace}
        append(log, row)
        self._view.say(
            f"{instance_id}: a fault of swe-router's own ({fault.why}); it is owed; see {log}"
        )

    def tick(self, tail: _Tail) -> None:
        tail.read()
        self.spent()

    def spent(self) -> None:
        """Show what is spent."""
        view = self._wiring.ledger.view()
        self._view.spent(view.spent, view.budget)
        self._told.spent(self._wiring.run.name, view.spent, view.budget)
        gone = self._wiring.breaker.away()
        self._view.paused({name: row.cause for name, row in gone.items() if row.paused})


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
    stands = owing.concluded(run)
    how = ending.ended(known.instances, stands, stopped=stopped)
    owes = ending.ended(known.instances, stands) == "infra"
    resume = f"\nfinish it with: {_resuming(run)}" if owes else ""
    short = sum(record.short_of_money for record in known.records.values())
    if short:
        resume += f"\nfor {short} of them the money ended: {_resuming(run)} --budget USD adds some"
    away = breaker_of(run, of_run(run).settings).given_up() if owes else {}
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


def _resuming(run: RunFolder) -> str:
    """The command for this run; by its folder, as a name is looked up under ``runs`` only."""
    return f"swe-router resume {shlex.quote(str(run.path))}"
