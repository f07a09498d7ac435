"""Lets a model write tests from the issue alone, once per instance, and stores them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swe_router.errors import LedgerRefused, ModelError
from swe_router.lazy_imports import deferred_module
from swe_router.records import CallLimits, Completion, Instance, Message
from swe_router.seams import VerificationContext
from swe_router.verifiers.reproduction.repository_context import RepositoryContext

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

PROMPT = "reproduction"
MAX_ANSWER_TOKENS = 4096
"""Output cap of one test, reasoning included; the tier's own cap may be lower."""
MAX_ANSWER_SECONDS = 3600.0
"""Seconds for one answer, whatever time there is."""
PROMPT_ANGLES = (
    "Take the example of the issue as it stands.",
    "Take other values and inputs than the issue's example, of the kind that it speaks of.",
    "Take the conditions and exceptions that the issue lists beside its example.",
    "Take the way in which a user would come upon it, from the outside of the project.",
)
_CODE_BLOCK = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1[ \t]*$", re.M | re.S)


@dataclass(frozen=True)
class WrittenTest:
    """One answer of the writer."""

    sample_number: int
    """1 for the first sample."""
    by: str
    """Model id, as the provider gave it."""
    text: str
    """The test; empty when the answer holds none."""
    charged_to: str
    """Attempt whose verdict paid for it."""
    call: dict[str, Any]
    """Sample, USD and usage of the call, for the evidence."""


def written_tests(
    samples: int,
    instance: Instance,
    repository: RepositoryContext,
    context: VerificationContext,
    attempt_id: str,
) -> tuple[list[WrittenTest], dict[str, str]]:
    """The written tests of an instance, and the reasons for missing ones.

    What is in ``context.notes`` is taken from there; what was paid for is put there before use.
    """
    have: list[WrittenTest] = []
    missing: dict[str, str] = {}
    for sample_number in range(1, samples + 1):
        try:
            one = _answer_paid_before(context, sample_number)
            if one is None and context.writer is not None:
                one = _ask_writer(sample_number, samples, instance, repository, context, attempt_id)
        except (ModelError, LedgerRefused) as error:
            missing[f"written-{sample_number}"] = f"not written: {type(error).__name__}: {error}"
            if isinstance(error, LedgerRefused):
                break
            continue
        if one is not None:
            have.append(one)
    return have, missing


def paid_test_count(context: VerificationContext) -> int:
    """How many tests of the instance are there already."""
    return sum(key.startswith(f"{PROMPT}:") for key in context.notes)


def writer_messages(
    sample_number: int,
    samples: int,
    instance: Instance,
    repository: RepositoryContext,
    template: str | None = None,
) -> tuple[Message, ...]:
    """What the writer is asked: the issue and what the repository shows, nothing of any patch.

    ``template`` is the prompt, where it is not the one of today.
    """
    source = templates.prompt_source(PROMPT) if template is None else template

    def question(number: int) -> str:
        return templates.render_source(
            source,
            f"prompt {PROMPT}",
            repo=instance.repo,
            problem=instance.problem.strip(),
            runner=repository.runner_description,
            example=repository.example_path,
            excerpt=repository.excerpt,
            number=number,
            samples=samples,
            angle=PROMPT_ANGLES[(number - 1) % len(PROMPT_ANGLES)],
        )

    text = question(sample_number)
    shared = templates.shared_length(text, question(sample_number + 1))
    return (Message(role="user", content=text, repeats=shared),)


def extract_test(answer: str) -> str:
    """The last fenced block of an answer that looks like Python; empty when there is none."""
    blocks = [match[2] for match in _CODE_BLOCK.finditer(answer)]
    if not blocks and re.match(r"\s*(import|from|def|class|#|\"\"\")", answer):
        blocks = [answer]
    return next((block for block in reversed(blocks) if block.strip()), "")


def _ask_writer(
    sample_number: int,
    samples: int,
    instance: Instance,
    repository: RepositoryContext,
    context: VerificationContext,
    attempt_id: str,
) -> WrittenTest:
    assert context.writer is not None
    limits = CallLimits(
        max_output_tokens=MAX_ANSWER_TOKENS,
        timeout=MAX_ANSWER_SECONDS,
        within=_answer_timeout_seconds(context),
        seed=sample_number,
    )
    asked = writer_messages(
        sample_number, samples, instance, repository, context.prompts.get(PROMPT)
    )
    answer = context.writer.complete(asked, (), limits=limits)
    note: dict[str, Any] = {
        "by": answer.model,
        "text": extract_test(answer.message.content),
        "charged_to": attempt_id,
        "call": _call_record(sample_number, answer),
    }
    context.notes[f"{PROMPT}:{sample_number}"] = note
    return WrittenTest(sample_number=sample_number, **note)


def _call_record(sample_number: int, answer: Completion) -> dict[str, Any]:
    return {
        "sample": sample_number,
        "usd": str(answer.usd),
        "usage": answer.usage.model_dump(mode="json"),
        **answer.returned_facts,
    }


def _answer_paid_before(context: VerificationContext, sample_number: int) -> WrittenTest | None:
    note = context.notes.get(f"{PROMPT}:{sample_number}")
    return WrittenTest(sample_number=sample_number, **note) if note is not None else None


def _answer_timeout_seconds(context: VerificationContext) -> float:
    """Seconds for one answer: a share of what is left, and never so little that none can come."""
    if not context.deadline:
        return 600.0
    return max(10.0, 0.5 * (context.deadline - context.clock()))


def distinct_tests(tests: Sequence[WrittenTest]) -> dict[str, WrittenTest]:
    """Id -> test, the same text once: a copy is no second witness."""
    seen: dict[str, WrittenTest] = {}
    texts: set[str] = set()
    for one in tests:
        bare = "\n".join(line.rstrip() for line in one.text.strip().splitlines())
        if bare not in texts:
            texts.add(bare)
            seen[f"written-{one.sample_number}"] = one
    return seen
