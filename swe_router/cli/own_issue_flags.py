"""The flags of ``run`` that describe an issue of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.errors import UsageError

if TYPE_CHECKING:
    from swe_router.commands.run.own_issue_file import OwnIssueRequest


def own_issue(
    repo: str | None,
    issue: str | None,
    commit: str | None,
    test_command: str | None,
    image: str | None,
    workdir: str | None,
) -> OwnIssueRequest | None:
    """What was asked for, or None without ``--repo``. Raises ``UsageError`` for half of it."""
    from swe_router.commands.run.own_issue_file import OwnIssueRequest

    flags = {"--issue": issue, "--commit": commit, "--test-command": test_command,
             "--image": image, "--workdir": workdir}  # fmt: skip
    given = [name for name, value in flags.items() if value is not None]
    if repo is None:
        if given:
            raise UsageError(f"{', '.join(given)}: goes with --repo, an issue of your own")
        return None
    if issue is None:
        raise UsageError("--repo needs --issue: a file with the text of the issue, or - for stdin")
    if workdir is not None and image is None:
        raise UsageError("--workdir says where an image holds the project: it goes with --image")
    return OwnIssueRequest(
        repository=repo,
        issue=issue,
        commit=commit or "",
        test_command=test_command or "",
        image=image or "",
        workdir=workdir or "",
    )


def own_split(
    own: OwnIssueRequest, split: str | None, source: str | None, sandbox: str | None, out: Path
) -> tuple[str, str | None]:
    """The split that holds the issue, and the kind of sandbox: local where no image is given."""
    from swe_router.commands.run import own_issue_file

    if split is not None or source is not None:
        raise UsageError("--repo is one issue of your own: --split and --from do not go with it")
    return str(own_issue_file.write_own_issue(own, out)), sandbox or (
        None if own.image else "local"
    )
