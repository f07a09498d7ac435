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


def list_policies(name: str | None = None) -> CommandResult:
    """One row per policy, as a table and as facts; of one policy all that is known.

    Raises ``UsageError`` for a name that there is not.
    """
    if name is not None:
        return _one_policy("fixed" if name.startswith(ALWAYS) else name)
    rows = [_policy_row_or_fault(name) for name in plugins.plugin_names("policies")]
    return CommandResult(facts=rows, view=policies_view(rows))


def _one_policy(name: str) -> CommandResult:
    kind = plugins.load_plugin("policies", name)
    row = {**_policy_row(name, kind), "text": inspect.getdoc(kind) or ""}
    descriptions = {key: field.description or "" for key, field in _declared_knobs(kind).items()}
    return CommandResult(facts=row, view=policy_view(row, descriptions))


def _policy_row_or_fault(name: str) -> Mapping[str, Any]:
    """The row of a policy; of one that cannot be loaded, the reason in the place of its idea."""
    try:
        return _policy_row(name, plugins.load_plugin("policies", name))
    except UsageError as error:
        return {"policy": name, "idea": str(error), "source": "", "knobs": {}, "maturity": "broken",
                "surrogate": "", "needs": "", "learns": False, "sequential": False}  # fmt: skip


def _declared_knobs(policy_class: Any) -> Mapping[str, FieldInfo]:
    """The knobs that a policy's class declares; none for one of another package that does not."""
    return policy_class.knobs_type.model_fields if isinstance(policy_class, DeclaresKnobs) else {}


def _policy_row(name: str, policy_class: Any) -> Mapping[str, Any]:
    knobs = {
        key: str(field.get_default(call_default_factory=True))
        for key, field in _declared_knobs(policy_class).items()
    }
    return {
        "policy": name,
        "idea": (inspect.getdoc(policy_class) or "").split("\n\n")[0].replace("\n", " "),
        "source": source_of(policy_class),
        "knobs": knobs,
        "maturity": maturity_of(policy_class),
        "surrogate": surrogate_of(policy_class),
        "needs": needs_of(policy_class),
        "learns": issubclass(policy_class, Learner),
        "sequential": is_sequential(policy_class),
    }
