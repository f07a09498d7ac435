"""Every policy plugin: its idea, its source, its knobs, how far it is to be trusted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from swe_router import plugins
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.policy_abilities import (
    DeclaresKnobs,
    Learner,
    is_sequential,
    maturity_of,
    needs_of,
    source_of,
    surrogate_of,
)
from swe_router.reports.policy_table import policies_view, policy_view
from swe_router.settings.overrides import ALWAYS


def policies(name: str | None = None) -> CommandResult:
    """One row per policy, as a table and as facts; of one policy all that is known.

    Raises ``UsageError`` for a name that there is not.
    """
    if name is not None:
        return _one("fixed" if name.startswith(ALWAYS) else name)
    rows = [_loaded(name) for name in plugins.names("policies")]
    return CommandResult(facts=rows, view=policies_view(rows))


def _one(name: str) -> CommandResult:
    kind = plugins.load("policies", name)
    row = {**_row(name, kind), "text": inspect.getdoc(kind) or ""}
    descriptions = {key: field.description or "" for key, field in _fields(kind).items()}
    return CommandResult(facts=row, view=policy_view(row, descriptions))


def _loaded(name: str) -> Mapping[str, Any]:
    """The row of a policy; of one that cannot be loaded, the reason in the place of its idea."""
    try:
        return _row(name, plugins.load("policies", name))
    except UsageError as error:
        return {"policy": name, "idea": str(error), "source": "", "knobs": {}, "maturity": "broken",
                "surrogate": "", "needs": "", "learns": False, "sequential": False}  # fmt: skip


def _fields(kind: Any) -> Mapping[str, FieldInfo]:
    """The knobs that a policy's class declares; none for one of another package that does not."""
    return kind.knobs_type.model_fields if isinstance(kind, DeclaresKnobs) else {}


def _row(name: str, kind: Any) -> Mapping[str, Any]:
    knobs = {
        key: str(field.get_default(call_default_factory=True))
        for key, field in _fields(kind).items()
    }
    return {
        "policy": name,
        "idea": (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " "),
        "source": source_of(kind),
        "knobs": knobs,
        "maturity": maturity_of(kind),
        "surrogate": surrogate_of(kind),
        "needs": needs_of(kind),
        "learns": issubclass(kind, Learner),
        "sequential": is_sequential(kind),
    }
