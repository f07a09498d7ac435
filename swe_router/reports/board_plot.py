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
from swe_router.reports.board_table import row_labels, short_names
from swe_router.reports.label_placement import place_labels
from swe_router.reports.plot_parts import (
    error_bar_lengths,
    freeze_layout,
    png_bytes,
    text_without_math,
)

KIND_COLOURS = {"oracle": "#7b3294", "baseline": "#222222", "above hull": "#1a7f37",
           "below hull": "#c0392b", "other": "#8c959f"}  # fmt: skip
KIND_MARKERS = {"oracle": "*", "baseline": "s"}
MAX_FULL_SIZE_LINES = 38
"""Lines in the list next to the plot at full size."""
RATE_INTERVAL_KEYS = ("rate_low", "rate_high")
ERROR_RATE_KEYS = ("fpr", "tpr")
POINT_NUMBER_COLOUR = "#57606a"
DPI = 130
FONT_POINTS = 8
TEXT_OUTLINE = [withStroke(linewidth=2.5, foreground="white")]


@text_without_math()
def cost_quality_png(facts: Mapping[str, Any]) -> bytes:
    """PNG: every row at its cost and rate, with 95% intervals, the hull and the frontier.

    Systems, oracles and what is significant against the hull have their names and intervals. The
    others lie in a cloud: each has a number, which the list next to the plot explains.
    """
    facts = plain_values.as_plain(facts)
    figure = Figure(figsize=(12.2, 6.8), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes, legend = figure.subplots(1, 2, width_ratios=(4.6, 1))
    legend.set_axis_off()
    rows = [row for row in facts["rows"] if _has_own_point(row)]
    if not rows:
        axes.text(0.5, 0.5, "no policy could be played", ha="center", transform=axes.transAxes)
        return png_bytes(figure)
    _draw_hull_and_frontier(axes, facts, rows)
    for row in rows:
        colour = KIND_COLOURS[_point_kind(row)]
        x, y = row["usd_per_issue"], 100 * row["rate"]
        strong = _point_kind(row) != "other"
        axes.errorbar(
            x,
            y,
            # Forty intervals over each other would hide the points; the page has them all.
            xerr=error_bar_lengths(x, row.get("usd_per_issue_low"), row.get("usd_per_issue_high"))
            if strong
            else None,
            yerr=error_bar_lengths(
                y, *(None if row[k] is None else 100 * row[k] for k in RATE_INTERVAL_KEYS)
            )
            if strong
            else None,
            fmt=KIND_MARKERS.get(row["kind"], "o"),
            color=colour,
            elinewidth=0.7,
            alpha=0.9 if strong else 0.7,
            markersize=7 if strong else 4,
            zorder=4 if strong else 2,
        )
    _set_up_axes(axes, facts, rows)
    names = row_labels(facts)
    numbers = {row["policy"]: str(k) for k, row in enumerate(_numbered_rows(rows), 1)}
    _draw_name_list(legend, facts, numbers, names)
    freeze_layout(figure)
    _label_points(axes, rows, {**names, **numbers})
    return png_bytes(figure)


def _numbered_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The points that bear a number, from left to right."""
    return sorted(
        (row for row in rows if _point_kind(row) == "other"),
        key=lambda row: (row["usd_per_issue"], -row["rate"]),
    )


def _draw_name_list(
    legend_axes: Any, facts: Mapping[str, Any], numbers: Mapping[str, str], names: Mapping[str, str]
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
    size = (
        FONT_POINTS
        if len(lines) <= MAX_FULL_SIZE_LINES
        else FONT_POINTS * MAX_FULL_SIZE_LINES / len(lines)
    )
    legend_axes.text(
        0,
        1,
        "\n".join(lines),
        transform=legend_axes.transAxes,
        va="top",
        fontsize=size,
        linespacing=1.5,
        color=KIND_COLOURS["baseline"],
    )


def _has_own_point(row: Mapping[str, Any]) -> bool:
    """It has a place on the plane, and that place is its own."""
    return None not in (row["rate"], row["usd_per_issue"]) and not row.get("same_as")


def _point_kind(row: Mapping[str, Any]) -> str:
    if row["kind"] in ("oracle", "baseline"):
        return str(row["kind"])
    verdict = row.get("hull_verdict", "")
    return verdict if verdict in KIND_COLOURS else "other"


def _draw_hull_and_frontier(
    axes: Any, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
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


def _set_up_axes(axes: Any, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    usd = [row["usd_per_issue"] for row in rows]
    if min(usd) > 0 and max(usd) / min(usd) > 8:  # a free tier has no place on a log scale
        axes.set_xscale("log")
        ticks = [t for t in (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
                 if min(usd) / 2 <= t <= max(usd) * 2]  # fmt: skip
        axes.set_xticks(ticks, [f"${t:g}" for t in ticks])
        axes.set_xticks([], minor=True)
    rates = [100 * r[k] for r in rows for k in ("rate", *RATE_INTERVAL_KEYS) if r[k] is not None]
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
    there = {_point_kind(row) for row in rows}
    handles += [
        Line2D(
            [],
            [],
            color=KIND_COLOURS[key],
            marker=KIND_MARKERS.get(key, "o"),
            ls="",
            label=label,
            markersize=4 if key == "other" else 7,
        )
        for key, label in words.items()
        if key in there
    ]
    axes.legend(handles=handles, fontsize=FONT_POINTS, loc="lower right", framealpha=0.9)


def _label_points(axes: Any, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    """Names near the points that bear one, clear of each other and of the legend.

    Names choose their places before the numbers, which are shorter.
    """
    points = [(row["usd_per_issue"], 100 * row["rate"]) for row in rows]
    lines = _points_along_lines(axes)
    dots = [*points, *axes.transData.inverted().transform(lines).tolist()] if lines else points
    ranks = ("baseline", "oracle", "above hull", "below hull", "other")
    order = sorted(
        rows, key=lambda row: (ranks.index(_point_kind(row)), -abs(row["hull_margin_pp"] or 0))
    )
    taken: list[Any] = [axes.get_legend()]
    for numbered in (False, True):
        texts = [
            axes.text(
                row["usd_per_issue"],
                100 * row["rate"],
                names[row["policy"]],
                fontsize=FONT_POINTS - 1.5 if numbered else FONT_POINTS,
                ha="center",
                va="center",
                color=POINT_NUMBER_COLOUR if numbered else KIND_COLOURS[_point_kind(row)],
                zorder=6,
                path_effects=TEXT_OUTLINE,
            )
            for row in order
            if (_point_kind(row) == "other") == numbered
        ]
        taken += place_labels(axes, texts, dots, taken)


def _points_along_lines(axes: Any, gap_pixels: float = 14.0) -> list[tuple[float, float]]:
    """Pixels along the hull and the frontier: a name over a line would seem to cut it off."""
    dots = []
    for line in axes.get_lines():
        if not line.get_label().startswith(("hull", "frontier")):
            continue
        ends = axes.transData.transform(_line_vertices(line))
        for (x, y), (to_x, to_y) in itertools.pairwise(ends.tolist()):
            steps = max(1, int(math.hypot(to_x - x, to_y - y) / gap_pixels))
            dots += [(x + (to_x - x) * k / steps, y + (to_y - y) * k / steps)
                     for k in range(steps)]  # fmt: skip
    return dots


def _line_vertices(line: Any) -> list[tuple[float, float]]:
    """A line's points; of a step (``post``) also where it turns."""
    points = list(zip(*line.get_data(), strict=True))
    if line.get_drawstyle() != "steps-post":
        return points
    turns = [((x, y), (to_x, y)) for (x, y), (to_x, _) in itertools.pairwise(points)]
    return [*(point for pair in turns for point in pair), *points[-1:]]


@text_without_math()
def verifier_map_png(verifier_map_facts: Mapping[str, Any]) -> bytes:
    """PNG: where a cascade beats strong-only and the hull, by TPR and FPR, and the verifier."""
    verifier_map_facts = plain_values.as_plain(verifier_map_facts)
    figure = Figure(figsize=(7.2, 6.2), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = short_names([verifier_map_facts["weak"], verifier_map_facts["strong"]])
    zone = np.array(verifier_map_facts["above_hull"]) + 2 * np.array(
        verifier_map_facts["beats_strong"]
    )
    colours = ["#f3d6d2", "#fbeec2", "#cfe3f7", "#bfe5c7"]
    axis = verifier_map_facts["axis"]
    axes.pcolormesh(axis, axis, zone, cmap=ListedColormap(colours), vmin=-0.5, vmax=3.5)
    here = verifier_map_facts["verifier"]
    across, up = (
        error_bar_lengths(here[k], here.get(f"{k}_low"), here.get(f"{k}_high"))
        for k in ERROR_RATE_KEYS
    )
    axes.errorbar(
        here["fpr"], here["tpr"], xerr=across, yerr=up,
        fmt="o", color="black", capsize=3, clip_on=False, zorder=5,
    )  # fmt: skip
    kind = "measured" if here["measured"] else "assumed"
    left = here["fpr"] > 0.6
    axes.annotate(
        f"{kind}: TPR {here['tpr']:.2f}, FPR {here['fpr']:.2f}\n"
        f"{here['cascade_rate']:.1%} at ${here['cascade_usd']:.3f}",
        (here["fpr"], here["tpr"]), xytext=(-10 if left else 10, -26), fontsize=FONT_POINTS + 1,
        textcoords="offset points", ha="right" if left else "left",
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="FPR: wrong patches accepted",
             ylabel="TPR: right patches accepted")  # fmt: skip
    axes.set_title(
        f"cascade {names[verifier_map_facts['weak']]} -> {names[verifier_map_facts['strong']]}",
        fontsize=10,
    )
    labels = ["neither", "above the hull of blind mixes", "holds the strong system's rate for less",
            "both"]  # fmt: skip
    there = sorted({int(v) for v in np.unique(zone)})
    handles = [Patch(color=colours[k], label=labels[k]) for k in there]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=FONT_POINTS)
    return png_bytes(figure)
