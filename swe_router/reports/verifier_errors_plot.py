"""The verifiers' operating points and calibration curves as one PNG; mappings in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swe_router import plain_values
from swe_router.records import ACCEPTANCE
from swe_router.reports.label_placement import place
from swe_router.reports.plot_parts import arms, literal, png, settle
from swe_router.reports.verifier_errors import ALL, FEW

COLOURS = ("#222222", "#0969da", "#1a7f37", "#c0392b", "#7b3294", "#d0a215", "#4c8c8c", "#8c564b",
           "#6e7781")  # fmt: skip
"""The combination's own first, then one a verifier in the order of their names."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One per tier."""
DPI = 130
FONT = 8
NEAR = 12.0
"""Pixels within which two points are one spot."""
RATES = ("TPR: right patches accepted, 95% interval", "FPR: wrong patches accepted, 95% interval")


@literal()
def curves(facts: Mapping[str, Any]) -> bytes:
    """PNG: on top each group's TPR and FPR with 95% intervals, below their plane and calibration.

    Of single tiers the combination alone is drawn. Hollow points rest on right or wrong patches
    of fewer than ten instances. In the shaded zone a cascade of the one pair that was measured
    holds its strong tier's rate.
    """
    return png(drawn(facts))


def drawn(facts: Mapping[str, Any]) -> Figure:
    """The picture of ``curves``, before it is bytes."""
    facts = plain_values.as_plain(facts)
    rows = len(_shown(facts))
    tall = 1.3 + 0.3 * max(rows, 2)
    figure = Figure(figsize=(11.0, tall + 6.0), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    halves = figure.add_gridspec(2, 1, height_ratios=(tall, 6.0))
    colours = _colours(facts)
    rates: Any = halves[0].subgridspec(1, 2).subplots(sharey=True)
    _intervals(rates, facts, colours)
    lower = halves[1].subgridspec(1, 2)
    plane, curve = (figure.add_subplot(lower[0, side]) for side in range(2))
    _plane(plane, facts, colours)
    _curve(curve, facts, colours)
    count = f"{facts['right']} right and {facts['wrong']} wrong patches"
    note = " (recordings, not models)" if facts["recordings"] else ""
    figure.suptitle(f"{count} of {facts['instances']} instances{note}", fontsize=FONT + 3)
    settle(figure)
    _label(plane, facts)
    return figure


def _shown(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Groups with an operating point: a verifier that only has opinions (unknown) has none."""
    return [
        one
        for one in facts["groups"]
        if one["right"]
        and one["wrong"]
        and one["unknown_right"]["k"] + one["unknown_wrong"]["k"] < one["n"]
        and (one["tier"] == _whole(facts) or one["verifier"] == ACCEPTANCE)
    ]


def _named(one: Mapping[str, Any]) -> str:
    tier = "all tiers" if one["tier"] == ALL else one["tier"]
    return f"{one['verifier']}, {tier}"


def _face(one: Mapping[str, Any], colour: str) -> str:
    """Hollow where it rests on few."""
    return "white" if min(one["right_instances"], one["wrong_instances"]) < FEW else colour


def _colours(facts: Mapping[str, Any]) -> dict[str, str]:
    names = sorted({one["verifier"] for one in facts["groups"]} - {ACCEPTANCE})
    return {ACCEPTANCE: COLOURS[0]} | {
        name: COLOURS[1 + k % (len(COLOURS) - 1)] for k, name in enumerate(names)
    }


def _whole(facts: Mapping[str, Any]) -> str:
    """All tiers together, or the only one."""
    tiers = {one["tier"] for one in facts["groups"]}
    return ALL if ALL in tiers else next(iter(tiers), ALL)


def _intervals(pair: Sequence[Any], facts: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """One line per group, without overlaps: left TPR, right FPR."""
    shown = _shown(facts)
    for axes, key, title in zip(pair, ("tpr", "fpr"), RATES, strict=True):
        for k, one in enumerate(shown):
            rate, colour = one[key], colours[one["verifier"]]
            axes.errorbar(
                rate["rate"], k, xerr=_arms(rate), fmt=_mark(facts, one), color=colour,
                markerfacecolor=_face(one, colour), markersize=8, elinewidth=1.4, capsize=3,
                clip_on=False,
            )  # fmt: skip
            axes.annotate(f"{rate['rate']:.2f}", (1.0, k), xytext=(14, 0), va="center",
                          xycoords=("axes fraction", "data"), textcoords="offset points",
                          fontsize=FONT + 1, color=colour)  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(max(1, len(shown)) - 0.5, -0.5))
        axes.set_title(title, fontsize=FONT + 2, loc="left")
        axes.grid(axis="x", alpha=0.25)
    pair[0].set_yticks(range(len(shown)), [
        f"{_named(one)} ({one['right']} right, {one['wrong']} wrong)" for one in shown
    ], fontsize=FONT + 1)  # fmt: skip
    if not shown:
        _empty(pair[0], "no group has both a right and a wrong patch")


def _mark(facts: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    tiers = list(dict.fromkeys(group["tier"] for group in facts["groups"]))
    return MARKS[tiers.index(one["tier"]) % len(MARKS)]


def _plane(axes: Any, facts: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """The points where they are: what lies on one spot shares a name, and no interval hides it."""
    ratio, pair = facts["needs"]["ratio"], facts["needs"]["pair"]
    axes.fill_between([0, ratio], [0, 1], [1, 1], color="#bfe5c7", alpha=0.6, lw=0, zorder=0,
                      label=f"a cascade as {pair} would hold its rate")  # fmt: skip
    axes.plot([0, 1], [0, 1], color="#8c959f", lw=0.8, ls="--", zorder=1, label="coin")
    shown = _shown(facts)
    for one in shown:
        colour = colours[one["verifier"]]
        axes.plot(
            one["fpr"]["rate"], one["tpr"]["rate"], _mark(facts, one), color=colour, markersize=9,
            markerfacecolor=_face(one, colour), markeredgewidth=1.6, clip_on=False, zorder=3,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="FPR: wrong patches accepted",
             ylabel="TPR: right patches accepted")  # fmt: skip
    axes.set_title("Operating points (hollow: of fewer than ten instances)", fontsize=FONT + 2,
                   loc="left")  # fmt: skip
    axes.grid(alpha=0.25)
    axes.legend(fontsize=FONT + 1, loc="upper center", bbox_to_anchor=(0.5, -0.11), frameon=False)
    if not shown:
        _empty(axes, "no group has both a right and a wrong patch")


def _label(axes: Any, facts: Mapping[str, Any]) -> None:
    """A name near each spot, clear of the others; those of one spot below one another."""
    spots: dict[tuple[float, float], list[str]] = {}
    for one in _shown(facts):
        x, y = axes.transData.transform((one["fpr"]["rate"], one["tpr"]["rate"]))
        near = next((at for at in spots if abs(at[0] - x) < NEAR and abs(at[1] - y) < NEAR), None)
        spots.setdefault(near or (float(x), float(y)), []).append(_named(one))
    data = axes.transData.inverted()
    points = [tuple(data.transform(spot).tolist()) for spot in spots]
    texts = [
        axes.text(*point, "\n".join(names), fontsize=FONT, zorder=6, ha="center", va="center")
        for point, names in zip(points, spots.values(), strict=True)
    ]
    place(axes, texts, points)


def _arms(one: Mapping[str, Any]) -> list[list[float]]:
    return arms(one["rate"], one["low"], one["high"])


def _curve(axes: Any, facts: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    axes.plot([0, 1], [0, 1], color="#8c959f", lw=0.8, ls="--", label="calibrated")
    whole = _whole(facts)
    shown = [one for one in facts["groups"] if one["tier"] == whole and one["calibration"]]
    for one in shown:
        bins = one["calibration"]
        arms = [_arms(b) for b in bins]
        axes.errorbar(
            [b["p"] for b in bins], [b["rate"] for b in bins],
            yerr=[[a[side][0] for a in arms] for side in (0, 1)],
            fmt="o-", color=colours[one["verifier"]], lw=1.2, capsize=2, markersize=5,
            elinewidth=0.8, label=f"{one['verifier']} ({one['scored']} patches)", clip_on=False,
        )  # fmt: skip
        for b in bins:
            axes.annotate(str(b["n"]), (b["p"], b["rate"]), xytext=(5, -9), fontsize=FONT - 1,
                          textcoords="offset points", color=colours[one["verifier"]])  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability that was given",
             ylabel="share that was right")  # fmt: skip
    axes.set_title("Calibration; numbers are patches in a bin", fontsize=FONT + 2, loc="left")
    axes.grid(alpha=0.25)
    if shown:
        axes.legend(fontsize=FONT + 1, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2,
                    frameon=False)  # fmt: skip
    else:
        _empty(axes, "no verifier gave a probability")


def _empty(axes: Any, why: str) -> None:
    axes.text(0.5, 0.5, why, ha="center", va="center", fontsize=FONT + 2, color="#6e7781",
              transform=axes.transAxes, backgroundcolor="white")  # fmt: skip
