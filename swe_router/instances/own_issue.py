"""One's own issue: a repository, a commit and a text, outside of any benchmark."""

from __future__ import annotations

import re
from pathlib import Path

from swe_router.datasets import Row
from swe_router.errors import UsageError
from swe_router.instances.rowset import (
    RowDataset,
    checked_commit,
    optional_text,
    required_text,
    string_list,
)
from swe_router.records import Instance, digest_of

WORKDIR = "/workspace/project"
"""Where the project lies if no image says otherwise."""
_ADDRESS = re.compile(r"((https?|ssh|git|file)://|[\w.-]+@)[^\s]+")
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")


class OwnIssue(RowDataset):
    """Rows with ``repository`` (a folder or an address), ``commit`` and ``issue``.

    Optional: ``instance_id``, ``image`` and ``workdir`` (an image that holds the project),
    ``user``, ``language``, ``images``, ``network``; ``test_command`` is for the grader.
    """

    name = "own-issue"
    grader = "own-issue"
    marks = ("repository", "commit", "issue")
    question = (
        "instance_id", "repository", "commit", "issue", "image", "workdir", "user", "language",
        "images", "network",
    )  # fmt: skip

    def identifier(self, row: Row) -> str:
        """The row's id, or one made of the repository's name and of the question."""
        given = row.get("instance_id")
        if given:
            return str(given)
        parts = [str(row.get(column) or "") for column in self.marks]
        return f"{_named(parts[0])}-{digest_of(parts)[:8]}"

    def instance(self, row: Row, label: str) -> Instance:
        """The question of one row. Raises ``UsageError`` for a place that is none."""
        name = self.identifier(row)
        place = required_text(row, "repository", name, label).strip()
        if not _ADDRESS.fullmatch(place):
            folder = Path(place).expanduser()
            if not folder.is_dir():
                raise UsageError(
                    f"instance {name!r} of {label!r}: {place!r} is no folder and no address of a"
                    " repository (https://…, file://…, git@…)"
                )
            place = str(folder.resolve())
        base, image = (
            checked_commit(row, "commit", name, label),
            optional_text(row, "image").strip(),
        )
        return Instance(
            id=name,
            repo=f"own/{_named(place)}-{digest_of(place)[:8]}",
            repository=place,
            base_commit=base,
            problem=required_text(row, "issue", name, label),
            image=image,
            setup=at_commit(base) if image else "",
            workdir=optional_text(row, "workdir").strip().rstrip("/") or WORKDIR,
            user=optional_text(row, "user").strip(),
            language=optional_text(row, "language").strip().lower(),
            network=string_list(row, "network"),
            images=string_list(row, "images"),
        )


def at_commit(base: str) -> str:
    """Shell lines that bring an image's repository to the commit, where it stands elsewhere."""
    head = '"$(git rev-parse HEAD)"'
    return f"case {head} in {base}*) ;; *) git checkout -q --detach {base} ;; esac"


def _named(place: str) -> str:
    """The last part of a folder or address, as a name."""
    last = place.rstrip("/").removesuffix(".git").rstrip("/").rpartition("/")[2]
    return _ODD.sub("-", last.rpartition(":")[2]).strip("-._")[:80] or "project"
