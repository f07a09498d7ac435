"""The run folder: the only class that knows the place of each file.

runs/2026-11-24T0401-cascade-3f9a/
  settings.json       resolved settings, rates and digest; a resume needs the same digest
  instances.jsonl     the instances of the run, without any answer
  made-with/SHA256    what the run is made with, by its content: prompts, scaffold, tools, ...;
                      settings.json says which is which
  ledger.jsonl        every hold, reservation and settlement
  records.jsonl       one RunRecord per line
  trajectories/ID/moves.jsonl      decisions and outcomes of one instance as they fall
  trajectories/ID/ATTEMPT.jsonl    steps, appended one at a time; .gz once closed; until then
                      also its paid answers, each a line {"paid": …} before the step made of it
  trajectories/ID/imported.json    imported candidates (--from), their steps next to it
  preds.json  report.md  logs/
  grades.jsonl        official verdicts on what is handed in, the last of an instance counts
  candidate_grades.jsonl           official verdicts on every other patch that an attempt left,
                      one per distinct patch: the verifiers' error rates are counted from these
  run.lock            held by the live driver        stop     present: the user wants to stop
  work.lock           shared by the live worker processes
  breaker.json        services that are away       patience.json   how long to wait for them, where
                      a resume was asked to wait otherwise than settings.json says
  rates.json          calls of the last minute, of tiers with a rate limit
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from swe_router import jsonl
from swe_router.errors import UsageError
from swe_router.records import Grade, Instance, RunRecord, checked_name
from swe_router.safe_files import check_plain_folder, check_regular_file, path_within

LATEST_LINK = "latest"
RECOGNISING_FILES = ("settings.json", "instances.jsonl", "ledger.jsonl", "records.jsonl")
"""Files by which a run folder is recognised, also one without its settings."""
INPUTS_FOLDER = "made-with"
MAX_ORPHAN_WAIT_SECONDS = 60.0


class RunFolder:
    """One run on disk; every write goes through here.

    ``orphans``: seconds that ``locked`` gives the workers of a killed driver to end.
    """

    def __init__(
        self, path: Path, *, max_orphan_wait_seconds: float = MAX_ORPHAN_WAIT_SECONDS
    ) -> None:
        self.path = path
        self._orphans = max_orphan_wait_seconds
        self._read: dict[Path, tuple[tuple[int, int], tuple[Any, ...]]] = {}
        self.settings_file = path / "settings.json"
        self.ledger_file = path / "ledger.jsonl"
        self.records_file = path / "records.jsonl"
        self.grades_file = path / "grades.jsonl"
        self.candidate_grades_file = path / "candidate_grades.jsonl"
        self.predictions_file = path / "preds.json"
        self.lock_file = path / "run.lock"
        self.work_file = path / "work.lock"
        self.stop_file = path / "stop"
        self._stop_name = str(self.stop_file)
        self.patience_file = path / "patience.json"
        self.logs = path / "logs"

    @property
    def name(self) -> str:
        """The folder's name: what the run is called."""
        return self.path.name

    @classmethod
    def create(
        cls,
        base: Path,
        name: str,
        header: Mapping[str, Any],
        instances: Sequence[Instance],
        made_with: Iterable[str] = (),
    ) -> Self:
        """A new run folder under ``base``; a taken name gets a number.

        ``made_with`` are texts that ``input_text`` gives back.
        """
        path = base / name
        for number in range(2, 1000):
            try:
                path.mkdir(parents=True)
                break
            except FileExistsError:
                path = base / f"{name}-{number}"
            except OSError as error:
                found = jsonl.disk_error(error, base)
                raise UsageError(f"cannot create a run under {base}: {found}") from None
        run = cls(path)
        run.logs.mkdir()
        (path / INPUTS_FOLDER).mkdir()
        for text in made_with:
            jsonl.write_whole(path / INPUTS_FOLDER / text_digest(text), text)
        for instance in instances:
            jsonl.append_value(path / "instances.jsonl", instance.model_dump(mode="json"))
        jsonl.write_whole(run.settings_file, json.dumps(dict(header), indent=1, default=str) + "\n")
        _point_latest(base, path)
        return run

    @classmethod
    def find(cls, name: str, base: Path) -> Self:
        """A run by path or by name under ``base``; ``latest`` is the newest.

        Raises ``UsageError`` when there is none, when it is no run folder, and for one that holds
        a link which leads out of it, a pipe or a device.
        """
        newest = _oldest_first(base)[-1:] if name == LATEST_LINK else []
        for path in (Path(name).expanduser(), base / name, *newest):
            if is_run(path):
                check_plain_folder(path)
                return cls(path.resolve())
        there = sorted(path.name for path in runs_in(base))
        known = f"there is {', '.join(there[-5:])}" if there else f"there are no runs in {base}"
        known = known if there or base.is_dir() else f"there is no folder {base}"
        raise UsageError(f"no run {name!r}: {known}")

    def header(self) -> dict[str, Any]:
        """What ``settings.json`` holds. Raises ``UsageError`` when it is damaged."""
        check_regular_file(self.settings_file)
        if not self.settings_file.exists():
            raise UsageError(
                f"{self.settings_file} is missing: it says what the run was begun with; bring it"
                " back"
            )
        try:
            tree = json.loads(self.settings_file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{self.settings_file} is damaged ({error}): restore the file from a copy"
            ) from None
        if not isinstance(tree, dict) or "settings" not in tree:
            raise UsageError(f"{self.settings_file} is no settings file of a run")
        return tree

    def seal(self) -> str:
        """What ``settings.json`` was sealed with: no two runs have the same. Empty without."""
        return str(self.header().get("seal") or "")

    def input_file(self, digest: str) -> Path:
        """Path of a stored input, by SHA-256, after checking that its content still matches.

        Raises ``UsageError`` when it is gone or holds something else.
        """
        path = self.path / INPUTS_FOLDER / digest
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise UsageError(f"{self.settings_file}: {digest[:80]!r} is no SHA-256")
        check_regular_file(path)
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read ({error.strerror}): it is what the run was made with"
            ) from None
        if found != digest:
            raise UsageError(f"{path} was changed: it is not what the run was made with")
        return path

    def input_text(self, digest: str) -> str:
        """The text that the run was made with, by its SHA-256. Raises ``UsageError``."""
        return self.input_file(digest).read_bytes().decode()

    def instances(self) -> list[Instance]:
        """The instances of the run, in order."""
        return list(self._read_values(self.path / "instances.jsonl", Instance))

    def add_record(self, record: RunRecord) -> None:
        """Append a concluded instance."""
        jsonl.append_value(self.records_file, record.model_dump(mode="json"))

    def concluded(self) -> Iterator[RunRecord]:
        """Every record in the order in which it fell, those that were tried again included."""
        yield from self._read_if_changed(self.records_file, RunRecord)

    def records(self) -> dict[str, RunRecord]:
        """The last record of each instance, by id."""
        return {record.instance.id: record for record in self.concluded()}

    def add_grades(self, grades: Iterable[Grade]) -> None:
        """Append grades; the last one of an instance counts."""
        for grade in grades:
            jsonl.append_value(self.grades_file, grade.model_dump(mode="json"))

    def grades(self) -> dict[str, Grade]:
        """The last grade of each instance, by id."""
        return {grade.instance_id: grade for grade in self._read_values(self.grades_file, Grade)}

    def add_candidate_grade(self, grade: Grade) -> None:
        """Append the verdict on a patch that is not handed in; the last one of a patch counts."""
        jsonl.append_value(self.candidate_grades_file, grade.model_dump(mode="json"))

    def grades_by_patch(self) -> dict[tuple[str, str], Grade]:
        """Every patch with an official verdict, by instance id and SHA-256 of the patch.

        A verdict goes before an ``ungraded`` of the same patch, wherever the two stand.
        """
        found: dict[tuple[str, str], Grade] = {}
        for path in (self.candidate_grades_file, self.grades_file):
            for grade in self._read_values(path, Grade):
                key = (grade.instance_id, grade.patch)
                if grade.outcome != "ungraded" or key not in found:
                    found[key] = grade
        return found

    def candidate_grades(self) -> list[Grade]:
        """The lines of ``candidate_grades.jsonl`` as they stand."""
        return list(self._read_values(self.candidate_grades_file, Grade))

    def write_text(self, name: str, text: str) -> Path:
        """Replace a derived file such as ``report.md`` or ``preds.json``."""
        path = path_within(self.path, name)
        jsonl.write_whole(path, text)
        return path

    def attempt_folder(self, instance_id: str) -> Path:
        """Where the trajectories of one instance lie. Raises ``UsageError`` for what is no id."""
        try:
            return path_within(self.path, f"trajectories/{checked_name(instance_id)}")
        except ValueError as error:
            raise UsageError(f"{self.path}: {error}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock; ``UsageError`` when another process drives this run.

        Workers outlive a killed driver by a moment: waits until they are gone.
        """
        try:
            opened = self.lock_file.open("a")
        except OSError as error:
            raise jsonl.disk_error(error, self.lock_file) from None
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"run {self.name} is being driven by another process") from None
            self._await_orphans()
            self.stop_file.unlink(missing_ok=True)
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """Held by a worker process while it works on an instance of this run."""
        with self.work_file.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def _await_orphans(self) -> None:
        until = time.monotonic() + self._orphans
        with self.work_file.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise UsageError(
                            f"workers of an earlier launch of run {self.name} are still at work:"
                            " end them first"
                        ) from None
                time.sleep(0.1)

    def stopping(self) -> bool:
        """True once the user asked this run to stop."""
        return os.path.exists(self._stop_name)  # noqa: PTH110  (asked seven times a step)

    def _read_if_changed(self, path: Path, kind: Any) -> tuple[Any, ...]:
        """The values of a file that is read again only once it has grown or changed."""
        try:
            stamp = (path.stat().st_size, path.stat().st_mtime_ns)
        except OSError:
            stamp = (0, 0)
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, tuple(self._read_values(path, kind)))
        return known[1]

    def _read_values(self, path: Path, kind: Any) -> Iterator[Any]:
        for number, row in enumerate(jsonl.read_lines(path), 1):
            yield jsonl.parse_row(path, number, kind, row)


def is_run(path: Path) -> bool:
    """Whether a folder is one of a run, whole or not."""
    here = (
        [name for name in RECOGNISING_FILES if os.path.lexists(path / name)]
        if path.is_dir()
        else []
    )
    return RECOGNISING_FILES[0] in here or len(here) > 1


def runs_in(base: Path) -> list[Path]:
    """The run folders of a folder, damaged ones too, without the link to the latest."""
    there = sorted(base.iterdir()) if base.is_dir() else []
    return [path for path in there if path.name != LATEST_LINK and is_run(path)]


def text_digest(text: str) -> str:
    """SHA-256 hex of a text in UTF-8: its name in ``made-with/``."""
    return hashlib.sha256(text.encode()).hexdigest()


def _oldest_first(base: Path) -> list[Path]:
    """The runs under ``base``, oldest first: copied runs come without the link to the latest."""
    aged: list[tuple[float, str, Path]] = []
    for file in base.glob("*/settings.json"):
        try:
            created = float(RunFolder(file.parent).header().get("created") or 0)
        except (UsageError, TypeError, ValueError):
            created = 0.0
        aged.append((created, file.parent.name, file.parent))
    return [path for *_, path in sorted(aged)]


def _point_latest(base: Path, path: Path) -> None:
    link, fresh = base / LATEST_LINK, base / f".{LATEST_LINK}.{path.name}"
    try:
        fresh.symlink_to(path.name)
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)
