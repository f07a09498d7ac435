"""A leaderboard for the terminal and as CSV; plain mappings in, nothing is recomputed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router import plain_values
from swe_router.reports.fitted_table import Fitted

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
CELLS = {
    "resolved": ("rate", ".1%", "rate"),
    "usd": ("usd_per_issue", ".3f", "usd_per_issue"),
    "usd alone": ("usd_per_issue", ".3f", ""),
    "hull": ("hull_margin_pp", "+.1f", "hull_margin"),
    "cascade": ("cascade_margin_pp", "+.1f", "cascade_margin"),
    "apgr": ("apgr", ".3f", ""),
    "front": ("on_pareto_probability", ".2f", ""),
}
"""Column of the terminal -> the row's figure, its form, and what its interval is called."""
HEADS = {"resolved": "resolved [95%]", "usd": "$/issue [95%]", "usd alone": "$/issue",
         "hull": "over hull, pp [95%]", "cascade": "over cascade, pp [95%]", "apgr": "APGR",
         "front": "P(front)"}  # fmt: skip
FIGURES = ("resolved", "usd", "hull", "cascade", "apgr", "front")
NARROWER = ("resolved", "usd", "hull")
NARROWEST = ("resolved", "usd alone", "hull")
"""What a terminal has room for: the files have all."""
SURROGATE = "surrogate"
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
    facts = plain_values.as_plain(facts)
    names = labels(facts)
    systems = short([rung["system"] for rung in facts["ladder"]])
    chain = " -> ".join(
        f"{systems[r['system']]} ({r['rate']:.1%}, ${r['usd_per_issue']:.3f})"
        for r in facts["ladder"]
    )
    played = [row for row in facts["rows"] if row["rate"] is not None]
    notes = [Text(f"- {line}", style="dim") for line in facts["assumptions"]]
    return Group(
        Text(f"{facts['n']} issues of {facts['table']}; {chain}", style="bold"),
        Fitted(*(_table(played, names, few) for few in (NARROWEST, NARROWER, FIGURES)[::-1])),
        *_surrogate_lines(facts["rows"], names),
        Text(""),
        Text(_point(facts["verifier_map"], systems)),
        *notes,
    )


def _table(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], figures: Sequence[str]
) -> Table:
    """A row a policy that was played; a surrogate's sentence stands under the table."""
    table = Table(box=None, pad_edge=False)
    widths = (24, 20) if figures is NARROWEST else (None, None)
    table.add_column("policy", overflow="fold", min_width=20, max_width=widths[0])
    for name in figures:
        table.add_column(HEADS[name], justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", min_width=19, max_width=widths[1])
    for row in rows:
        verdict = row["verdict"].replace(*_renamed(row["verdict"], names))
        verdict = SURROGATE if verdict.startswith(f"{SURROGATE}:") else verdict
        table.add_row(
            names[row["policy"]], *(_cell(row, name) for name in figures), _coloured(verdict)
        )
    return table


def _cell(row: Mapping[str, Any], name: str) -> str:
    """A figure with its interval, where it has one."""
    key, form, ends = CELLS[name]
    low, high = (one(row, f"{ends}_{end}", form) for end in ("low", "high"))
    return one(row, key, form) + ("" if not ends or "-" in (low, high) else f" [{low}, {high}]")


def _surrogate_lines(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[Text]:
    """What surrogates stand in for, and why the rest could not be played; one line per reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["rate"] is None or row["verdict"].startswith(f"{SURROGATE}:"):
            reasons.setdefault(row["verdict"], []).append(names[row["policy"]])
    return [Text(f"{why}: {', '.join(policies)}", style="dim") for why, policies in reasons.items()]


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
    """One line per row; knobs as JSON, unknown values empty."""
    return plain_values.csv_table(COLUMNS, facts["rows"])
