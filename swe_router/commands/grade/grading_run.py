"""Grading a run or a predictions file: which grader, in which sandbox, and what is shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from swe_router.codegraph.repo_cache import cache_folder
from swe_router.commands.grade.pending_grades import pending_grades
from swe_router.datasets import Grader, OpensSandbox, SupportsNetwork, SupportsNote
from swe_router.errors import UsageError, WouldNotStart
from swe_router.grading import graders
from swe_router.grading import predictions as files
from swe_router.grading.grade import grade_patches, grade_predictions, predicted
from swe_router.journal.header import header_of_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Grade, Instance
from swe_router.reports.sentences import counted_noun
from swe_router.sandboxes.docker import DockerSandboxes
from swe_router.sandboxes.local import LocalSandboxes
from swe_router.seams import Sandbox
from swe_router.settings import SandboxSettings
from swe_router.wiring.repositories import repo_cache
from swe_router.wiring.run_wiring import RunWiring

Say = Callable[[str], None]


def run_predictions(run: RunFolder) -> list[files.Prediction]:
    """One prediction per instance: what was chosen, else what an interrupted attempt left."""
    found = []
    records = run.records()
    name = f"swe-router ({run.name})"
    for instance in run.instances():
        record = records.get(instance.id)
        patch = record.patch if record is not None else _rescued_patch(run, instance.id)
        found.append(files.Prediction(instance_id=instance.id, patch=patch, model=name))
    return found


def write_predictions(run: RunFolder) -> None:
    """``preds.json``, which the official harness and sb-cli take."""
    files.write_predictions(run.predictions_file, run_predictions(run))


def grade_run(
    run: RunFolder, *, say: Say, grade_all_candidates: bool | None = None
) -> Mapping[str, Grade]:
    """Grade the concluded instances of a run; the verdicts on what is handed in, by instance.

    Every other patch of an attempt is graded too where the settings say so
    (``grade_all_candidates`` overrides them), and stored apart. Only missing grades are made: a
    patch that has one is not graded again, and an interrupted grading simply continues.
    """
    header = header_of_run(run)
    settings = header.settings
    records = run.records()
    todo = [p for p in run_predictions(run) if p.instance_id in records]
    others = settings.grade.candidates if grade_all_candidates is None else grade_all_candidates
    left = pending_grades(run, todo, grade_all_candidates=others)
    run.add_grades(left.reused_grades)
    fresh = [*left.submitted, *left.candidates]
    if fresh:
        main = {(p.instance_id, p.digest) for p in left.submitted}

        def store_grade(grade: Grade) -> None:
            grade = _with_relative_logs(grade, run.path)
            name = grade.instance_id
            if (name, grade.patch) in main:
                run.add_grades([grade])
            else:
                run.add_candidate_grade(grade)
                name += " (a candidate not handed in)"
            graded.append(name)
            why = f" ({grade.why_ungraded[:200]})" if grade.why_ungraded else ""
            say(f"[graded {len(graded)}/{len(fresh)}] {name}: {grade.outcome}{why}")

        graded: list[str] = []
        grader = graders.evaluating_grader(
            settings.split,
            settings.dataset,
            folder=run.path / "grading",
            timeout=settings.grade.timeout,
            sandbox=header.sandbox,
            opens=_lazy_opener(lambda: RunWiring(run, header, say).sandboxes),
            network=settings.grade.network,
            code=settings.grade.code,
        )
        _show_grader_note(grader, say)
        others_count = counted_noun(len(left.candidates), "other candidate")
        more = f" and {others_count}" if left.candidates else ""
        patches = counted_noun(len(left.submitted), "patch", "patches")
        say(f"grading {patches}{more} ({header.sandbox})")
        grade_patches(
            fresh,
            {one.id: one for one in run.instances()},
            grader,
            workers=settings.grade.workers,
            run=run.name,
            progress=store_grade,
        )
    known = run.grades()
    return {p.instance_id: known[p.instance_id] for p in todo}


def _with_relative_logs(grade: Grade, folder: Path) -> Grade:
    """Paths of a run's own logs relative to its folder, which may be moved."""
    whole, given = f"{folder.resolve()}/", f"{folder}/"
    evidence = {
        key: value.removeprefix(whole).removeprefix(given) if isinstance(value, str) else value
        for key, value in grade.evidence.items()
    }
    return grade.model_copy(update={"evidence": evidence})


def grade_file(
    predictions_file: Path,
    split: str,
    *,
    dataset_reader: str = "",
    sandbox: str,
    unsafe: bool,
    timeout: float,
    workers: int,
    network: Sequence[str] = (),
    code: str = "",
    say: Say,
) -> Mapping[str, Grade]:
    """Grade a predictions file; ``gold`` as its name grades the answer key's own patches."""
    gold = str(predictions_file) == "gold"
    found = [] if gold else files.read_predictions(predictions_file)
    kind = ("local" if split == "demo" else "docker") if sandbox == "auto" else sandbox
    if kind not in {"local", "docker"}:
        raise UsageError(f"--sandbox {sandbox!r}: say auto, docker or local")
    work = _machine_folder()

    def sandboxes() -> Any:
        work.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"run": "grade", "lock": work / "lock"}
        if kind == "docker":
            return DockerSandboxes(SandboxSettings(kind="docker"), progress=say, **options)
        settings = SandboxSettings(kind="local", unsafe=unsafe)
        return LocalSandboxes(settings, start=repo_cache("", say).path, **options)

    grader = graders.evaluating_grader(
        split,
        dataset_reader,
        folder=work,
        timeout=timeout,
        sandbox=kind,
        opens=_lazy_opener(sandboxes),
        network=tuple(network),
        code=code,
    )
    _show_grader_note(grader, say)
    found = graders.gold_patches_of(grader, split) if gold else found
    instances = predicted(found, split, dataset_reader)
    done = 0

    def progress(grade: Grade) -> None:
        nonlocal done
        done += 1
        say(f"[{done}/{len(found)}] {grade.instance_id}: {grade.outcome}")

    return grade_predictions(found, instances, grader, workers=workers, progress=progress)


def _show_grader_note(grader: Grader, say: Say) -> None:
    """What a reader of the grades must know of the data set."""
    if isinstance(grader, SupportsNote):
        say(grader.note)


def gold_outcomes_of_run(run: RunFolder, instances: Sequence[str]) -> Mapping[str, str] | None:
    """``gold_outcomes_of_file`` for the split of a run."""
    settings = header_of_run(run).settings
    folder = run.path / "grading"
    return graders.gold_outcomes_here(
        settings.split, settings.dataset, instances, folder=folder, gold_folder=_machine_folder()
    )


def gold_outcomes_of_file(
    split: str, dataset_reader: str, instances: Sequence[str]
) -> Mapping[str, str] | None:
    """Instance id -> outcome of its gold patch, of those graded on this machine.

    None for a data set that counts every instance.
    """
    folder = _machine_folder()
    return graders.gold_outcomes_here(
        split, dataset_reader, instances, folder=folder, gold_folder=folder
    )


def _machine_folder() -> Path:
    """Logs and verdicts of ``grade --predictions``, for all of this machine."""
    return cache_folder()[0].parent / "grading"


def grade_facts(
    grades: Mapping[str, Grade], gold_outcomes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Outcome and evidence by instance, and the doubt where the runner's record says other.

    ``gold_outcome`` too, where the data set counts by it and it is known.
    """
    gold = gold_outcomes or {}
    return {
        name: {"outcome": one.outcome, "evidence": one.evidence}
        | ({"doubt": one.doubt} if one.doubt else {})
        | ({"gold_outcome": gold[name]} if name in gold else {})
        for name, one in grades.items()
    }


def _rescued_patch(run: RunFolder, instance_id: str) -> str:
    outcome = InstanceLog(run.attempt_folder(instance_id)).last_rescue()
    return outcome.candidate.patch if outcome is not None and outcome.candidate else ""


def _lazy_opener(factory: Callable[[], Any]) -> OpensSandbox:
    """Opens the sandboxes of evaluations; the factory is made at the first one."""
    cached = functools.cache(factory)

    def open_(instance: Instance, *, network: bool = False) -> AbstractContextManager[Sandbox]:
        opened = cached()
        if not network:
            return opened.open(instance)  # type: ignore[no-any-return]
        if not isinstance(opened, SupportsNetwork):
            raise WouldNotStart("this kind of sandbox has no network; grade with --sandbox docker")
        return opened.open_networked(instance)

    return open_
