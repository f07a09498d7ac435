"""A leaderboard for the terminal and as CSV; plain mappings in, nothing computed anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router import plain

COLUMNS = (
    "policy", "kind", "verdict", "n", "resolved", "rate", "rate_low", "rate_high", "usd",
    "usd_per_issue", "usd_low", "usd_high", "usd_per_resolved", "hull_margin_pp",
    "hull_margin_low", "hull_margin_high", "hull_margin_repo_low", "hull_margin_repo_high",
    "p", "p_holm", "cascade_margin_pp", "cascade_margin_low", "cascade_margin_high",
    "cascade_p", "cascade_p_holm", "cascade_verdict", "lead_pp",
    "lead_low", "lead_high", "mcnemar_p", "non_inferior", "pgr", "aiq",
    "apgr", "cpt50_calls", "cpt80_calls", "cpt50_cost", "cpt80_cost", "cost_save", "hypervolume",
    "ibc", "router_arena", "regret", "regret_abandon", "strong_calls", "on_pareto_probability",
    "rate_random_cv", "surrogate", "same_as", "knobs",
)  # fmt: skip
_DATED = re.compile(r"^\d{8}_(?:[\w-]*v[\d.]+_)?")
"""As in 20250929_mini-v1.13.3_sonnet-4-5: day and version of the scaffold."""
COLOURS = {"above hull": "green", "below hull": "red"}


def short(names: Sequence[str]) -> dict[str, str]:
    """Names without what all of them share in front, and without dates and versions there."""
    kept = list(dict.fromkeys(names))
    head = _common(kept) if len(kept) > 1 else 0
    bare = {name: _DATED.sub("", name[head:]) for name in kept}
    return (
        bare
        if len(set(bare.values())) == len(kept) and all(bare.values())
        else {name: name for name in kept}
    )


def _common(names: Sequence[str]) -> int:
    """Length of the common beginning, cut back to the last separator."""
    count = 0
    for place, letters in enumerate(zip(*names, strict=False), 1):
        if len(set(letters)) > 1:
            break
        if letters[0] in ":/_ ":
            count = place
    return count


def labels(facts: Mapping[str, Any]) -> dict[str, str]:
    """What each row is called where room is scarce."""
    systems = short([rung["system"] for rung in facts["ladder"]])
    return {
        row["policy"]: f"always-{systems[row['policy'].removeprefix('always-')]}"
        if row["policy"].removeprefix("always-") in systems
        else row["policy"]
        for row in facts["rows"]
    }


def view(facts: Mapping[str, Any]) -> Group:
    """The board as a table, with what it rests on under it."""
    facts = plain.plain(facts)
    names = labels(facts)
    systems = short([rung["system"] for rung in facts["ladder"]])
    chain = " -> ".join(
        f"{systems[r['system']]} ({r['rate']:.1%}, ${r['usd_per_issue']:.3f})"
        for r in facts["ladder"]
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("policy", overflow="fold")
    for column in ("resolved", "95%", "$/issue", "95%", "over hull, pp", "95%",
                   "over cascade, pp", "95%", "AIQ", "APGR",
                   "P(front)"):  # fmt: skip
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for row in facts["rows"]:
        said = row["verdict"].replace(*_renamed(row["verdict"], names))
        table.add_row(names[row["policy"]], *_cells(row), _coloured(said))
    notes = [Text(f"- {line}", style="dim") for line in facts["assumptions"]]
    return Group(
        Text(f"{facts['n']} issues of {facts['table']}; {chain}", style="bold"),
        table,
        Text(""),
        Text(_point(facts["verifier_map"], systems)),
        *notes,
    )


def _renamed(verdict: str, names: Mapping[str, str]) -> tuple[str, str]:
    same = verdict.removeprefix("same as ")
    return (same, names[same]) if same != verdict and same in names else ("", "")


def _coloured(verdict: str) -> Text:
    return Text(verdict, style=COLOURS.get(verdict, "dim"))


def one(row: Mapping[str, Any], name: str, form: str) -> str:
    """A figure of a row; a dash where it is unknown."""
    return "-" if row.get(name) is None else format(row[name], form)


def pair(row: Mapping[str, Any], name: str, form: str) -> str:
    """The 95% interval of a figure; a dash where it is unknown."""
    low, high = one(row, f"{name}_low", form), one(row, f"{name}_high", form)
    return "-" if "-" in (low, high) else f"{low} to {high}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    if row["rate"] is None:
        return ["-"] * 11
    return [
        one(row, "rate", ".1%"),
        pair(row, "rate", ".1%"),
        one(row, "usd_per_issue", ".3f"),
        pair(row, "usd_per_issue", ".3f"),
        one(row, "hull_margin_pp", "+.1f"),
        pair(row, "hull_margin", "+.1f"),
        one(row, "cascade_margin_pp", "+.1f"),
        pair(row, "cascade_margin", "+.1f"),
        one(row, "aiq", ".3f"),
        one(row, "apgr", ".3f"),
        one(row, "on_pareto_probability", ".2f"),
    ]


def _point(found: Mapping[str, Any], systems: Mapping[str, str]) -> str:
    here = found["verifier"]
    kind = "measured" if here["measured"] else "assumed"
    strong = "holds" if here["beats_strong"] else "does not hold"
    hull = "lies above" if here["above_hull"] else "does not lie above"
    weak, top = (systems.get(found[k], found[k]) for k in ("weak", "strong"))
    return (
        f"verifier map: with TPR {here['tpr']:.2f}, FPR {here['fpr']:.2f} ({kind}) the cascade"
        f" {weak} -> {top} {strong} {top}'s rate at no more cost, and {hull} the hull"
    )


def as_csv(facts: Mapping[str, Any]) -> str:
    """One line a row; knobs as JSON, what is unknown empty."""
    return plain.table(COLUMNS, facts["rows"])
