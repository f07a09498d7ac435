"""``verify``: the verifier stack over the candidates of a predictions file, one row each."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swe_router import plugins, recorded_verdicts
from swe_router.candidates import joining, trajectory_folders
from swe_router.candidates.joining import InstanceCase
from swe_router.commands.result import CommandResult
from swe_router.commands.signals import graceful_stop
from swe_router.commands.verify import result_rows
from swe_router.instances import splits
from swe_router.records import Instance, Outcome
from swe_router.reports.grade_table import verdicts_view
from swe_router.sandboxes import temp_folders
from swe_router.settings import Settings
from swe_router.wiring import acceptance_thresholds, cleanup
from swe_router.wiring.verifier_stack import StandaloneVerification

Say = Callable[[str], None]
STOPPING_MESSAGE = "stopping: commands are cut short and sandboxes removed; again: at once"
HEARTBEAT_SECONDS = 30.0
"""Seconds without a message after which the current step is reported."""


@dataclass(frozen=True)
class VerifyRequest:
    """What is to be verified, in addition to the settings."""

    predictions_file: Path
    trajectories_folder: Path | None = None
    output_file: Path | None = None
    """File of rows to write, or to continue."""
    workers: int = 1
    sandbox_factory: Any = field(default=None, repr=False)
    """A factory of sandboxes in the place of the settings' own."""


def verify_candidates(settings: Settings, request: VerifyRequest, say: Say) -> CommandResult:
    """Verify every candidate; exit code 0, 1 when a fault of ours left a row out, 130 stopped.

    Raises ``UsageError`` for anything that is wrong before the first sandbox is opened.
    """
    settings = acceptance_thresholds.with_thresholds(settings)
    found = joining.read_candidates(request.predictions_file)
    known = splits.load_instances(settings.split, dataset_reader=settings.dataset)
    joining.check_known(found, {one.id for one in known}, settings.split)
    instances = _requested_instances(
        settings, known, list(dict.fromkeys(one.instance_id for one in found))
    )
    ids = {one.id for one in instances}
    found = [one for one in found if one.instance_id in ids]
    trajectories = (
        trajectory_folders.read_trajectories(request.trajectories_folder, ids, say)
        if request.trajectories_folder
        else []
    )
    joined = joining.join(found, trajectories, request.predictions_file.name)
    if note := joining.mended(joined):
        say(note)
    if trajectories:
        covered = {one.instance_id for one in trajectories}
        say(f"{len(trajectories)} trajectories on {len(covered)} instances")
    with _open_verification(settings, request, say) as stack:
        rows = result_rows.ResultFile(request.output_file, stack.digest(), joined)
        stopped, faults = _verify_all(stack, request.workers, instances, joined, rows, say)
        if recorded_verdicts.asked_tiers(settings.verify):
            say(f"models: ${stack.spent_usd():.4f} of ${settings.budget}")
    made = rows.ordered_rows([(one.instance_id, one.name) for one in found])
    return CommandResult(
        facts=made, view=verdicts_view(made), exit_code=130 if stopped else 1 if faults else 0
    )


def _requested_instances(
    settings: Settings, instances: Sequence[Instance], ids_with_candidates: Sequence[str]
) -> list[Instance]:
    """The instances with candidates that the user asked for, in the order of the split."""
    with_any = [one for one in instances if one.id in set(ids_with_candidates)]
    return splits.narrow_instances(
        with_any, f"{settings.split} with candidates", ids=settings.instances,
        filter=settings.filter, slice=settings.slice, shuffle=settings.shuffle,
        seed=settings.seed,
    )  # fmt: skip


@contextmanager
def _open_verification(
    settings: Settings, request: VerifyRequest, say: Say
) -> Iterator[StandaloneVerification]:
    """The verifier stack with a temporary folder, which is removed at the end."""
    name = f"verify-{secrets.token_hex(4)}"
    with temp_folders.temp_folder(name, Path("verify.lock")) as place:
        stop = place / "stop"
        # The card of the folder is held as long as it lives: the reaper spares what names it.
        lock = place / temp_folders.CARD
        with graceful_stop(stop, say, STOPPING_MESSAGE):
            stack = StandaloneVerification(
                settings,
                run_name=name,
                folder=place,
                lock_file=lock,
                say=say,
                stopping=stop.exists,
                sandboxes=request.sandbox_factory,
                cores=(os.cpu_count() or 1) // max(1, request.workers) or 1,
            )
            try:
                yield stack
            finally:
                stack.close()
                if stack.sandbox == "docker":
                    cleanup.sweep(name)


def _verify_all(
    verification: StandaloneVerification,
    workers: int,
    instances: Sequence[Instance],
    cases: Mapping[str, InstanceCase],
    rows: result_rows.ResultFile,
    say: Say,
) -> tuple[bool, int]:
    """Every instance that owes a row; whether the user stopped it, and the number of faults."""
    owed = [one for one in instances if not rows.is_complete(one.id)]
    if len(owed) < len(instances):
        say(f"{len(instances) - len(owed)} instances are done already in {rows.path}")
    halves = {
        one.id: sum(bool(o.verdicts) for o in rows.outcomes_to_continue(cases[one.id]))
        for one in owed
    }
    if any(halves.values()):
        say(f"{sum(halves.values())} candidates were looked at already, as {rows.path} tells")
    sizes = {one.id: len(cases[one.id].outcomes) - halves[one.id] for one in owed}
    progress = _VerifyProgress(sizes, say)
    faults = 0
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="verify") as pool:
        running = {
            pool.submit(_verify_instance, verification, one, cases[one.id], rows, progress): one
            for one in owed
        }
        for done in as_completed(running):
            made, fault = _rows_or_faults(done, cases[running[done].id])
            if made is None:
                continue
            faults += bool(fault)
            rows.add_rows(made)
            progress.end_instance(running[done].id, made, fault)
    rows.drop_replaced_rows()
    return verification.is_stopped, faults


def _verify_instance(
    verification: StandaloneVerification,
    instance: Instance,
    case: InstanceCase,
    rows: result_rows.ResultFile,
    progress: _VerifyProgress,
) -> list[dict[str, Any]] | None:
    """The rows of one instance; None when the user stopped before they could be trusted."""
    if verification.is_stopped:
        return None
    progress.begin_instance(instance.id)

    def watch(attempt_id: str, verifier: str) -> None:
        progress.heartbeat(f"{instance.id}: {case.names[attempt_id]}, {verifier}")

    def looked(outcome: Outcome) -> None:
        if not any(one.broke for one in outcome.verdicts):
            rows.add_unfinished(result_rows.verdict_row(outcome, case))

    known = replace(case, outcomes=rows.outcomes_to_continue(case))
    outcomes = verification.verify_case(instance, known, watch, looked)
    return (
        None
        if verification.is_stopped
        else [result_rows.verdict_row(one, case) for one in outcomes]
    )


def _rows_or_faults(
    future: Future[list[dict[str, Any]] | None], case: InstanceCase
) -> tuple[list[dict[str, Any]] | None, str]:
    """The rows, or rows with the error: a fault does not affect other instances."""
    error = future.exception()
    if error is None:
        return future.result(), ""
    if not isinstance(error, Exception):
        raise error
    message = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    message = f"{plugins.fault_owner(error)}: {message}"
    return [result_rows.fault_row(one, case, message) for one in case.outcomes], message


class _VerifyProgress:
    """Progress on stderr, with the time left by the candidates done so far."""

    def __init__(self, sizes: Mapping[str, int], say: Say) -> None:
        """``sizes``: candidates to look at, by instance."""
        self._sizes = sizes
        self._say, self._begun, self._done = say, time.monotonic(), 0
        self._began: dict[str, float] = {}
        self._seen: list[str] = []
        self._spoke = self._begun
        say(f"{sum(sizes.values())} candidates of {len(sizes)} instances to verify")

    def begin_instance(self, instance_id: str) -> None:
        """An instance is begun now."""
        self._began[instance_id] = time.monotonic()

    def heartbeat(self, activity: str) -> None:
        """A sign of life from within an instance, when there was none for a while."""
        if time.monotonic() - self._spoke >= HEARTBEAT_SECONDS:
            self._show_line(f"  {activity}")

    def end_instance(self, instance_id: str, rows: Sequence[Mapping[str, Any]], fault: str) -> None:
        self._seen.append(instance_id)
        self._done += self._sizes[instance_id]
        passed = time.monotonic() - self._begun
        left = passed * (sum(self._sizes.values()) - self._done) / max(1, self._done)
        took = time.monotonic() - self._began.get(
            instance_id, self._begun
        )  # candidates go side by side
        outcomes = " ".join(str(row["outcome"]) for row in rows)
        wrong = f"; a fault of {fault}" if fault else ""
        self._show_line(
            f"[{len(self._seen)}/{len(self._sizes)}] {instance_id}: {outcomes}"
            f" in {took:.0f} s{wrong}; ETA {_duration_text(left)}"
        )

    def _show_line(self, line: str) -> None:
        self._spoke = time.monotonic()
        self._say(line)


def _duration_text(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
