"""What happened on one instance, as it falls: moves (decided, outcomes) and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.journal import lines
from swe_router.records import Decided, Outcome, Step


@dataclass(frozen=True)
class Move:
    """A decision and, once it was carried out, its outcomes; ``outcomes`` None is still owed."""

    decided: Decided
    attempts: tuple[str, ...]
    """Ids of its attempts, one a plan."""
    outcomes: tuple[Outcome, ...] | None


class Tape:
    """The durable memory of one instance; a killed worker's successor continues from it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moves = folder / "moves.jsonl"

    def decided(self, decided: Decided, attempts: Sequence[str]) -> None:
        """Note a decision and the ids of its attempts before it is carried out."""
        self._folder.mkdir(parents=True, exist_ok=True)
        row = {"decided": decided.model_dump(mode="json"), "attempts": list(attempts)}
        lines.append(self._moves, row)

    def rescued(self, outcome: Outcome) -> None:
        """Keep what an interrupted attempt left; the attempt itself is still owed."""
        lines.append(self._moves, {"rescued": outcome.model_dump(mode="json")})

    def next_number(self) -> int:
        """The first attempt number not yet used, restarts included."""
        names = [path.name for path in self._folder.glob("*-*.jsonl*")]
        for file in self._folder.glob("moves*.jsonl"):
            names += [name for row in lines.read(file) for name in row.get("attempts", ())]
        return 1 + max((int(n.partition("-")[0]) for n in names if n[0].isdigit()), default=0)

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Note what the last decision brought."""
        rows = [outcome.model_dump(mode="json") for outcome in outcomes]
        lines.append(self._moves, {"outcomes": rows})

    def moves(self) -> list[Move]:
        """All moves so far, in order. Raises ``UsageError`` on a damaged file."""
        moves: list[Move] = []
        for row in lines.read(self._moves):
            if "decided" in row:
                decided = Decided.model_validate(row["decided"])
                moves.append(Move(decided, tuple(row["attempts"]), None))
            elif "rescued" in row:
                continue
            elif moves and "outcomes" in row:
                outcomes = tuple(Outcome.model_validate(item) for item in row["outcomes"])
                moves[-1] = Move(moves[-1].decided, moves[-1].attempts, outcomes)
            else:
                raise UsageError(f"{self._moves} holds an outcome without a decision")
        return moves

    def last_rescue(self) -> Outcome | None:
        """What the last interrupted attempt left, if the instance has one."""
        found = [row["rescued"] for row in lines.read(self._moves) if "rescued" in row]
        return Outcome.model_validate(found[-1]) if found else None

    def restart(self) -> None:
        """Put the moves aside so that the instance starts anew; steps and money stay on record."""
        if self._moves.exists():
            older = len(list(self._folder.glob("moves.*.jsonl"))) + 1
            self._moves.rename(self._folder / f"moves.{older}.jsonl")

    def record(self, attempt_id: str, step: Step) -> None:
        """Append a step; durable when this returns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lines.append(self._folder / f"{attempt_id}.jsonl", step.model_dump(mode="json"))

    def steps(self, attempt_id: str) -> tuple[Step, ...]:
        """The steps of an attempt, closed or not; none when it never began."""
        for name in (f"{attempt_id}.jsonl", f"{attempt_id}.jsonl.gz"):
            if (self._folder / name).exists():
                rows = lines.read(self._folder / name)
                return tuple(Step.model_validate(row) for row in rows)
        return ()

    def close(self, attempt_id: str) -> None:
        """Compress the steps of an attempt that is over."""
        path = self._folder / f"{attempt_id}.jsonl"
        if path.exists():
            lines.compress(path)
