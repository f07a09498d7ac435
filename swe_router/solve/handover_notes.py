"""Notes of earlier attempts for a later one: facts and failures, never the wrong diff."""

from __future__ import annotations

import functools
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swe_router.records import NOTES_BYTES, Outcome, Step, Verdict

MAX_ATTEMPTS_NOTED = 3
"""Latest attempts in the notes."""
MAX_LISTED_NAMES = 12
"""Files or tests named in one list."""
MAX_TEST_BYTES = 1500
"""Bytes shown of one reproduction test."""
MIN_SEARCHED_CHARS = 6
"""Characters from which an added line is looked for inside other text; shorter ones are common."""
EXIT_PHRASES = {
    "submitted": "was submitted",
    "budget": "hit its dollar limit",
    "steps": "hit its step limit",
    "time": "hit its time limit",
    "gave_up": "gave up",
    "broke": "was broken off by its surroundings",
    "interrupted": "was interrupted",
    "stop_loss": "was stopped early, since attempts like it rarely end well",
}
CUT_MARK = "[cut here]"
_FILE_SUFFIXES = (
    "py|pyx|pyi|js|jsx|ts|tsx|java|kt|go|rs|rb|php|c|cc|cpp|h|hpp|cs|swift|scala"
    "|txt|cfg|ini|toml|json|ya?ml|md|rst|html|css|sh|sql"
)
_CHANGES_FILES = re.compile(
    r"\b(?:sed|perl)\b[^|;&]*\s-\w*i|<<|\bpatch\s|\bgit\s+(?:apply|am)\b|\btee\b"
    r"|>\s*(?!/tmp/|/dev/null|&|>)[\w./\"']|write|replace\("
)
"""Commands that change files: they hold the wrong change."""
_DIFF_HEADER = re.compile(r"(?m)^diff --git a/(\S+) b/")
_CALL_MARKUP = re.compile(r"<call\b.*?(?:</call>|\Z)", re.DOTALL)
_CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_DIFF_LINE = re.compile(r"\s*(diff --git |index [0-9a-f]{6,}|@@ |\+\+\+ |--- )")


def notes(
    attempts: Sequence[tuple[Outcome, Sequence[Step]]], workdir: str, limit: int = NOTES_BYTES
) -> str:
    """The attempts in words, each with its steps, in at most ``limit`` UTF-8 bytes.

    ``workdir``: where the project lay in their sandboxes. No added line of any of their patches
    is in it, nor a line that is a removed one.
    """
    attempts = attempts[-MAX_ATTEMPTS_NOTED:]
    rejected = [
        RejectedLines.of(outcome.candidate.patch) for outcome, _ in attempts if outcome.candidate
    ]
    parts, left = [], limit
    for place, (outcome, steps) in enumerate(attempts):
        share = left // (len(attempts) - place) - 2
        parts.append(shortened("\n".join(_attempt_notes(outcome, steps, rejected, workdir)), share))
        left -= len(parts[-1].encode("utf-8", "replace")) + 2
    return "\n\n".join(parts)


def shortened(text: str, limit: int) -> str:
    """The text, or its first whole lines within ``limit`` UTF-8 bytes and a mark."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    room = max(0, limit - len(CUT_MARK) - 1)
    head = data[:room].decode("utf-8", "ignore")
    return f"{head[: head.rfind(chr(10)) + 1] or head + chr(10)}{CUT_MARK}"[: max(0, limit)]


@dataclass(frozen=True)
class RejectedLines:
    """What must not be handed on: the lines of a patch, by file."""

    added_by_file: Mapping[str, Sequence[str]] = field(default_factory=dict)
    removed_lines: frozenset[str] = frozenset()

    @classmethod
    def of(cls, patch: str) -> RejectedLines:
        """The lines that a git diff adds, as they stand, and removes, stripped."""
        added: dict[str, list[str]] = {}
        removed, name, inside = set(), "", False
        for line in patch.splitlines():
            if line.startswith("diff --git "):
                name, inside = line, False
            elif line.startswith("@@"):
                inside = True
            elif inside and line.startswith("+"):
                added.setdefault(name, []).append(line[1:])
            elif inside and line.startswith("-"):
                removed.add(line[1:].strip())
        return cls(added, frozenset(one for one in removed if len(one) >= MIN_SEARCHED_CHARS))

    def searched_lines(self, own_text: str = "") -> Iterator[str]:
        """The added lines worth looking for, without a file that is the text ``own_text``."""
        for lines in self.added_by_file.values():
            if not own_text or "\n".join(lines).strip() != own_text.strip():
                yield from (one for line in lines if len(one := line.strip()) >= MIN_SEARCHED_CHARS)


def without_patch_lines(
    text: str, rejected: Sequence[RejectedLines], own_text: str = ""
) -> list[str]:
    """The lines of a text that give away nothing of the patches.

    ``own_text``: see ``searched_lines``.
    """
    marks = {mark for one in rejected for mark in one.searched_lines(own_text)}
    gone = frozenset().union(*(one.removed_lines for one in rejected)) if rejected else frozenset()
    return [
        line
        for line in text.splitlines()
        if not _DIFF_LINE.match(line)
        and line.strip() not in gone
        and not any(mark in line for mark in marks)
    ]


def _attempt_notes(
    outcome: Outcome, steps: Sequence[Step], rejected: Sequence[RejectedLines], workdir: str
) -> Iterator[str]:
    """The notes of one attempt, the most important first."""
    attempt, candidate = outcome.attempt, outcome.candidate
    why = " ".join(without_patch_lines(attempt.trajectory.why, rejected))[:200]
    reason = f" ({why})" if why and attempt.trajectory.exit != "submitted" else ""
    count = attempt.trajectory.steps
    yield f"An earlier attempt {EXIT_PHRASES[attempt.trajectory.exit]} after {count} steps{reason}."
    if candidate is None or not candidate.patch:
        yield "It left no change."
    else:
        files = candidate.files or tuple(dict.fromkeys(_DIFF_HEADER.findall(candidate.patch)))
        yield f"It changed {_joined_names(files) or 'files'}; that change is not trusted."
    checks = ", ".join(f"{one.verifier}: {one.outcome}" for one in outcome.verdicts)
    yield f"Checks of its change said {checks or 'nothing'}."
    for verdict in outcome.verdicts:
        yield from _failed_verdict_notes(verdict, rejected)
    yield from _activity_notes(steps, rejected, workdir)


def _failed_verdict_notes(verdict: Verdict, rejected: Sequence[RejectedLines]) -> Iterator[str]:
    """What failed, as far as the evidence of a verdict tells; single tests whatever it came to."""
    refused = verdict.outcome == "fail"
    why = " ".join(without_patch_lines(str(verdict.evidence.get("why") or ""), rejected))[:300]
    if why and refused:
        yield f"{verdict.verifier} failed: {why}"
    tests = verdict.evidence.get("tests")
    results = tests if isinstance(tests, Mapping) else {}
    for test, result in results.items():
        if isinstance(result, Mapping):
            yield from _reproduction_notes(str(test), result, rejected)
    broken = [str(test) for test, result in results.items() if _is_broken_by_patch(result)]
    if broken and refused:
        named = _joined_names(broken)
        yield f"Tests of the repository that pass without its change and fail with it: {named}"


def _is_broken_by_patch(result: object) -> bool:
    """``[base, after]`` of a test that the change breaks."""
    pair = result if isinstance(result, Sequence) and not isinstance(result, str) else ()
    return tuple(pair) == ("passed", "failed")


def _reproduction_notes(
    test_name: str, result: Mapping[str, Any], rejected: Sequence[RejectedLines]
) -> Iterator[str]:
    if result.get("after") != "failed":
        return
    text = str(result.get("text") or "")
    reason = " ".join(without_patch_lines(str(result.get("reason") or ""), rejected, text))[:300]
    yield f"Reproduction test {test_name} fails with its change" + (
        f" ({reason})" if reason else ""
    )
    shown = shortened("\n".join(without_patch_lines(text, rejected, text)), MAX_TEST_BYTES)
    yield from (f"    {line}" for line in shown.splitlines())
    output = without_patch_lines(str(result.get("said") or ""), rejected, text)
    printed = shortened("\n".join(output), MAX_TEST_BYTES // 3)
    if printed:
        yield "  and said:"
        yield from (f"    {line}" for line in printed.splitlines())


def _activity_notes(
    steps: Sequence[Step], rejected: Sequence[RejectedLines], workdir: str
) -> Iterator[str]:
    """Files looked at, commands, and the attempt's own last words."""
    looked, edited, found = Counter[str](), Counter[str](), Counter[str]()
    ran: list[tuple[str, int | None]] = []
    for action in (action for step in steps for action in step.actions if not action.call.error):
        given = {name: str(value) for name, value in action.call.arguments.items()}
        if action.call.name == "edit":
            edited[_relative_path(given.get("path", ""), workdir)] += 1
        elif action.call.name == "bash":
            ran.append((given.get("command", ""), action.exit_code))
            looked.update(_paths_in(given.get("command", ""), workdir))
        elif action.call.name == "search":
            found.update(_paths_in(action.observation, workdir))
    relevant = [*dict.fromkeys([*edited, *(name for name, n in looked.most_common() if n > 1)])]
    rest = [name for name in looked if name not in relevant]
    led = [name for name, _ in found.most_common(6) if name not in (*relevant, *rest)]
    if relevant:
        yield f"Files it took for relevant: {_joined_names(relevant)}"
    if rest:
        yield f"It also looked at: {_joined_names(rest)}"
    if led:
        yield f"Its searches led to: {_joined_names(led)}"
    ran_only = [
        (command.strip(), code) for command, code in ran if not _CHANGES_FILES.search(command)
    ]
    short = [(without_patch_lines(command, rejected)[:1], code) for command, code in ran_only]
    commands = [f"`{line[0][:100]}` (exit code {code})" for line, code in short if line]
    if commands:
        yield f"It ran {len(ran)} commands, of late {', '.join(commands[-4:])}"
    yield from _last_words(steps, rejected)


@functools.lru_cache(maxsize=32)
def _path_pattern(workdir: str) -> re.Pattern[str]:
    home = re.escape(f"{workdir}/")
    return re.compile(
        rf"(?<![\w/.-])(?:{home})?((?:[\w.-]+/)*[\w-][\w.-]*\.(?:{_FILE_SUFFIXES}))\b"
    )


def _paths_in(text: str, workdir: str) -> list[str]:
    """The paths in a text, each once, in order: a replay in another process must agree."""
    return list(dict.fromkeys(_path_pattern(workdir).findall(text)))


def _last_words(steps: Sequence[Step], rejected: Sequence[RejectedLines]) -> Iterator[str]:
    """The last prose of the model, without code."""
    texts = [
        _CODE_BLOCK.sub("", _CALL_MARKUP.sub("", step.completion.message.content)) for step in steps
    ]
    prose = [
        line.lstrip("-+* ").strip()
        for text in texts[-6:]
        for line in without_patch_lines(text, rejected)
    ]
    kept = [line for line in prose if line]
    if kept:
        yield "Its own last words:"
        yield from (f"    {line[:300]}" for line in kept[-8:])


def _relative_path(path: str, workdir: str) -> str:
    return posixpath.normpath(path.removeprefix(f"{workdir}/") or ".")


def _joined_names(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED_NAMES
    return ", ".join(names[:MAX_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")
