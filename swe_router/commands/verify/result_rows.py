"""Rows of ``verify``: the verdicts on one candidate, and the file that a later call continues.

A row is kept when its patch, the settings and the other inputs of its instance are the same, and
no verifier broke on it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_router import jsonl
from swe_router.candidates.joining import InstanceCase
from swe_router.errors import UsageError
from swe_router.patch_identity import effect_digest
from swe_router.records import Outcome, Verdict
from swe_router.verifiers.signals import authors

Row = dict[str, Any]
UNFINISHED_KEY = "unfinished"
"""True in a row that was written while the candidate's peers were still being verified."""


def verdict_row(attempt_outcome: Outcome, instance_case: InstanceCase) -> Row:
    """One candidate with its verdicts and their evidence."""
    key = attempt_outcome.attempt.id
    assert attempt_outcome.candidate is not None
    return {
        "instance_id": instance_case.instance_id,
        "candidate": instance_case.names[key],
        "outcome": candidate_verdict_word(attempt_outcome),
        "probability": attempt_outcome.probability,
        "seconds": round(sum(one.seconds for one in attempt_outcome.verdicts), 3),
        "why": deciding_reason(attempt_outcome),
        "verdicts": [
            {
                "verifier": one.verifier,
                "outcome": one.outcome,
                "score": one.score,
                "seconds": round(one.seconds, 3),
                "evidence": one.evidence,
            }
            for one in attempt_outcome.verdicts
        ],
        "model_name_or_path": instance_case.models[key],
        "made_by": authors.author_names(attempt_outcome, instance_case.steps.get(key, ())),
        "attempt": key,
        "patch": attempt_outcome.candidate.digest,
        "same_as": _equal_candidate(attempt_outcome, instance_case),
    }


def fault_row(attempt_outcome: Outcome, instance_case: InstanceCase, fault: str) -> Row:
    """The row of a candidate that a fault kept from being looked at: ``OWNER: MESSAGE``."""
    bare = attempt_outcome.model_copy(update={"verdicts": ()})
    return {**verdict_row(bare, instance_case), "why": f"a fault of {fault}"}


def candidate_verdict_word(attempt_outcome: Outcome) -> str:
    """``pass``, ``fail`` or ``unknown``: of ``acceptance``, else by one pass and no fail."""
    if attempt_outcome.weighed is not None:
        return attempt_outcome.weighed.outcome
    found = {one.outcome for one in attempt_outcome.verdicts}
    return "fail" if "fail" in found else "pass" if "pass" in found else "unknown"


def deciding_reason(attempt_outcome: Outcome) -> str:
    """One line: what decided it, or what kept it from being decided."""
    combined = candidate_verdict_word(attempt_outcome)
    broke = [f"{one.verifier} could not look: {one.broke}"
             for one in attempt_outcome.verdicts if one.broke]  # fmt: skip
    if combined == "unknown" and broke:
        return "; ".join(broke)
    for one in (
        *filter(None, [attempt_outcome.weighed]),
        *_verdicts_with_outcome(attempt_outcome, combined),
    ):
        if one.evidence.get("why"):
            return f"{one.verifier}: {one.evidence['why']}"
    return "; ".join(f"{one.verifier} {one.outcome}" for one in attempt_outcome.verdicts)


def _verdicts_with_outcome(attempt_outcome: Outcome, outcome_word: str) -> list[Verdict]:
    """The verdicts with this outcome; of several passes the last one is the most thorough."""
    found = [one for one in attempt_outcome.verdicts if one.outcome == outcome_word]
    return found if outcome_word == "fail" else found[::-1]


def _equal_candidate(attempt_outcome: Outcome, instance_case: InstanceCase) -> str:
    """Name of an earlier candidate that leaves the same files behind, if there is one.

    By the verdicts, whose verifiers compared the files; without verdicts by the texts.
    """
    assert attempt_outcome.candidate is not None
    names = [
        one.evidence["same_as"] for one in attempt_outcome.verdicts if one.evidence.get("same_as")
    ]
    if attempt_outcome.verdicts:
        return instance_case.names.get(names[0], "") if names else ""
    mine = effect_digest(attempt_outcome.candidate.patch)
    for other in instance_case.outcomes:
        if other.attempt.id == attempt_outcome.attempt.id:
            return ""
        if other.candidate and effect_digest(other.candidate.patch) == mine:
            return instance_case.names[other.attempt.id]
    return ""


def _is_row(row: Any) -> bool:
    """Whether a value has the fields of a row that are used here."""
    if not isinstance(row, dict) or not isinstance(row.get("instance_id"), str):
        return False
    verdicts = row.get("verdicts")
    return isinstance(verdicts, list) and all(
        isinstance(one, dict) and isinstance(one.get("evidence"), dict) for one in verdicts
    )


class ResultFile:
    """All rows; with a ``path`` each is durable as soon as it is added.

    Raises ``UsageError`` when the file is damaged or holds no rows of ours.
    """

    def __init__(self, path: Path | None, settings: str, cases: Mapping[str, InstanceCase]) -> None:
        self.path, self._settings = path, settings
        self._cases_by_instance = cases
        self._case_digests = {name: case.digest() for name, case in cases.items()}
        self._rows: dict[tuple[str, str], Row] = {}
        self._unfinished_rows: dict[tuple[str, str], Row] = {}
        self._lock = threading.Lock()
        if path is None:
            return
        if path.suffix == ".gz" or path.is_dir() or not path.absolute().parent.is_dir():
            raise UsageError(f"--out {path}: name a .jsonl file in a folder that there is")
        for row in jsonl.read_lines(path):
            if not _is_row(row):
                raise UsageError(f"--out {path} holds something else than rows of verify")
            if self._is_reusable(row):
                kept = self._unfinished_rows if row.get(UNFINISHED_KEY) else self._rows
                kept[row["instance_id"], str(row.get("candidate"))] = row

    def is_complete(self, instance_id: str) -> bool:
        """Every candidate of the instance has its row."""
        names = self._cases_by_instance[instance_id].names.values()
        return all((instance_id, name) in self._rows for name in names)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Add the rows of an instance; one that is there already stays as it is."""
        for row in rows:
            if (row["instance_id"], row["candidate"]) not in self._rows:
                self._store_row(row, self._rows)

    def add_unfinished(self, row: Row) -> None:
        """Add the verdicts on one candidate alone, while its peers are still being verified.

        A later call continues from it; the complete row replaces it (see ``drop_replaced_rows``).
        """
        if self.path is not None:
            self._store_row({**row, UNFINISHED_KEY: True}, self._unfinished_rows)

    def _store_row(self, row: Row, target: dict[tuple[str, str], Row]) -> None:
        row |= {"settings": self._settings, "case": self._case_digests[row["instance_id"]]}
        with self._lock:
            target[row["instance_id"], row["candidate"]] = row
            if self.path is not None:
                jsonl.append_value(self.path, row)

    def outcomes_to_continue(self, instance_case: InstanceCase) -> tuple[Outcome, ...]:
        """The outcomes of a case, with the verdicts of an earlier call that was cut off."""
        return tuple(
            self._with_stored_verdicts(one, instance_case) for one in instance_case.outcomes
        )

    def _with_stored_verdicts(
        self, attempt_outcome: Outcome, instance_case: InstanceCase
    ) -> Outcome:
        row = self._unfinished_rows.get(
            (instance_case.instance_id, instance_case.names[attempt_outcome.attempt.id])
        )
        if (
            row is None
            or attempt_outcome.candidate is None
            or row["patch"] != attempt_outcome.candidate.digest
        ):
            return attempt_outcome
        try:
            verdicts = tuple(Verdict.model_validate({**verdict, "candidate": row["patch"]})
                         for verdict in row["verdicts"])  # fmt: skip
        except ValueError:
            return attempt_outcome  # of another form: looked at again
        return attempt_outcome.model_copy(update={"verdicts": verdicts})

    def drop_replaced_rows(self) -> None:
        """Remove the half rows that complete rows have replaced, in one step."""
        over = {key for key in self._unfinished_rows if key in self._rows}
        if self.path is None or not over:
            return

        def stays(row: Row) -> bool:
            return (
                not row.get(UNFINISHED_KEY)
                or (row["instance_id"], str(row["candidate"])) not in over
            )

        kept = [row for row in jsonl.read_lines(self.path) if stays(row)]
        jsonl.replace_lines(self.path, kept)
        for key in over:
            self._unfinished_rows.pop(key)

    def ordered_rows(self, keys: Sequence[tuple[str, str]]) -> list[Row]:
        """The rows in the order of the ``keys`` (instance id, candidate), as far as they go."""
        return [self._rows[key] for key in keys if key in self._rows]

    def _is_reusable(self, row: Row) -> bool:
        case = self._case_digests.get(row["instance_id"])
        looked = row["verdicts"] and not any(v["evidence"].get("broke") for v in row["verdicts"])
        same = row.get("settings") == self._settings and row.get("case") == case
        return bool(looked and same and self._has_same_author(row) and row.get("patch"))

    def _has_same_author(self, row: Row) -> bool:
        """Whether the file still names the same author, whose class decides the threshold."""
        case = self._cases_by_instance[row["instance_id"]]
        keys = [key for key, name in case.names.items() if name == row.get("candidate")]
        return [case.models[key] for key in keys] == [row.get("model_name_or_path")]
