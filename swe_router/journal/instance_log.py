"""The log of one instance, written as it is worked on: moves (decision, outcomes) and steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swe_router import jsonl
from swe_router.errors import UsageError
from swe_router.records import (
    Completion,
    FrozenRecord,
    Outcome,
    RecordedDecision,
    RunRecord,
    SkippedPlans,
    Step,
    Stop,
    checked_name,
)

_ANSWER_SUFFIX = ".answer.json"
_PAID_SUFFIX = "paid"
"""Key of a line that holds a receipt and no step."""
_RESERVED_NAMES = ("moves", "notes")
"""Files of an instance that belong to no attempt."""


@dataclass(frozen=True)
class Move:
    """A decision with its outcomes; ``outcomes`` is None until it is carried out."""

    decided: RecordedDecision
    attempts: tuple[str, ...]
    """Ids of its attempts, one per plan."""
    outcomes: tuple[Outcome, ...] | None
    left_out: SkippedPlans | None = None
    """Those of its attempts that were not needed any more."""

    @property
    def is_stop(self) -> bool:
        """The decision was to stop."""
        return isinstance(self.decided.decision, Stop)

    @property
    def never_begun(self) -> bool:
        """None of its attempts had the money to begin."""
        return bool(self.outcomes) and all(one.never_begun for one in self.outcomes or ())


class Receipt(FrozenRecord):
    """A paid answer, stored until its step is in the log."""

    request: str
    """Digest of the request, as ``Step.request``."""
    reservation: str
    """Its id in the ledger."""
    completion: Completion


class Receipts:
    """The last paid answer of one attempt: on disk before it is settled or acted upon.

    ``among_steps``: it stands in the file of the attempt's steps, so that one sync makes it and
    the step before it durable. A conversation without steps, as a verifier's, has its own file.
    """

    def __init__(self, log: InstanceLog, attempt_id: str, *, among_steps: bool = False) -> None:
        self._log, self._attempt, self._among_steps = log, attempt_id, among_steps
        self._left = log.unused_receipt(attempt_id)

    def paid_answer(self, request: str) -> Completion | None:
        """The answer that a killed predecessor had paid for this request, once."""
        left, self._left = self._left, None
        return left.completion if left is not None and left.request == request else None

    def keep(self, request: str, reservation: str, answer: Completion) -> None:
        """Put an answer in the place of the one before; durable when it returns."""
        kept = Receipt(request=request, reservation=reservation, completion=answer)
        self._log.keep_receipt(self._attempt, kept, among_steps=self._among_steps)


class InstanceLog:
    """The durable log of one instance; the successor of a killed worker continues from it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moves = folder / "moves.jsonl"

    def record_decision(self, decided: RecordedDecision, attempts: Sequence[str]) -> None:
        """Note a decision and the ids of its attempts before it is carried out."""
        jsonl.make_folder(self._folder)
        row = {"decided": decided.model_dump(mode="json"), "attempts": list(attempts)}
        jsonl.append_value(self._moves, row)

    def record_rescued(self, outcome: Outcome) -> None:
        """Keep what an interrupted attempt left; the attempt itself is still owed."""
        jsonl.append_value(self._moves, {"rescued": outcome.model_dump(mode="json")})

    def record_broken(self, outcome: Outcome) -> None:
        """Keep an attempt whose sandbox broke, before it is made again under the next name."""
        jsonl.append_value(self._moves, {"broke": outcome.model_dump(mode="json")})

    def broken_outcomes(self, attempt_id: str) -> tuple[Outcome, ...]:
        """The attempt and its repeats whose sandboxes broke, of those that were made again."""
        found: list[Outcome] = []
        for number, row in enumerate(jsonl.read_lines(self._moves), 1):
            if "broke" in row:
                found += self._outcomes_from(number, [row["broke"]])
        return tuple(one for one in found if f"{one.attempt.id}.".startswith(f"{attempt_id}."))

    def next_attempt_number(self) -> int:
        """The first attempt number not yet used, restarts included."""
        names = [path.name for path in self._folder.glob("*-*.jsonl*")]
        for file in self._folder.glob("moves*.jsonl"):
            names += [name for row in jsonl.read_lines(file) for name in row.get("attempts", ())]
        return 1 + max((int(n.partition("-")[0]) for n in names if n[0].isdigit()), default=0)

    def record_outcomes(
        self, outcomes: Sequence[Outcome], left_out: SkippedPlans | None = None
    ) -> None:
        """Write the outcomes of the last decision, and which of its attempts were skipped."""
        row: dict[str, Any] = {"outcomes": [one.model_dump(mode="json") for one in outcomes]}
        if left_out is not None:
            row["left_out"] = left_out.model_dump(mode="json")
        jsonl.append_value(self._moves, row)

    def record_verified_imports(self, outcomes: Sequence[Outcome]) -> None:
        """Write the verdicts on the imported candidates of the instance."""
        jsonl.make_folder(self._folder)
        rows = [outcome.model_dump(mode="json") for outcome in outcomes]
        jsonl.append_value(self._moves, {"imported": rows})

    def verified_imports(self) -> tuple[Outcome, ...] | None:
        """What ``record_verified_imports`` wrote, or None when that is still owed."""
        for number, row in enumerate(jsonl.read_lines(self._moves), 1):
            if "imported" in row:
                return self._outcomes_from(number, row["imported"])
        return None

    def moves(self) -> list[Move]:
        """All moves so far, in order. Raises ``UsageError`` on a damaged file."""
        moves: list[Move] = []
        for number, row in enumerate(jsonl.read_lines(self._moves), 1):
            if "decided" in row:
                decided = jsonl.parse_row(self._moves, number, RecordedDecision, row["decided"])
                moves.append(Move(decided, tuple(map(str, row.get("attempts") or ())), None))
            elif "rescued" in row or "imported" in row or "broke" in row:
                continue
            elif "reopened" in row:
                del moves[int(row["reopened"]) :]
            elif moves and "outcomes" in row:
                outcomes = self._outcomes_from(number, row["outcomes"])
                left = row.get("left_out")
                left_out = (
                    jsonl.parse_row(self._moves, number, SkippedPlans, left)
                    if left is not None
                    else None
                )
                moves[-1] = Move(moves[-1].decided, moves[-1].attempts, outcomes, left_out)
            else:
                raise UsageError(f"{self._moves}:{number} holds an outcome without a decision")
        return moves

    def _outcomes_from(self, number: int, rows: Any) -> tuple[Outcome, ...]:
        rows = rows if isinstance(rows, list) else [rows]
        return tuple(jsonl.parse_row(self._moves, number, Outcome, row) for row in rows)

    def last_rescue(self) -> Outcome | None:
        """What the last interrupted attempt left, if the instance has one."""
        found = None
        for number, row in enumerate(jsonl.read_lines(self._moves), 1):
            if "rescued" in row:
                (found,) = self._outcomes_from(number, [row["rescued"]])
        return found

    def belongs_to(self, record: RunRecord) -> bool:
        """Whether ``record`` was made of these moves; False once the instance started anew."""
        anew = any(self._folder.glob("moves.*.jsonl"))
        data = self._moves.read_bytes() if self._moves.exists() else b""
        if not anew and b'\n{"reopened":' not in data:  # most were begun once: nothing to parse
            return True
        return tuple(move.decided for move in self.moves()) == record.decisions

    def reopen(self) -> None:
        """Take back the last decision to stop: the instance continues where it ended.

        Attempts before it that had no money to begin are taken back too; all others stay.
        """
        moves = self.moves()
        kept = len(moves)
        while kept and (moves[kept - 1].is_stop or moves[kept - 1].never_begun):
            kept -= 1
        jsonl.append_value(self._moves, {"reopened": kept})

    def restart(self) -> None:
        """Set the moves aside: the instance starts again. Steps and money stay on record.

        So do the verdicts on its imported candidates.
        """
        if self._moves.exists():
            known = self.verified_imports()
            older = len(list(self._folder.glob("moves.*.jsonl"))) + 1
            self._moves.rename(self._folder / f"moves.{older}.jsonl")
            if known is not None:
                self.record_verified_imports(known)

    def record_step(self, attempt_id: str, step: Step) -> None:
        """Append a step; a killed process leaves it whole.

        It is synced with the next receipt (``keep_receipt``) or with ``close_attempt``. A power cut
        before that takes this step alone: its paid answer is durable, and a resume acts on it once
        more.
        """
        self._append_row(attempt_id, step.model_dump(mode="json"), durable=False)

    def _append_row(self, attempt_id: str, row: Any, *, durable: bool) -> None:
        path = self._attempt_file(attempt_id, ".jsonl")
        if not path.exists():
            jsonl.make_folder(self._folder)
            # Closed before its process was killed, and now continued.
            jsonl.decompress(path)
        jsonl.append_value(path, row, durable=durable)

    def steps(self, attempt_id: str) -> tuple[Step, ...]:
        """The steps of an attempt, closed or not; none when it never began."""
        for ending in (".jsonl", ".jsonl.gz"):
            path = self._attempt_file(attempt_id, ending)
            if path.exists():
                return tuple(
                    jsonl.parse_row(path, number, Step, row)
                    for number, row in enumerate(jsonl.read_lines(path), 1)
                    if _PAID_SUFFIX not in row
                )
        return ()

    def close_attempt(self, attempt_id: str) -> None:
        """Compress the steps of an attempt that is over; durable when this returns."""
        path = self._attempt_file(attempt_id, ".jsonl")
        if path.exists():
            jsonl.compress(path, exclude_line=b'{"%s":' % _PAID_SUFFIX.encode())
        self._attempt_file(attempt_id, _ANSWER_SUFFIX).unlink(missing_ok=True)

    def keep_receipt(self, attempt_id: str, receipt: Receipt, *, among_steps: bool = False) -> None:
        """Note the paid answer that waits for its step, in the place of the one before.

        Durable when this returns, and with it all steps of this attempt so far.
        """
        if among_steps:
            self._append_row(
                attempt_id, {_PAID_SUFFIX: receipt.model_dump(mode="json")}, durable=True
            )
            return
        jsonl.make_folder(self._folder)
        text = jsonl.as_json(receipt.model_dump(mode="json")).decode()
        jsonl.write_whole(self._attempt_file(attempt_id, _ANSWER_SUFFIX), text)

    def remove_used_receipts(self) -> None:
        """Remove answers whose steps are stored: the instance is concluded."""
        for path in self._folder.glob(f"*{_ANSWER_SUFFIX}"):
            path.unlink(missing_ok=True)

    def receipt(self, attempt_id: str) -> Receipt | None:
        """The last paid answer of an attempt that is not closed. Raises ``UsageError``."""
        path = self._attempt_file(attempt_id, ".jsonl")
        found = [row[_PAID_SUFFIX] for row in jsonl.read_lines(path) if _PAID_SUFFIX in row]
        try:
            if found:
                return Receipt.model_validate(found[-1])
            path = self._attempt_file(attempt_id, _ANSWER_SUFFIX)
            return Receipt.model_validate(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise UsageError(f"{path} is damaged ({error.errors()[0]['msg']}): delete it") from None
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} is damaged ({error}): delete it") from None

    def unused_receipt(self, attempt_id: str) -> Receipt | None:
        """The last paid answer of an attempt that is not closed, if no step holds it."""
        last = self.receipt(attempt_id)
        if last is None or last.request in {step.request for step in self.steps(attempt_id)}:
            return None
        return last

    def unused_answer(self, attempt_id: str) -> tuple[str, Completion] | None:
        """See ``solve.context.InstanceMemory``."""
        last = self.unused_receipt(attempt_id)
        return (last.request, last.completion) if last is not None else None

    def receipts(self) -> Iterator[Receipt]:
        """The last paid answer of each attempt that is not closed."""
        names = {
            path.name.removesuffix(_ANSWER_SUFFIX)
            for path in self._folder.glob(f"*{_ANSWER_SUFFIX}")
        }
        files = {path.name.removesuffix(".jsonl") for path in self._folder.glob("*.jsonl")}
        names |= {name for name in files if not name.startswith(_RESERVED_NAMES)}
        for name in sorted(names):
            found = self.receipt(name)
            if found is not None:
                yield found

    def _attempt_file(self, attempt_id: str, ending: str) -> Path:
        """A file of an attempt. Raises ``UsageError`` for an id that is a path or no name."""
        try:
            return self._folder / f"{checked_name(attempt_id)}{ending}"
        except ValueError as error:
            raise UsageError(f"{self._folder}: attempt {error}") from None
