"""Trajectory signals: numbers from the recorded steps of any scaffold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from swe_router.records import Action, Attempt, Step

_TEST_COMMAND = re.compile(
    r"\b(?:pytest|py\.test|runtests\.py|unittest|tox|nosetests|manage\.py test)\b|\bbin/test\b"
    r"|\b(?:go|cargo|npm|yarn|mvn|gradle) (?:run )?test\b"
)
_SCRIPT_COMMAND = re.compile(
    r"\bpython[\d.]*\s+(?:-[A-Za-z]\s+)*[\w./-]+\.py\b|\bpython[\d.]*\s+-c\b"
)
_WRITE_COMMAND = re.compile(
    r"\bsed\s+(?:-\w+\s+)*-i|\bsed\s+-\w*i|\bperl\s+-\w*i|\bgit apply\b|\bpatch\s+-p|\btee\s+\S"
    r"|(?:^|[;&|]\s*)(?:cat|echo|printf)\b[^\n|]*>{1,2}\s*[\w./~-]+|\bopen\([^)\n]*['\"][wa]['\"]"
    r"|\bwrite_text\("
)
_SOURCE_PATH = re.compile(
    r"[\w./-]+\.(?:py|pyx|[jt]sx?|go|rs|java|rb|php|c|h|cc|cpp|cfg|toml|txt)\b"
)
_UNDO_COMMAND = re.compile(r"\bgit (?:checkout|restore|stash|reset)\b")
_PRINTED_EXIT_CODE = re.compile(r"\[exit code (-?\d+)\]|<returncode>(-?\d+)</returncode>")
_PRINTED_FAILURE = re.compile(
    r"\b[1-9]\d* (?:failed|errors?|exceptions)\b|\bFAILED\b|DO \*NOT\* COMMIT|^E  ", re.MULTILINE
)
_DOUBTING_WORD = re.compile(
    r"\b(?:hmm|wait|unfortunately|however|not sure|unsure|cannot|can't|strange|weird|confus\w+"
    r"|maybe|perhaps|alternatively)\b",
    re.IGNORECASE,
)
EDIT_TOOLS = frozenset({"edit", "str_replace_editor", "str_replace_based_edit_tool", "edit_file"})


@dataclass(frozen=True)
class _ActionFacts:
    """One action, read."""

    step_index: int
    edits_source: tuple[str, ...] = ()
    """Files that it wrote; ("?",) when the file that it wrote is unknown."""
    runs_tests: bool = False
    runs_script: bool = False
    undoes_edits: bool = False
    failed: bool = False
    """Non-zero exit; for tests also what they printed."""
    outcome_is_known: bool = False
    """The exit code is known."""


def signals_of_trajectory(
    attempt: Attempt, steps: Sequence[Step], workdir: str
) -> dict[str, float]:
    """Numbers by name, ``run_*``; what cannot be known is left out, never 0.

    ``workdir``: where the project lay in the attempt's sandbox.
    """
    trajectory = attempt.trajectory
    count = len(steps) or trajectory.steps
    usd = float(trajectory.usd or sum(step.completion.usd for step in steps))
    found: dict[str, float] = {}
    if count:
        found["run_steps"] = float(count)
        found["run_ended_early"] = float(trajectory.exit not in ("submitted",))
    if usd > 0 and count:
        found["run_usd_per_step"] = usd / count
    if not steps:
        return found
    return found | _action_signals(steps, workdir) | _text_signals(steps)


def _action_signals(steps: Sequence[Step], workdir: str) -> dict[str, float]:
    did = [
        _read_action(number, action, workdir)
        for number, step in enumerate(steps)
        for action in step.actions
    ]
    edits = [one for one in did if one.edits_source]
    tests = [one for one in did if one.runs_tests]
    files = {path for one in edits for path in one.edits_source}
    touched = [path for one in edits for path in one.edits_source]
    known = [one for one in did if one.outcome_is_known]
    found = {
        "run_edits": float(len(edits)),
        "run_reads": float(sum(not (d.edits_source or d.runs_tests or d.runs_script) for d in did)),
        "run_edit_share": len(edits) / len(did) if did else 0.0,
        "run_files": float(len(files)),
        "run_edits_again": float(len(touched) - len(files)),
        "run_tests": float(len(tests)),
        "run_scripts": float(sum(one.runs_script for one in did)),
        "run_undone": float(sum(one.undoes_edits for one in did)),
    }
    if known:
        found["run_error_share"] = sum(one.failed for one in known) / len(known)
    if tests and tests[-1].outcome_is_known:
        found["run_last_test_failed"] = float(tests[-1].failed)
    if edits:
        found["run_last_edit_at"] = (edits[-1].step_index + 1) / len(steps)
        proofs = [one.step_index for one in did if one.runs_tests or one.runs_script]
        found["run_untested"] = float(not proofs or proofs[-1] < edits[-1].step_index)
    return found


def _text_signals(steps: Sequence[Step]) -> dict[str, float]:
    texts = [step.completion.message.content for step in steps]
    calls = [call for step in steps for call in step.completion.message.tool_calls]
    calls += [action.call for step in steps for action in step.actions]
    words = sum(len(text.split()) for text in texts)
    return {
        "run_words_per_step": words / len(steps),
        "run_doubts_per_step": sum(len(_DOUBTING_WORD.findall(text)) for text in texts)
        / len(steps),
        "run_malformed": float(len({call.id or id(call) for call in calls if call.error})),
    }


def _read_action(number: int, action: Action, workdir: str) -> _ActionFacts:
    call = action.call
    code, known = _exit_code_of(action)
    if call.name in EDIT_TOOLS:
        command = str(call.arguments.get("action") or call.arguments.get("command") or "")
        path = str(call.arguments.get("path", "?"))
        wrote = (path.removeprefix(f"{workdir}/"),) if command not in ("view", "undo_edit") else ()
        return _ActionFacts(number, edits_source=wrote)
    command = str(call.arguments.get("command", ""))
    if not command:
        return _ActionFacts(number)
    tests = bool(_TEST_COMMAND.search(command))
    printed = tests and bool(_PRINTED_FAILURE.search(action.observation))
    return _ActionFacts(
        number,
        edits_source=_written_paths(command, workdir),
        runs_tests=tests,
        runs_script=not tests and bool(_SCRIPT_COMMAND.search(command)),
        undoes_edits=bool(_UNDO_COMMAND.search(command)),
        failed=code != 0 or printed,
        outcome_is_known=known,
    )


def _written_paths(command: str, workdir: str) -> tuple[str, ...]:
    if not _WRITE_COMMAND.search(command):
        return ()
    head = command.split("\n", 1)[0]
    found = _SOURCE_PATH.findall(head) or _SOURCE_PATH.findall(command[-300:])
    return tuple(dict.fromkeys(path.removeprefix(f"{workdir}/") for path in found[-1:])) or ("?",)


def _exit_code_of(action: Action) -> tuple[int, bool]:
    """Exit code and whether it is known: as recorded, else as the scaffold showed it."""
    if action.exit_code is not None:
        return action.exit_code, True
    printed = _PRINTED_EXIT_CODE.search(action.observation[:200]) or _PRINTED_EXIT_CODE.search(
        action.observation[-200:]
    )
    return (int(printed[1] or printed[2]), True) if printed else (0, False)
