"""A leaderboard for the terminal and as CSV; plain mappings in, nothing is recomputed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router import plain_values
from swe_router.reports.fitted_table import FittedTable

CSV_COLUMNS = (
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
_DATE_AND_VERSION = re.compile(r"^\d{8}_(?:[\w-]*v[\d.]+_)?")
"""As in 20250929_mini-v1.13.3_sonnet-4-5: day and version of the scaffold."""
FIGURE_FORMATS = {
    "resolved": ("rate", ".1%", "rate"),
    "usd": ("usd_per_issue", ".3f", "usd_per_issue"),
    "usd alone": ("usd_per_issue", ".3f", ""),
    "hull": ("hull_margin_pp", "+.1f", "hull_margin"),
    "cascade": ("cascade_margin_pp", "+.1f", "cascade_margin"),
    "apgr": ("apgr", ".3f", ""),
    "front": ("on_pareto_probability", ".2f", ""),
}
"""Column of the terminal -> the row's figure, its form, and what its interval is called."""
COLUMN_HEADINGS = {"resolved": "resolved [95%]", "usd": "$/issue [95%]", "usd alone": "$/issue",
         "hull": "over hull, pp [95%]", "cascade": "over cascade, pp [95%]", "apgr": "APGR",
         "front": "P(front)"}  # fmt: skip
WIDE_FIGURES = ("resolved", "usd", "hull", "cascade", "apgr", "front")
NARROW_FIGURES = ("resolved", "usd", "hull")
NARROWEST_FIGURES = ("resolved", "usd alone", "hull")
"""What a terminal has room for: the files have all."""
SURROGATE_VERDICT = "surrogate"
HULL_VERDICT_COLOURS = {"above hull": "green", "below hull": "red"}


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without what all of them share in front, and without dates and versions there."""
    kept = list(dict.fromkeys(names))
    head = _common_prefix_length(kept) if len(kept) > 1 else 0
    bare = {name: _DATE_AND_VERSION.sub("", name[head:]) for name in kept}
    return (
        bare
        if len(set(bare.values())) == len(kept) and all(bare.values())
        else {name: name for name in kept}
    )


def _common_prefix_length(names: Sequence[str]) -> int:
    """Length of the common beginning, cut back to the last separator."""
    count = 0
    for place, letters in enumerate(zip(*names, strict=False), 1):
        if len(set(letters)) > 1:
            break
        if letters[0] in ":/_ ":
            count = place
    return count


def row_labels(facts: Mapping[str, Any]) -> dict[str, str]:
    """What each row is called where room is scarce."""
    systems = short_names([rung["system"] for rung in facts["ladder"]])
    return {
        row["policy"]: f"always-{systems[row['policy'].removeprefix('always-')]}"
        if row["policy"].removeprefix("always-") in systems
        else row["policy"]
        for row in facts["rows"]
    }


def leaderboard_view(facts: Mapping[str, Any]) -> Group:
    """The board as a table, with what it rests on under it."""
    facts = plain_values.as_plain(facts)
    names = row_labels(facts)
    systems = short_names([rung["system"] for rung in facts["ladder"]])
    chain = " -> ".join(
        f"{systems[r['system']]} ({r['rate']:.1%}, ${r['usd_per_issue']:.3f}{_cache_words(r)})"
        for r in facts["ladder"]
    )
    played = [row for row in facts["rows"] if row["rate"] is not None]
    notes = [Text(f"- {line}", style="dim") for line in facts["assumptions"]]
    return Group(
        Text(f"{facts['n']} issues of {facts['table']}; {chain}", style="bold"),
        FittedTable(
            *(
                _table(played, names, few)
                for few in (NARROWEST_FIGURES, NARROW_FIGURES, WIDE_FIGURES)[::-1]
            )
        ),
        *_surrogate_lines(facts["rows"], names),
        Text(""),
        Text(_operating_point(facts["verifier_map"], systems)),
        *notes,
    )


def _cache_words(rung: Mapping[str, Any]) -> str:
    """What a cache did in a system's recorded runs; empty where that is unknown."""
    used = rung.get("cache")
    if not used:
        return ""
    saved = used["saved_usd_per_issue"]
    words = f", {used['share']:.0%} read from a cache"
    return words if saved is None else f"{words}, ${saved:.3f} saved"


def _table(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], figures: Sequence[str]
) -> Table:
    """A row a policy that was played; a surrogate's sentence stands under the table."""
    table = Table(box=None, pad_edge=False)
    widths = (24, 20) if figures is NARROWEST_FIGURES else (None, None)
    table.add_column("policy", overflow="fold", min_width=20, max_width=widths[0])
    for name in figures:
        table.add_column(COLUMN_HEADINGS[name], justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", min_width=19, max_width=widths[1])
    for row in rows:
        verdict = row["verdict"].replace(*_with_short_names(row["verdict"], names))
        verdict = SURROGATE_VERDICT if verdict.startswith(f"{SURROGATE_VERDICT}:") else verdict
        table.add_row(
            names[row["policy"]],
            *(_figure_cell(row, name) for name in figures),
            _verdict_text(verdict),
        )
    return table


def _figure_cell(row: Mapping[str, Any], column: str) -> str:
    """A figure with its interval, where it has one."""
    key, form, ends = FIGURE_FORMATS[column]
    low, high = (figure_text(row, f"{ends}_{end}", form) for end in ("low", "high"))
    return figure_text(row, key, form) + (
        "" if not ends or "-" in (low, high) else f" [{low}, {high}]"
    )


def _surrogate_lines(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[Text]:
    """What surrogates stand in for, and why the rest could not be played; one line per reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["rate"] is None or row["verdict"].startswith(f"{SURROGATE_VERDICT}:"):
            reasons.setdefault(row["verdict"], []).append(names[row["policy"]])
    return [Text(f"{why}: {', '.join(policies)}", style="dim") for why, policies in reasons.items()]


def _with_short_names(verdict: str, names: Mapping[str, str]) -> tuple[str, str]:
    same = verdict.removeprefix("same as ")
    return (same, names[same]) if same != verdict and same in names else ("", "")


def _verdict_text(verdict: str) -> Text:
    return Text(verdict, style=HULL_VERDICT_COLOURS.get(verdict, "dim"))


def figure_text(row: Mapping[str, Any], key: str, number_format: str) -> str:
    """A figure of a row; a dash where it is unknown."""
    return "-" if row.get(key) is None else format(row[key], number_format)


def interval_text(row: Mapping[str, Any], key: str, number_format: str) -> str:
    """The 95% interval of a figure; a dash where it is unknown."""
    low, high = (
        figure_text(row, f"{key}_low", number_format),
        figure_text(row, f"{key}_high", number_format),
    )
    return "-" if "-" in (low, high) else f"{low} to {high}"


def _operating_point(verifier_map_facts: Mapping[str, Any], systems: Mapping[str, str]) -> str:
    here = verifier_map_facts["verifier"]
    kind = "measured" if here["measured"] else "assumed"
    strong = "holds" if here["beats_strong"] else "does not hold"
    hull = "lies above" if here["above_hull"] else "does not lie above"
    weak, top = (
        systems.get(verifier_map_facts[k], verifier_map_facts[k]) for k in ("weak", "strong")
    )
    return (
        f"verifier map: with TPR {here['tpr']:.2f}, FPR {here['fpr']:.2f} ({kind}) the cascade"
        f" {weak} -> {top} {strong} {top}'s rate at no more cost, and {hull} the hull"
    )


def as_csv(facts: Mapping[str, Any]) -> str:
    """One line per row; knobs as JSON, unknown values empty."""
    return plain_values.csv_table(CSV_COLUMNS, facts["rows"])
