"""The Protocols of data sets and their graders: the question here, the answers there.

Entry-point groups ``swe_router.datasets`` and ``swe_router.graders``. A data set never sees an
answer: ``Source.rows`` gives it the columns of its ``question`` and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from swe_router.records import Grade, Instance
from swe_router.seams import Sandbox


class Row(dict[str, Any]):
    """One row of a data set, cut to some of its columns."""

    place: str = ""
    """``FILE:LINE`` or ``row N``, for errors."""


class Source(Protocol):
    """Where the instances of a data set are read from: what ``--split`` came to."""

    @property
    def label(self) -> str:
        """What the user gave; it becomes ``Instance.suite``."""
        ...

    @property
    def path(self) -> Path | None:
        """The file or folder, where it is one."""
        ...

    @property
    def config(self) -> str:
        """Configuration of the data set on the hub; empty is its default."""
        ...

    @property
    def split(self) -> str:
        """Split of the data set on the hub; empty is its default."""
        ...

    def rows(self, columns: Sequence[str]) -> list[Row]:
        """Every row, cut to these columns; None where a row lacks one.

        Raises ``UsageError`` for a column that is not in the data set's ``question``, and for a
        file or hub that cannot be read.
        """
        ...


@runtime_checkable
class Dataset(Protocol):
    """A form of issues: made without arguments, it reads its instances and never an answer."""

    @property
    def name(self) -> str:
        """Its name among the data sets."""
        ...

    @property
    def splits(self) -> Mapping[str, str]:
        """Name that the user may give -> ``org/name[:config][@split]`` of the hub, or a path.

        The place is empty where ``load`` makes the instances by itself.
        """
        ...

    @property
    def grader(self) -> str:
        """Name of its grader in the group ``swe_router.graders``."""
        ...

    @property
    def marks(self) -> Sequence[str]:
        """Columns that together tell a row of this form from others; empty where none do."""
        ...

    @property
    def question(self) -> Sequence[str]:
        """All columns that may reach the solving side; ``Source.rows`` gives no other."""
        ...

    def load(self, source: Source) -> Sequence[Instance]:
        """Every instance of the source. Raises ``UsageError`` that names the row and the fault."""
        ...


@runtime_checkable
class SupportsFolders(Protocol):
    """A data set that lies in folders and not in rows."""

    def reads(self, folder: Path) -> bool:
        """Whether the folder is of this form."""
        ...


@runtime_checkable
class SupportsRecognition(Protocol):
    """A data set whose columns others have too: it tells its rows by what is in them."""

    def recognises(self, row: Row) -> bool:
        """Whether a row with its ``marks``, cut to its ``question``, is one of its own."""
        ...


class OpensSandbox(Protocol):
    """How a grader opens a sandbox."""

    def __call__(
        self, instance: Instance, *, network: bool = False
    ) -> AbstractContextManager[Sandbox]:
        """A fresh start state of the instance; ``network`` lets it reach other hosts.

        Raises ``SandboxError``, and ``UsageError`` where no engine answers.
        """
        ...


@runtime_checkable
class SupportsNetwork(Protocol):
    """A factory of sandboxes that can open one with a network."""

    def open_networked(self, instance: Instance) -> AbstractContextManager[Sandbox]:
        """A fresh start state that reaches other hosts: for evaluations, never for an agent.

        Raises as ``open`` does.
        """
        ...


@dataclass(frozen=True)
class GradingContext:
    """What a grader is made with."""

    label: str
    """The split as the user gave it."""
    rows: Callable[[Sequence[str]], list[Row]]
    """Every row of the split, cut to any columns; read anew at each call."""
    path: Path | None = None
    """The file or folder of the split, where it is one."""
    folder: Path = Path()
    """For logs and work files; it stays."""
    timeout: float = 1800.0
    """Seconds for one evaluation."""
    sandbox: str = ""
    """``docker``, ``local`` or a plugin's name; empty where nothing is evaluated."""
    open: OpensSandbox | None = None
    """Opens a sandbox; None where nothing is evaluated."""
    network: tuple[str, ...] = ()
    """Hosts that evaluations may reach; ``*`` is any host."""
    code: str = ""
    """Copy of the data set's own repository; empty where the user named none."""
    gold_folder: Path | None = None
    """Where ``grade --predictions gold`` keeps its logs and verdicts on this machine."""


@runtime_checkable
class Grader(Protocol):
    """Patches to verdicts, by the answer key; made as ``Grader(context: GradingContext)``.

    The constructor reads nothing and needs no engine. What breaks outside is an ``ungraded``
    grade that says so, or a ``BoundaryError``.
    """

    @property
    def answers(self) -> Sequence[str]:
        """Columns that grading alone may read; none of them is in ``Dataset.question``."""
        ...

    def grade(self, instance: Instance, patch: str) -> Grade:
        """The verdict on one non-empty patch; called from several threads."""
        ...

    def close(self) -> None:
        """Stop evaluations that still run and remove what they started; safe to call twice."""
        ...


@runtime_checkable
class SupportsCheck(Protocol):
    """A grader that can say before a run whether its instances can be graded."""

    def check(self, instances: Sequence[str]) -> None:
        """Raise ``UsageError`` when the answer key of one of these ids cannot be used."""
        ...


@runtime_checkable
class SupportsNote(Protocol):
    """A grader whose verdicts are to be read with a remark."""

    @property
    def note(self) -> str:
        """One sentence, shown once per grading."""
        ...


@runtime_checkable
class SupportsGold(Protocol):
    """A grader whose answer key holds patches, which can be graded themselves."""

    def gold(self) -> Mapping[str, str]:
        """Instance id -> the patch of the answer key."""
        ...


@runtime_checkable
class CountsByGold(Protocol):
    """A grader whose data set counts only instances whose gold patch passes on this machine."""

    def gold_outcomes(self, instances: Sequence[str]) -> Mapping[str, str]:
        """Instance id -> outcome of its gold patch, of those that were graded on this machine."""
        ...


@runtime_checkable
class SupportsRunner(Protocol):
    """A grader that knows which test runner a project uses."""

    def runner(self, instance_id: str) -> str:
        """Name of the runner as verifiers know it; empty where it is not known."""
        ...


@runtime_checkable
class SupportsHiddenTests(Protocol):
    """A grader that knows the names that only hidden tests have."""

    def hidden_tests(self, instance_id: str) -> frozenset[str]:
        """Functions that the hidden tests add; empty for an id that it does not know."""
        ...


def may_reach(needed: Sequence[str], allowed: Sequence[str]) -> str:
    """Why an evaluation that must reach ``needed`` hosts may not; empty when it may.

    An allowed ``*`` is any host, ``*.example.org`` every host below it. It is a permission and no
    firewall: a sandbox that may reach one host has the engine's network.
    """
    if "*" in allowed:
        return ""
    missing = [host for host in needed if not any(_is_host_within(one, host) for one in allowed)]
    if not missing:
        return ""
    return (
        f"its evaluation needs the network ({', '.join(missing)}), which is not allowed:"
        f" --set 'grade.network=[\"*\"]' or the hosts"
    )


def _is_host_within(allowed: str, host: str) -> bool:
    return allowed == host or (allowed.startswith("*.") and host.endswith(allowed[1:]))
