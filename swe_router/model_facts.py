"""What is known of models by name, from eval/models.toml: window, reasoning, tools, retirement."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.records import AnswerEnd, FrozenRecord

DEFAULT_WINDOW = 32_768
"""Tokens that every model of today holds: of one that no table knows."""
DEFAULT_TOOLS: Literal["native", "text"] = "text"
"""Of a model that no table knows: calls as text work with every model."""
_REGION = re.compile(
    r"^(?:(?:us|eu|apac|jp|au|global)\.)?"
    r"(?:anthropic|openai|amazon|deepseek|google|meta|mistral|moonshot|moonshotai|qwen|zai)\."
)
"""What Bedrock writes before a model's name."""


class ModelFacts(FrozenRecord):
    """One row of eval/models.toml; its head explains the fields."""

    match: tuple[str, ...]
    window: int = Field(gt=0)
    max_output: int = Field(default=0, ge=0)
    reasoning: Literal["", "none", "effort", "budget", "adaptive"] = ""
    efforts: tuple[str, ...] = ()
    temperature: bool = True
    tools: Literal["native", "text"] = "native"
    parallel: bool = True
    send_back: tuple[str, ...] = ()
    never_send: tuple[str, ...] = ()
    api: Literal["", "responses"] = ""
    retires: datetime.date | None = None
    successor: str = ""
    stops: Mapping[str, AnswerEnd] = Field(default_factory=dict)
    source: str


class _KnownModels(FrozenRecord):
    stops: Mapping[str, Mapping[str, AnswerEnd]]
    model: tuple[ModelFacts, ...]


def bare_name(model: str) -> str:
    """A model's own name: without maker, region, provider and version, in small letters."""
    name = model.rpartition("/")[2].casefold().partition("@")[0].partition(":")[0]
    return _REGION.sub("", name)


def facts_of(model: str) -> ModelFacts | None:
    """What is known of a model; None for one that the table does not know."""
    name = bare_name(model)
    rows = _table().model
    return next((row for row in rows if any(fnmatch(name, kind) for kind in row.match)), None)


def answer_end(dialect: Literal["chat", "anthropic"], reason: Any, model: str) -> AnswerEnd | None:
    """Why an answer ended, by a model's own word for it; None for a word that says nothing."""
    word = str(reason).casefold()
    row = facts_of(model)
    own = row.stops.get(word) if row is not None else None
    return own or _table().stops[dialect].get(word)


def takes_temperature(model: str) -> bool:
    """Whether a model takes a temperature, as far as the table knows."""
    row = facts_of(model)
    return row is None or row.temperature


def notices(model: str, options: Mapping[str, Any]) -> list[str]:
    """What of a tier's options its model is known not to take."""
    row, found = facts_of(model), []
    if row is None:
        return []
    effort = options.get("reasoning_effort", options.get("effort"))
    if effort is not None and row.efforts and effort not in row.efforts:
        found.append(f"{model} knows the efforts {', '.join(row.efforts)}, not {effort!r}")
    thinking = options.get("thinking")
    budget = isinstance(thinking, Mapping) and "budget_tokens" in thinking
    if budget and row.reasoning == "adaptive" and not row.temperature:
        found.append(f"{model} takes no thinking budget: use thinking = {{ type = 'adaptive' }}")
    return found


@cache
def _table(path: Path | None = None) -> _KnownModels:
    file = path or assets.assets_root() / "eval" / "models.toml"
    try:
        return _KnownModels.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read the models {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"{file} is not a table of models: {error}") from None
