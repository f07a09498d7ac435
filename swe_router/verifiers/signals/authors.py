"""The author model of a candidate, from its attempt."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.records import Outcome, Step


def author_names(outcome: Outcome, steps: Sequence[Step]) -> str:
    """Model ids of the steps and, for an imported candidate, the model that its file names.

    Neither the tier's name nor the candidate's label counts: to rename one changes no verdict.
    """
    parts = (*_model_ids(steps), maker_of_source(outcome.attempt.source))
    return " ".join(part for part in parts if part)


def maker_of_source(source: str) -> str:
    """The model in the source of an imported candidate: ``FILE MODEL LABEL``, MODEL may be empty.

    The name of the file and the label of the candidate say nothing of a maker.
    """
    return source.partition(" ")[2].rpartition(" ")[0]


def was_made_by(outcome: Outcome, steps: Sequence[Step], model: str) -> bool:
    """Whether this model made the candidate, by its steps or its file.

    Of an imported one, that its maker's name is the model's, with or without a provider before.
    """
    if model in _model_ids(steps):
        return True
    words = maker_of_source(outcome.attempt.source).split()
    return bool(model) and _without_provider(model) in {_without_provider(word) for word in words}


def _without_provider(model: str) -> str:
    """A model id without its provider: ``openai/gpt-5`` and ``gpt-5`` are one."""
    return model.rpartition("/")[2].rpartition(":")[2].casefold()


def author_key(outcome: Outcome, steps: Sequence[Step]) -> str:
    """What two candidates by the same model have in common.

    The model ids of the steps; without them the tier; of an imported one its source without the
    last word, which names the candidate.
    """
    models = _model_ids(steps)
    if models:
        return " ".join(models)
    if not outcome.imported:
        return outcome.arm.model
    return outcome.attempt.source.rpartition(" ")[0] or outcome.attempt.source


def _model_ids(steps: Sequence[Step]) -> list[str]:
    return sorted({step.completion.model for step in steps if step.completion.model})
