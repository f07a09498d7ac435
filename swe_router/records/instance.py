"""One issue to solve: what is known of it, and where its project lies in a sandbox."""

from __future__ import annotations

from pydantic import Field

from swe_router.records.frozen import FrozenRecord
from swe_router.records.safe_names import Name

FOLDER_PATTERN = r"^(/[A-Za-z0-9_.@+-]+)+$"
"""A work folder: absolute, not the root, and safe in a shell script."""
DATASET, WORKDIR = "swe-bench", "/testbed"
"""Data set and work folder of an instance that names none, as in runs of before these fields."""


def _is_empty(value: object) -> bool:
    """Whether a field of ``Instance`` is left out of records and digests."""
    return not value


class Instance(FrozenRecord):
    """One issue to solve, without anything that could leak its answer.

    A field at its default is left out of records and digests where earlier versions had none.
    """

    id: Name
    repo: str
    """``owner/name`` of the project."""
    repository: str = Field(default="", exclude_if=_is_empty)
    """Folder or address of the repository; empty is ``repo`` on GitHub."""
    base_commit: str
    """Commit that the issue was written at; empty where the start state is to be the first one."""
    problem: str
    """The issue text as the user wrote it."""
    image: str = ""
    """Docker image that holds the project; empty when the row names none."""
    suite: str = ""
    """Name or path of the split it came from."""
    dataset: str = Field(default=DATASET, exclude_if=lambda name: name == DATASET)
    """Name of the data set, which names its grader."""
    workdir: str = Field(
        default=WORKDIR, pattern=FOLDER_PATTERN, exclude_if=lambda one: one == WORKDIR
    )
    """Absolute folder of the project in the sandbox."""
    user: str = Field(default="", exclude_if=_is_empty)
    """User of the image that commands run as; empty is the image's own."""
    language: str = Field(default="", exclude_if=_is_empty)
    """Main language of the project in lower case; empty is not known."""
    network: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)
    """Hosts that the evaluation must reach; ``*`` is any host."""
    images: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)
    """Addresses (``https:`` or ``data:``) of the images that the issue shows."""
    setup: str = Field(default="", exclude_if=_is_empty)
    """Shell lines that bring the image to the issue's start state, in the work folder; run in every
    sandbox but those of evaluations, before anybody works there."""
    build: str = Field(default="", exclude_if=_is_empty)
    """Folder with a Dockerfile that makes ``image`` where the engine lacks it."""
