"""Every policy plugin: its idea, its source, its knobs, how far it is to be trusted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from rich.table import Table
from rich.text import Text

from swe_router import plugins
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.policy_abilities import DeclaresKnobs, Learner, is_sequential, needs_of
from swe_router.reports.fitted_table import Fitted
from swe_router.settings.overrides import ALWAYS


def policies(name: str | None = None) -> CommandResult:
    """One row a policy, as a table and as facts; of one policy all that is known.

    Raises ``UsageError`` for a name that there is not.
    """
    if name is not None:
        return _one("fixed" if name.startswith(ALWAYS) else name)
    rows = [_loaded(name) for name in plugins.names("policies")]
    table = Table(box=None, pad_edge=False)
    for column in ("policy", "idea", "knobs", "source", "maturity", "stands in / needs"):
        # Words and no letters: what has no room for them is told as a block a policy.
        least = {"policy": None, "source": 14, "maturity": 10}.get(column, 20)
        table.add_column(column, overflow="fold", no_wrap=column == "policy", min_width=least)
    for row in rows:
        knobs = ", ".join(f"{name}={value}" for name, value in row["knobs"].items())
        wants = [f"needs {row['needs']}" if row["needs"] else "", row["surrogate"]]
        table.add_row(row["policy"], row["idea"], knobs, row["source"], row["maturity"],
                      "; ".join(filter(None, wants)))  # fmt: skip
    return CommandResult(facts=rows, view=Fitted(table))


def _one(name: str) -> CommandResult:
    kind = plugins.load("policies", name)
    row = {**_row(name, kind), "text": inspect.getdoc(kind) or ""}
    lines = [name, "", row["text"], "", f"source: {row['source'] or '-'}"]
    lines += [f"maturity: {row['maturity'] or '-'}"]
    lines += [f"needs: {row['needs']}"] if row["needs"] else []
    lines += [f"surrogate: {row['surrogate']}"] if row["surrogate"] else []
    lines += ["", "knobs (--policy-set NAME=VALUE):" if row["knobs"] else "no knobs"]
    for key, field in _fields(kind).items():
        said = f"  {field.description}" if field.description else ""
        lines.append(f"  {key} = {row['knobs'][key]}{said}")
    return CommandResult(facts=row, view=Text("\n".join(lines)))


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
        "source": getattr(kind, "source", ""),
        "knobs": knobs,
        "maturity": getattr(kind, "maturity", ""),
        "surrogate": getattr(kind, "surrogate", ""),
        "needs": needs_of(kind),
        "learns": issubclass(kind, Learner),
        "sequential": is_sequential(kind),
    }
