"""Lets a model look into the repository and write a rubric, once per instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swe_router.errors import VerifierError
from swe_router.lazy_imports import deferred_module
from swe_router.records import Instance, Message
from swe_router.seams import Model, Sandbox, VerificationContext
from swe_router.verifiers.asking.fenced_material import fenced
from swe_router.verifiers.asking.json_answers import (
    json_objects,
    object_schema,
    plain_text,
    short_text,
)
from swe_router.verifiers.asking.paid_answers import KeptAnswer, PaidAnswers
from swe_router.verifiers.opinion_records import Criterion
from swe_router.verifiers.rubrics import repository_looks

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

PROMPT = "rubric"
FIELD = "rubric"
AXES = ("change", "issue", "integrity", "behaviour")
MAX_CRITERION_CHARS = 500
MAX_WEIGHT = 3
MAX_TREE_LINES, MAX_TREE_CHARS = 60, 3000
"""What is shown of the top of the repository."""
TREE_COMMAND = (
    "git ls-files | cut -d/ -f1-2 | sort | uniq -c | sort -k2 | head -n"
    f" {MAX_TREE_LINES} | sed 's/^ *//'"
)
NOT_UNDERSTOOD = "That is none of the three objects. Answer with one JSON object and nothing else."
LAST_LOOK = "That was your last look. Write the rubric now."


@dataclass(frozen=True)
class RubricLimits:
    """How much a writer may look at and write."""

    looks: int
    lines: int
    """Of a file, per look."""
    look_chars: int
    criteria: int
    issue_chars: int
    answer_tokens: int
    forced_form: bool = False
    """The server forces the form of each answer."""


@dataclass(frozen=True)
class Rubric:
    """The rubric of an issue."""

    criteria: Mapping[str, Criterion]
    """Id (``c1`` …) -> criterion."""
    by: str
    looks: int


def write_rubric(
    instance: Instance,
    context: VerificationContext,
    model: Model,
    answers: PaidAnswers,
    limits: RubricLimits,
) -> Rubric | None:
    """The rubric, from answers that were paid for before where there are any; None for no rubric.

    Raises ``ModelError``, ``LedgerRefused``, ``SandboxError``, ``VerifierError``.
    """
    with ExitStack() as stack:
        sandbox = stack.enter_context(context.open_sandbox(instance))
        talk = [_first_message(instance, sandbox, context.prompts.get(PROMPT), limits)]
        for used in range(limits.looks + 1):
            answer = answers.ask(
                model, talk, max_tokens=limits.answer_tokens, schema=_schema(limits, used)
            )
            criteria = read_rubric(answer.text, limits.criteria)
            if criteria:
                return Rubric(criteria, answer.by, used)
            talk += _next_turn(answer, sandbox, limits, last=used >= limits.looks - 1)
    return None


def _schema(limits: RubricLimits, used: int) -> dict[str, Any] | None:
    """The form of an answer: the rubric alone once every look was used."""
    if not limits.forced_form:
        return None
    criterion = object_schema({
        "text": short_text(),
        "weight": {"type": "integer", "enum": [1, 2, 3]},
        "axis": {"type": "string", "enum": list(AXES)},
    })  # fmt: skip
    rubric = {"type": "array", "items": criterion, "minItems": 1, "maxItems": limits.criteria}
    if used >= limits.looks:
        return object_schema({FIELD: rubric})
    return object_schema({
        repository_looks.SEARCH: {"anyOf": [short_text(), {"type": "null"}]},
        repository_looks.READ: {"anyOf": [short_text(), {"type": "null"}]},
        repository_looks.FROM: {"type": ["integer", "null"]},
        FIELD: {"anyOf": [rubric, {"type": "null"}]},
    })  # fmt: skip


def _first_message(
    instance: Instance, sandbox: Sandbox, template: str | None, limits: RubricLimits
) -> Message:
    listed = sandbox.run(TREE_COMMAND, timeout=repository_looks.LOOK_SECONDS)
    if listed.timed_out:
        raise VerifierError("the files of the start state could not be listed")
    text = templates.render_source(
        templates.prompt_source(PROMPT) if template is None else template,
        f"prompt {PROMPT}",
        repo=instance.repo,
        issue=fenced("issue", instance.problem.strip(), limits.issue_chars),
        tree=fenced("files", listed.output, MAX_TREE_CHARS),
        looks=limits.looks,
        lines=limits.lines,
        criteria=limits.criteria,
        axes=AXES,
    )
    return Message(role="user", content=text)


def _next_turn(
    answer: KeptAnswer, sandbox: Sandbox, limits: RubricLimits, *, last: bool
) -> Sequence[Message]:
    wish = next((one for one in json_objects(answer.text) if repository_looks.is_look(one)), None)
    if wish is None:
        shown = NOT_UNDERSTOOD
    else:
        found = repository_looks.look(sandbox, wish, limits.lines)
        shown = fenced("look", found, limits.look_chars)
    reply = f"{shown}\n\n{LAST_LOOK}" if last else shown
    return (
        Message(role="assistant", content=answer.text),
        Message(role="user", content=reply),
    )


def read_rubric(answer: str, max_criteria: int) -> dict[str, Criterion]:
    """Criteria of the last object that holds some, the same text once; empty for none."""
    for found in json_objects(answer):
        rows = found.get(FIELD)
        kept: dict[str, Criterion] = {}
        for criterion in map(_criterion, rows if isinstance(rows, list) else ()):
            if criterion is not None:
                kept.setdefault(criterion.text.lower(), criterion)
        if kept:
            chosen = list(kept.values())[:max_criteria]
            return {f"c{number}": one for number, one in enumerate(chosen, 1)}
    return {}


def _criterion(row: Any) -> Criterion | None:
    """A criterion as written; a weight or axis off its scale is the plainest one."""
    if not isinstance(row, Mapping):
        return None
    text = plain_text(row.get("text"), MAX_CRITERION_CHARS)
    weight, axis = row.get("weight"), row.get("axis")
    if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= MAX_WEIGHT:
        weight = 1
    known = axis if isinstance(axis, str) and axis in AXES else ""
    return Criterion(text=text, weight=weight, axis=known) if text else None
