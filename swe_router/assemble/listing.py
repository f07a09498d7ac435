"""Every policy plugin: its idea, its source, its knobs, how far it is to be trusted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from swe_router import plugins
from swe_router.assemble.shown import Shown


def policies() -> Shown:
    """One row a policy, as a table and as facts."""
    rows = [_row(name, plugins.load("policies", name)) for name in plugins.names("policies")]
    table = Table(box=None, pad_edge=False)
    for column in ("policy", "idea", "knobs", "source", "maturity", "stands in / needs"):
        table.add_column(column, overflow="fold")
    for row in rows:
        knobs = ", ".join(f"{name}={value}" for name, value in row["knobs"].items())
        wants = [f"needs {row['needs']}" if row["needs"] else "", row["surrogate"]]
        table.add_row(row["policy"], row["idea"], knobs, row["source"], row["maturity"],
                      "; ".join(filter(None, wants)))  # fmt: skip
    return Shown(facts=rows, view=table)


def _row(name: str, kind: Any) -> Mapping[str, Any]:
    knobs = {
        key: str(field.get_default(call_default_factory=True))
        for key, field in kind.knobs_type.model_fields.items()
    }
    return {
        "policy": name,
        "idea": (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " "),
        "source": getattr(kind, "source", ""),
        "knobs": knobs,
        "maturity": getattr(kind, "maturity", ""),
        "surrogate": getattr(kind, "surrogate", ""),
        "needs": getattr(kind, "needs", ""),
        "learns": hasattr(kind, "fitted"),
        "sequential": bool(getattr(kind, "sequential", False)),
    }
