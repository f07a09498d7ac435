"""The flags of one's own issue become a file of one row, which any command reads as a split."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from swe_router.codegraph.git_objects import git_env
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.records import Instance, digest_of

OWN_ISSUES_FOLDER = "own-issues"
"""Below the folder of the run folders."""
HEAD = "HEAD"
GIT_TIMEOUT_SECONDS = 60.0
"""For git to say which commit is meant."""
_COMMIT_ID = re.compile(r"[0-9a-f]{7,64}")
_IMAGE_LINK = re.compile(
    r"!\[[^\]]*\]\(\s*(https://[^\s)]+)|<img\b[^>]*\bsrc=[\"'](https://[^\"']+)[\"']", re.IGNORECASE
)


@dataclass(frozen=True)
class OwnIssueRequest:
    """An issue of the user's own, as the command line gives it."""

    repository: str
    """A folder, or an address that git clones from."""
    issue: str
    """A file with the text, ``-`` for standard input, or the text itself."""
    commit: str = ""
    """A commit, branch or tag; empty is HEAD."""
    test_command: str = ""
    """A shell command that succeeds once the issue is resolved."""
    image: str = ""
    """Docker image that holds the project."""
    workdir: str = ""
    """Where the image holds it."""


def write_own_issue(request: OwnIssueRequest, runs_folder: Path) -> Path:
    """Write the file below ``runs_folder``; equal requests share one. Raises ``UsageError``."""
    text = _issue_text(request.issue)
    folder = Path(request.repository).expanduser()
    local = folder.is_dir()
    if not local and "://" not in request.repository and "@" not in request.repository:
        raise UsageError(
            f"--repo {request.repository!r}: no folder of that name, and no address of a repository"
            " (https://…, file://…, git@…)"
        )
    place = str(folder.resolve()) if local else request.repository
    row = {
        "repository": place,
        "commit": _resolve_commit(place, request.commit or HEAD, is_local=local),
        "issue": text,
        "image": request.image,
        "workdir": request.workdir,
        "images": list(dict.fromkeys(one or two for one, two in _IMAGE_LINK.findall(text))),
        "test_command": request.test_command,
    }
    file = runs_folder / OWN_ISSUES_FOLDER / f"{digest_of(row)[:12]}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({key: one for key, one in row.items() if one}) + "\n", "utf-8")
    _read_instance(file)
    return file


def _read_instance(file: Path) -> Instance:
    return splits.load_instances(str(file), dataset_reader="own-issue")[0]


def _issue_text(text_or_file: str) -> str:
    if text_or_file == "-":
        text = sys.stdin.read()
    else:
        text = text_or_file
        file = (
            Path(text_or_file).expanduser()
            if len(text_or_file) < 4096 and "\n" not in text_or_file
            else None
        )
        try:
            if file is not None and file.is_file():
                text = file.read_text(encoding="utf-8")
            elif file is not None and " " not in text_or_file.strip():
                raise UsageError(
                    f"--issue {text_or_file!r}: no such file; give a file, a text or -"
                )
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--issue {text_or_file}: cannot be read: {error}") from None
    if not text.strip():
        raise UsageError("--issue is empty: it is all that the models know of the problem")
    return text


def _resolve_commit(repository: str, revision: str, *, is_local: bool) -> str:
    """The id of the commit that is meant. Raises ``UsageError``."""
    if revision.startswith("-"):
        raise UsageError(f"--commit {revision!r} is no commit, branch or tag")
    if not is_local and _COMMIT_ID.fullmatch(revision.lower()):
        return revision.lower()
    ask = ["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    refs = ["ls-remote", "--", repository, revision, f"{revision}^{{}}"]
    command = ["git", "-C", repository, *ask] if is_local else ["git", *refs]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            env={**git_env(), "GIT_TERMINAL_PROMPT": "0"}, timeout=GIT_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UsageError(f"--repo {repository}: no answer in {GIT_TIMEOUT_SECONDS:g} s") from None
    except OSError as error:
        raise UsageError(f"--repo {repository}: git cannot be started: {error}") from None
    found = done.stdout.strip() if is_local else _advertised(done.stdout, revision)
    if done.returncode or not found:
        message = " ".join(done.stderr.split())[:200] or "it has no such commit, branch or tag"
        if revision == HEAD and not done.stderr:
            raise UsageError(
                f"--repo {repository} has no default branch: name a commit by --commit"
            )
        raise UsageError(f"--commit {revision!r} is not in {repository}: {message}")
    return found


def _advertised(listed: str, revision: str) -> str:
    """The commit of a ref among those that ``git ls-remote`` lists, as git itself looks names up.

    It lists every ref whose name ends so (``old/main`` for ``main``), and of an annotated tag the
    tag's own id; the commit stands at the name with ``^{}``.
    """
    ids = {name: found for found, name in (line.split("\t", 1) for line in listed.splitlines())}
    for name in (revision, f"refs/{revision}", f"refs/tags/{revision}", f"refs/heads/{revision}"):
        if name in ids:
            return ids.get(f"{name}^{{}}", ids[name])
    return ""
