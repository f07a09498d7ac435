"""The commands that README.md and ``--help`` tell a user to type, and what stands in their places.

A command is found in a code block of the README, in a code span of its prose, in what follows
"then:" in a block's comment, and in the examples of ``--help``. Everything found is run by
``tests/stories/test_readme.py`` or ``tests/live/test_readme_docker.py``, or its place is named
below.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from swe_router.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
HERE, BOX = "default tier", "tier box"

PLACEHOLDERS = {
    "RUN": "2026-01-01T0000-cascade-0000",
    "RUN1": "graded-1",
    "RUN2": "graded-2",
    "DIR": "trajectories",
    "ID": "demo__confet-14",
    "USD": "2",
    "TIER=SYSTEM": "local=devstral",
    "ANTHROPIC_API_KEY=…": "ANTHROPIC_API_KEY=no-key",
    "OPENAI_API_KEY=…": "OPENAI_API_KEY=no-key",
    "GITHUB_TOKEN=…": "GITHUB_TOKEN=no-key",
}
"""What a user puts in the place of a word in capitals; ``World`` has the files and runs."""

ELSEWHERE = {
    "make demo": (".ci/run", "make demo"),
    "make test": (".ci/run", "make test"),
    "pip install -e .": (".ci/run", "--editable ."),
    "pip install 'swe-router[vllm]'": ("tests/live/test_vllm.py", "vllm"),
    "apt install bubblewrap": (".ci/run", "bubblewrap"),
}
"""Beginning of a command that no test can run here -> the file that does, and words in it."""

NEEDS_BOX = (
    "swe-router run", "swe-router resume", "swe-router grade", "swe-router verify",
    "swe-router leaderboard",
)  # fmt: skip
"""Beginnings of commands that take minutes, sandboxes or a hub: run whole in the tier ``box``."""

TRIMMED = {
    "swe-router run --split demo --budget 1": "--dry-run",
    "swe-router run --candidates 4": "--dry-run",
    "swe-router run --repo": "--dry-run --preset demo",
    "swe-router run --set": "--dry-run",
    "swe-router leaderboard RUN": "--bootstraps 100 --policies fixed,cascade",
    "swe-router leaderboard --out board": "--bootstraps 100 --policies fixed,cascade,ration",
    "swe-router leaderboard --outcomes table.csv --split demo": "--bootstraps 100 --policies mlp",
    "swe-router outcomes import": "--help",
    "swe-router serve": "--dry-run --card 48",
}
"""The same in the default tier: as much of it as costs nothing, by the words that are added."""


@dataclass(frozen=True)
class Command:
    """One line to type."""

    place: str
    """Where it stands: file and line, or the command whose help it is."""
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell would split it."""
        return shlex.split(self.text)

    @property
    def tier(self) -> str:
        """``HERE``, ``BOX``, or the file that runs it."""
        for head, (file, _) in ELSEWHERE.items():
            if self.text.startswith(head):
                return file
        hub = re.search(r"--split (?:lite|verified|full|multilingual)\b", self.text)
        return BOX if hub or self.text.startswith(NEEDS_BOX) else HERE

    @property
    def trimmed(self) -> list[str]:
        """Words that make it cheap, if there are any."""
        return next((more.split() for head, more in TRIMMED.items()
                     if self.text.startswith(head)), [])  # fmt: skip


def filled(words: list[str]) -> list[str]:
    """Words with every placeholder replaced. Raises ``LookupError`` for an unknown one."""
    return [_filled(word) for word in words]


def _filled(word: str) -> str:
    if word in PLACEHOLDERS:
        return PLACEHOLDERS[word]
    made = re.sub(r"(?<![\w.-])[A-Z][A-Z0-9_]*(?![\w.-])", _place, word)
    if "…" in made or re.search(r"<\w+>", made):
        raise LookupError(f"placeholder {word!r} is not in tests/doubles/readme.py")
    return made


def _place(match: re.Match[str]) -> str:
    if match[0] not in PLACEHOLDERS:
        raise LookupError(f"placeholder {match[0]!r} is not in tests/doubles/readme.py")
    return PLACEHOLDERS[match[0]]


def of_readme(text: str) -> list[Command]:
    """Every command of a Markdown text, in its order."""
    found = []
    for number, block, is_block in _parts(text):
        place = f"README.md:{number}"
        if is_block:
            found += [Command(place, line) for line in _lines(block)]
        else:
            found += [Command(place, line) for line in _spans(block)]
    return found


def python_blocks(text: str) -> list[str]:
    """The blocks of Python in a Markdown text: no commands of a shell."""
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def _parts(text: str) -> Iterator[tuple[int, str, bool]]:
    """(line number, text, whether it is a block of commands), block by block."""
    number, inside, held, python = 1, False, [], False
    for at, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if not python:
                yield number, "\n".join(held), inside
            python = line == "```python"
            number, inside, held = at + 1, not inside, []
        else:
            held.append(line)
    yield number, "\n".join(held), inside


def _lines(block: str) -> Iterator[str]:
    for line in block.replace("\\\n", " ").splitlines():
        code, _, comment = _cut(line)
        if code:
            yield code
        then = re.search(r"\bthen: (swe-router .*|run .*)", comment)
        if then:
            yield then[1] if then[1].startswith("swe-router") else f"swe-router {then[1]}"


def _cut(line: str) -> tuple[str, str, str]:
    """Code and comment of a line; a # within quotes or words begins none."""
    match = re.search(r"(?:^|\s)#\s", line)
    at = match.start() if match else len(line)
    return " ".join(line[:at].split()), "#", line[at:]


def _spans(prose: str) -> Iterator[str]:
    for span in re.findall(r"`([^`]+)`", prose):
        words = " ".join(span.split())
        if words.startswith("swe-router "):
            yield words


def of_help() -> list[Command]:
    """Every example in ``--help`` of every command, and the epilog."""
    found = []
    for name, command in _commands(typer.main.get_command(app), "swe-router"):
        for text in (command.help or "", command.epilog or ""):
            flat = " ".join(text.split())
            for line in re.split(r";|, then|\. (?=[A-Z])|: (?=swe-router)", flat):
                bare = line.strip().rstrip(".")
                if bare.startswith("swe-router "):
                    found.append(Command(f"{name} --help", bare))
    return found


def _commands(command, name):
    yield name, command
    for key, one in getattr(command, "commands", {}).items():
        yield from _commands(one, f"{name} {key}")


def table(commands: list[Command]) -> str:
    """What was found and where it runs, to be printed."""
    return "\n".join(f"{one.place:28} {one.tier:24} {one.text}" for one in commands)
