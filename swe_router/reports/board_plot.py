"""The cost-quality plane and the verifier map as PNG; plain mappings in, bytes out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from swe_router import plain_values
from swe_router.reports.board_table import labels, short
from swe_router.reports.label_placement import place
from swe_router.reports.plot_parts import arms, literal, png, settle

COLOURS = {"oracle": "#7b3294", "baseline": "#222222", "above hull": "#1a7f37",
           "below hull": "#c0392b", "other": "#8c959f"}  # fmt: skip
MARKS = {"oracle": "*", "baseline": "s"}
ROOM = 38
"""Lines in the list next to the plot at full size."""
RATE_ENDS = ("rate_low", "rate_high")
RATES = ("fpr", "tpr")
NUMBER = "#57606a"
DPI = 130
FONT = 8
HALO = [withStroke(linewidth=2.5, foreground="white")]


@literal()
def plane(facts: Mapping[str, Any]) -> bytes:
    """PNG: every row at its cost and rate, with 95% intervals, the hull and the frontier.

    Systems, oracles and what is significant against the hull have their names and intervals. The
    others lie in a cloud: each has a number, which the list next to the plot explains.
    """
    facts = plain_values.as_plain(facts)
    figure = Figure(figsize=(12.2, 6.8), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes, legend = figure.subplots(1, 2, width_ratios=(4.6, 1))
    legend.set_axis_off()
    rows = [row for row in facts["rows"] if _drawn(row)]
    if not rows:
        axes.text(0.5, 0.5, "no policy could be played", ha="center", transform=axes.transAxes)
        return png(figure)
    _lines(axes, facts, rows)
    for row in rows:
        colour = COLOURS[_kind(row)]
        x, y = row["usd_per_issue"], 100 * row["rate"]
        strong = _kind(row) != "other"
        axes.errorbar(
            x, y,
            # Forty intervals over each other would hide the points; the page has them all.
            xerr=arms(x, row.get("usd_per_issue_low"), row.get("usd_per_issue_high"))
            if strong else None,
            yerr=arms(y, *(None if row[k] is None else 100 * row[k] for k in RATE_ENDS))
            if strong else None,
            fmt=MARKS.get(row["kind"], "o"), color=colour,
            elinewidth=0.7, alpha=0.9 if strong else 0.7, markersize=7 if strong else 4,
            zorder=4 if strong else 2,
        )  # fmt: skip
    _axes(axes, facts, rows)
    names = labels(facts)
    numbers = {row["policy"]: str(k) for k, row in enumerate(_numbered(rows), 1)}
    _listed(legend, facts, numbers, names)
    settle(figure)
    _label(axes, rows, {**names, **numbers})
    return png(figure)


def _numbered(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The points that bear a number, from left to right."""
    return sorted(
        (row for row in rows if _kind(row) == "other"),
        key=lambda row: (row["usd_per_issue"], -row["rate"]),
    )


def _listed(
    axes: Any, facts: Mapping[str, Any], numbers: Mapping[str, str], names: Mapping[str, str]
) -> None:
    """The names of the numbered points, and policies that decide alike."""
    twins: dict[str, list[str]] = {}
    for row in facts["rows"]:
        if row.get("same_as"):
            twins.setdefault(row["same_as"], []).append(names[row["policy"]])
    lines = [
        f"{number:>2}  {' = '.join([names[policy], *twins.get(policy, [])])}"
        for policy, number in numbers.items()
    ]
    size = FONT if len(lines) <= ROOM else FONT * ROOM / len(lines)
    axes.text(0, 1, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=size,
              linespacing=1.5, color=COLOURS["baseline"])  # fmt: skip


def _drawn(row: Mapping[str, Any]) -> bool:
    """It has a place on the plane, and that place is its own."""
    return None not in (row["rate"], row["usd_per_issue"]) and not row.get("same_as")


def _kind(row: Mapping[str, Any]) -> str:
    if row["kind"] in ("oracle", "baseline"):
        return str(row["kind"])
    verdict = row.get("hull_verdict", "")
    return verdict if verdict in COLOURS else "other"


def _lines(axes: Any, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    hull = facts["hull"]
    axes.plot(
        [p["usd_per_issue"] for p in hull], [100 * p["rate"] for p in hull], color="#0969da",
        lw=1.6, zorder=3, label="hull: best blind mix of the ladder",
    )  # fmt: skip
    best, front = -1.0, []
    for row in sorted(rows, key=lambda r: (r["usd_per_issue"], -r["rate"])):
        if row["kind"] != "oracle" and row["rate"] > best:
            best = row["rate"]
            front.append((row["usd_per_issue"], 100 * best))
    axes.step(
        [x for x, _ in front], [y for _, y in front], where="post", color="#1a7f37", lw=1,
        ls="--", zorder=1, label="frontier of the rows",
    )  # fmt: skip
    # Systems far dearer than every row would press the rows into a corner: they are counted.
    edge = 1.5 * max(row["usd_per_issue_high"] or row["usd_per_issue"] for row in rows)
    whole = [s for s in facts["systems"] if s["n"] == facts["n"]]
    others = [s for s in whole if s["usd"] <= edge]
    beyond = (
        f" ({len(whole) - len(others)} dearer ones not shown)" if len(whole) > len(others) else ""
    )
    axes.scatter(
        [s["usd"] for s in others], [100 * s["rate"] for s in others], s=14, marker="x",
        color="#d0a215", zorder=1, label=f"other systems of the table{beyond}",
    )  # fmt: skip


def _axes(axes: Any, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    usd = [row["usd_per_issue"] for row in rows]
    if min(usd) > 0 and max(usd) / min(usd) > 8:  # a free tier has no place on a log scale
        axes.set_xscale("log")
        ticks = [t for t in (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
                 if min(usd) / 2 <= t <= max(usd) * 2]  # fmt: skip
        axes.set_xticks(ticks, [f"${t:g}" for t in ticks])
        axes.set_xticks([], minor=True)
    rates = [100 * r[k] for r in rows for k in ("rate", *RATE_ENDS) if r[k] is not None]
    axes.set_ylim(min(rates) - 2, max(rates) + 2)
    axes.margins(x=0.12)
    axes.set_xlabel("USD an issue (mean, 95% interval)")
    axes.set_ylabel("resolved, % (95% interval)")
    verifier = facts["channel"]["said"].split(" (")[0]
    axes.set_title(f"{facts['n']} issues; verifier: {verifier}", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    handles, _ = axes.get_legend_handles_labels()
    words = {"oracle": "oracle", "baseline": "one system, blind mix", "above hull": "above hull",
             "below hull": "below hull",
             "other": "no better than a random mix, by number"}  # fmt: skip
    there = {_kind(row) for row in rows}
    handles += [
        Line2D([], [], color=COLOURS[key], marker=MARKS.get(key, "o"), ls="", label=label,
               markersize=4 if key == "other" else 7)
        for key, label in words.items() if key in there
    ]  # fmt: skip
    axes.legend(handles=handles, fontsize=FONT, loc="lower right", framealpha=0.9)


def _label(axes: Any, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    """Names near the points that bear one, clear of each other and of the legend.

    Names choose their places before the numbers, which are shorter.
    """
    points = [(row["usd_per_issue"], 100 * row["rate"]) for row in rows]
    lines = _along(axes)
    dots = [*points, *axes.transData.inverted().transform(lines).tolist()] if lines else points
    ranks = ("baseline", "oracle", "above hull", "below hull", "other")
    order = sorted(
        rows, key=lambda row: (ranks.index(_kind(row)), -abs(row["hull_margin_pp"] or 0))
    )
    taken: list[Any] = [axes.get_legend()]
    for numbered in (False, True):
        texts = [
            axes.text(
                row["usd_per_issue"], 100 * row["rate"], names[row["policy"]],
                fontsize=FONT - 1.5 if numbered else FONT, ha="center", va="center",
                color=NUMBER if numbered else COLOURS[_kind(row)], zorder=6, path_effects=HALO,
            )
            for row in order if (_kind(row) == "other") == numbered
        ]  # fmt: skip
        taken += place(axes, texts, dots, taken)


def _along(axes: Any, apart: float = 14.0) -> list[tuple[float, float]]:
    """Pixels along the hull and the frontier: a name over a line would seem to cut it off."""
    dots = []
    for line in axes.get_lines():
        if not line.get_label().startswith(("hull", "frontier")):
            continue
        ends = axes.transData.transform(_corners(line))
        for (x, y), (to_x, to_y) in itertools.pairwise(ends.tolist()):
            steps = max(1, int(math.hypot(to_x - x, to_y - y) / apart))
            dots += [(x + (to_x - x) * k / steps, y + (to_y - y) * k / steps)
                     for k in range(steps)]  # fmt: skip
    return dots


def _corners(line: Any) -> list[tuple[float, float]]:
    """A line's points; of a step (``post``) also where it turns."""
    points = list(zip(*line.get_data(), strict=True))
    if line.get_drawstyle() != "steps-post":
        return points
    turns = [((x, y), (to_x, y)) for (x, y), (to_x, _) in itertools.pairwise(points)]
    return [*(point for pair in turns for point in pair), *points[-1:]]


@literal()
def verifier_map(found: Mapping[str, Any]) -> bytes:
    """PNG: where a cascade beats strong-only and the hull, by TPR and FPR, and the verifier."""
    found = plain_values.as_plain(found)
    figure = Figure(figsize=(7.2, 6.2), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = short([found["weak"], found["strong"]])
    zone = np.array(found["above_hull"]) + 2 * np.array(found["beats_strong"])
    colours = ["#f3d6d2", "#fbeec2", "#cfe3f7", "#bfe5c7"]
    axis = found["axis"]
    axes.pcolormesh(axis, axis, zone, cmap=ListedColormap(colours), vmin=-0.5, vmax=3.5)
    here = found["verifier"]
    across, up = (arms(here[k], here.get(f"{k}_low"), here.get(f"{k}_high")) for k in RATES)
    axes.errorbar(
        here["fpr"], here["tpr"], xerr=across, yerr=up,
        fmt="o", color="black", capsize=3, clip_on=False, zorder=5,
    )  # fmt: skip
    kind = "measured" if here["measured"] else "assumed"
    left = here["fpr"] > 0.6
    axes.annotate(
        f"{kind}: TPR {here['tpr']:.2f}, FPR {here['fpr']:.2f}\n"
        f"{here['cascade_rate']:.1%} at ${here['cascade_usd']:.3f}",
        (here["fpr"], here["tpr"]), xytext=(-10 if left else 10, -26), fontsize=FONT + 1,
        textcoords="offset points", ha="right" if left else "left",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="FPR: wrong patches accepted",
             ylabel="TPR: right patches accepted")  # fmt: skip
    axes.set_title(f"cascade {names[found['weak']]} -> {names[found['strong']]}", fontsize=10)
    labels = ["neither", "above the hull of blind mixes", "holds the strong system's rate for less",
            "both"]  # fmt: skip
    there = sorted({int(v) for v in np.unique(zone)})
    handles = [Patch(color=colours[k], label=labels[k]) for k in there]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=FONT)
    return png(figure)
