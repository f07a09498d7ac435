"""The verifiers' operating points and calibration curves as one PNG; mappings in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swe_router import plain_values
from swe_router.records import ACCEPTANCE
from swe_router.reports.label_placement import place_labels
from swe_router.reports.plot_parts import (
    error_bar_lengths,
    freeze_layout,
    png_bytes,
    text_without_math,
)
from swe_router.reports.verifier_errors import ALL_TIERS, MIN_INSTANCES

VERIFIER_COLOURS = (
    "#222222",
    "#0969da",
    "#1a7f37",
    "#c0392b",
    "#7b3294",
    "#d0a215",
    "#4c8c8c",
    "#8c564b",
    "#6e7781",
)
"""The combination's own first, then one a verifier in the order of their names."""
TIER_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One per tier."""
DPI = 130
FONT_POINTS = 8
SAME_POINT_PIXELS = 12.0
"""Pixels within which two points are one spot."""
RATE_TITLES = (
    "TPR: right patches accepted, 95% interval",
    "FPR: wrong patches accepted, 95% interval",
)


@text_without_math()
def error_rates_png(facts: Mapping[str, Any]) -> bytes:
    """PNG: on top each group's TPR and FPR with 95% intervals, below their plane and calibration.

    Of single tiers the combination alone is drawn. Hollow points rest on right or wrong patches
    of fewer than ten instances. In the shaded zone a cascade of the one pair that was measured
    holds its strong tier's rate.
    """
    return png_bytes(error_rates_figure(facts))


def error_rates_figure(facts: Mapping[str, Any]) -> Figure:
    """The picture of ``error_rates_png``, before it is bytes."""
    facts = plain_values.as_plain(facts)
    rows = len(_groups_with_point(facts))
    tall = 1.3 + 0.3 * max(rows, 2)
    figure = Figure(figsize=(11.0, tall + 6.0), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    halves = figure.add_gridspec(2, 1, height_ratios=(tall, 6.0))
    colours = _colour_per_verifier(facts)
    rates: Any = halves[0].subgridspec(1, 2).subplots(sharey=True)
    _draw_rate_intervals(rates, facts, colours)
    lower = halves[1].subgridspec(1, 2)
    plane, curve = (figure.add_subplot(lower[0, side]) for side in range(2))
    _draw_operating_points(plane, facts, colours)
    _draw_calibration(curve, facts, colours)
    count = f"{facts['right']} right and {facts['wrong']} wrong patches"
    note = " (recordings, not models)" if facts["recordings"] else ""
    figure.suptitle(f"{count} of {facts['instances']} instances{note}", fontsize=FONT_POINTS + 3)
    freeze_layout(figure)
    _label_points(plane, facts)
    return figure


def _groups_with_point(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Groups with an operating point: a verifier that only has opinions (unknown) has none."""
    return [
        one
        for one in facts["groups"]
        if one["right"]
        and one["wrong"]
        and one["unknown_right"]["k"] + one["unknown_wrong"]["k"] < one["n"]
        and (one["tier"] == _widest_tier(facts) or one["verifier"] == ACCEPTANCE)
    ]


def _group_label(group: Mapping[str, Any]) -> str:
    tier = "all tiers" if group["tier"] == ALL_TIERS else group["tier"]
    return f"{group['verifier']}, {tier}"


def _marker_fill(group: Mapping[str, Any], colour: str) -> str:
    """Hollow where it rests on few."""
    return (
        "white"
        if min(group["right_instances"], group["wrong_instances"]) < MIN_INSTANCES
        else colour
    )


def _colour_per_verifier(facts: Mapping[str, Any]) -> dict[str, str]:
    names = sorted({one["verifier"] for one in facts["groups"]} - {ACCEPTANCE})
    return {ACCEPTANCE: VERIFIER_COLOURS[0]} | {
        name: VERIFIER_COLOURS[1 + k % (len(VERIFIER_COLOURS) - 1)] for k, name in enumerate(names)
    }


def _widest_tier(facts: Mapping[str, Any]) -> str:
    """All tiers together, or the only one."""
    tiers = {one["tier"] for one in facts["groups"]}
    return ALL_TIERS if ALL_TIERS in tiers else next(iter(tiers), ALL_TIERS)


def _draw_rate_intervals(
    tpr_and_fpr_axes: Sequence[Any], facts: Mapping[str, Any], colours: Mapping[str, str]
) -> None:
    """One line per group, without overlaps: left TPR, right FPR."""
    shown = _groups_with_point(facts)
    for axes, key, title in zip(tpr_and_fpr_axes, ("tpr", "fpr"), RATE_TITLES, strict=True):
        for k, one in enumerate(shown):
            rate, colour = one[key], colours[one["verifier"]]
            axes.errorbar(
                rate["rate"],
                k,
                xerr=_rate_error_bar(rate),
                fmt=_tier_marker(facts, one),
                color=colour,
                markerfacecolor=_marker_fill(one, colour),
                markersize=8,
                elinewidth=1.4,
                capsize=3,
                clip_on=False,
            )
            axes.annotate(f"{rate['rate']:.2f}", (1.0, k), xytext=(14, 0), va="center",
                          xycoords=("axes fraction", "data"), textcoords="offset points",
                          fontsize=FONT_POINTS + 1, color=colour)  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(max(1, len(shown)) - 0.5, -0.5))
        axes.set_title(title, fontsize=FONT_POINTS + 2, loc="left")
        axes.grid(axis="x", alpha=0.25)
    tpr_and_fpr_axes[0].set_yticks(range(len(shown)), [
        f"{_group_label(one)} ({one['right']} right, {one['wrong']} wrong)" for one in shown
    ], fontsize=FONT_POINTS + 1)  # fmt: skip
    if not shown:
        _draw_empty_notice(tpr_and_fpr_axes[0], "no group has both a right and a wrong patch")


def _tier_marker(facts: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    tiers = list(dict.fromkeys(group["tier"] for group in facts["groups"]))
    return TIER_MARKERS[tiers.index(group["tier"]) % len(TIER_MARKERS)]


def _draw_operating_points(axes: Any, facts: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """The points where they are: what lies on one spot shares a name, and no interval hides it."""
    ratio, pair = facts["needs"]["ratio"], facts["needs"]["pair"]
    axes.fill_between([0, ratio], [0, 1], [1, 1], color="#bfe5c7", alpha=0.6, lw=0, zorder=0,
                      label=f"a cascade as {pair} would hold its rate")  # fmt: skip
    axes.plot([0, 1], [0, 1], color="#8c959f", lw=0.8, ls="--", zorder=1, label="coin")
    shown = _groups_with_point(facts)
    for one in shown:
        colour = colours[one["verifier"]]
        axes.plot(
            one["fpr"]["rate"],
            one["tpr"]["rate"],
            _tier_marker(facts, one),
            color=colour,
            markersize=9,
            markerfacecolor=_marker_fill(one, colour),
            markeredgewidth=1.6,
            clip_on=False,
            zorder=3,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="FPR: wrong patches accepted",
             ylabel="TPR: right patches accepted")  # fmt: skip
    axes.set_title(
        "Operating points (hollow: of fewer than ten instances)",
        fontsize=FONT_POINTS + 2,
        loc="left",
    )
    axes.grid(alpha=0.25)
    axes.legend(
        fontsize=FONT_POINTS + 1, loc="upper center", bbox_to_anchor=(0.5, -0.11), frameon=False
    )
    if not shown:
        _draw_empty_notice(axes, "no group has both a right and a wrong patch")


def _label_points(axes: Any, facts: Mapping[str, Any]) -> None:
    """A name near each spot, clear of the others; those of one spot below one another."""
    spots: dict[tuple[float, float], list[str]] = {}
    for one in _groups_with_point(facts):
        x, y = axes.transData.transform((one["fpr"]["rate"], one["tpr"]["rate"]))
        near = next(
            (
                at
                for at in spots
                if abs(at[0] - x) < SAME_POINT_PIXELS and abs(at[1] - y) < SAME_POINT_PIXELS
            ),
            None,
        )
        spots.setdefault(near or (float(x), float(y)), []).append(_group_label(one))
    data = axes.transData.inverted()
    points = [tuple(data.transform(spot).tolist()) for spot in spots]
    texts = [
        axes.text(
            *point, "\n".join(names), fontsize=FONT_POINTS, zorder=6, ha="center", va="center"
        )
        for point, names in zip(points, spots.values(), strict=True)
    ]
    place_labels(axes, texts, points)


def _rate_error_bar(rate: Mapping[str, Any]) -> list[list[float]]:
    return error_bar_lengths(rate["rate"], rate["low"], rate["high"])


def _draw_calibration(axes: Any, facts: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    axes.plot([0, 1], [0, 1], color="#8c959f", lw=0.8, ls="--", label="calibrated")
    whole = _widest_tier(facts)
    shown = [one for one in facts["groups"] if one["tier"] == whole and one["calibration"]]
    for one in shown:
        bins = one["calibration"]
        arms = [_rate_error_bar(b) for b in bins]
        axes.errorbar(
            [b["p"] for b in bins], [b["rate"] for b in bins],
            yerr=[[a[side][0] for a in arms] for side in (0, 1)],
            fmt="o-", color=colours[one["verifier"]], lw=1.2, capsize=2, markersize=5,
            elinewidth=0.8, label=f"{one['verifier']} ({one['scored']} patches)", clip_on=False,
        )  # fmt: skip
        for b in bins:
            axes.annotate(
                str(b["n"]),
                (b["p"], b["rate"]),
                xytext=(5, -9),
                fontsize=FONT_POINTS - 1,
                textcoords="offset points",
                color=colours[one["verifier"]],
            )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability that was given",
             ylabel="share that was right")  # fmt: skip
    axes.set_title(
        "Calibration; numbers are patches in a bin", fontsize=FONT_POINTS + 2, loc="left"
    )
    axes.grid(alpha=0.25)
    if shown:
        axes.legend(
            fontsize=FONT_POINTS + 1,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.11),
            ncols=2,
            frameon=False,
        )
    else:
        _draw_empty_notice(axes, "no verifier gave a probability")


def _draw_empty_notice(axes: Any, reason: str) -> None:
    axes.text(0.5, 0.5, reason, ha="center", va="center", fontsize=FONT_POINTS + 2, color="#6e7781",
              transform=axes.transAxes, backgroundcolor="white")  # fmt: skip
