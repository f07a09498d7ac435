"""The verifiers' operating points and calibration curves as one PNG; mappings in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swe_router import plain
from swe_router.records import ACCEPTANCE
from swe_router.reports.accounting import ALL, FEW
from swe_router.reports.drawing import arms, literal, png

COLOURS = ("#222222", "#0969da", "#1a7f37", "#c0392b", "#7b3294", "#d0a215", "#4c8c8c", "#8c564b",
           "#6e7781")  # fmt: skip
"""The combination's own first, then one a verifier in the order of their names."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One a tier."""
DPI = 130
FONT = 8


@literal()
def curves(facts: Mapping[str, Any]) -> bytes:
    """PNG: left the (FPR, TPR) of each verifier with 95% intervals, right calibration.

    Of single tiers the combination alone is drawn. Hollow points rest on right or wrong patches
    of fewer than ten instances. In the shaded zone a cascade of the one pair that was measured
    holds its strong tier's rate.
    """
    facts = plain.plain(facts)
    figure = Figure(figsize=(12.2, 6.0), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    plane, curve = figure.subplots(1, 2)
    colours = _colours(facts)
    _plane(plane, facts, colours)
    _curve(curve, facts, colours)
    count = f"{facts['right']} right and {facts['wrong']} wrong patches"
    said = " (recordings, not models)" if facts["recordings"] else ""
    figure.suptitle(f"{count} of {facts['instances']} instances{said}", fontsize=FONT + 2)
    return png(figure)


def _colours(facts: Mapping[str, Any]) -> dict[str, str]:
    names = sorted({one["verifier"] for one in facts["groups"]} - {ACCEPTANCE})
    return {ACCEPTANCE: COLOURS[0]} | {
        name: COLOURS[1 + k % (len(COLOURS) - 1)] for k, name in enumerate(names)
    }


def _whole(facts: Mapping[str, Any]) -> str:
    """All tiers together, or the only one."""
    tiers = {one["tier"] for one in facts["groups"]}
    return ALL if ALL in tiers else next(iter(tiers), ALL)


def _plane(axes: Any, facts: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    ratio, pair = facts["needs"]["ratio"], facts["needs"]["pair"]
    axes.fill_between([0, ratio], [0, 1], [1, 1], color="#bfe5c7", alpha=0.6, lw=0, zorder=0,
                      label=f"a cascade as {pair} would hold its rate")  # fmt: skip
    axes.plot([0, 1], [0, 1], color="#8c959f", lw=0.8, ls="--", zorder=1, label="coin")
    tiers = list(dict.fromkeys(one["tier"] for one in facts["groups"]))
    # A verifier that only has opinions (always unknown) has no operating point.
    shown = [
        one
        for one in facts["groups"]
        if one["right"]
        and one["wrong"]
        and one["unknown_right"]["k"] + one["unknown_wrong"]["k"] < one["n"]
        and (one["tier"] == _whole(facts) or one["verifier"] == ACCEPTANCE)
    ]
    # The same point twice would hide one: each is moved by a hair, the intervals with it.
    for k, one in enumerate(shown):
        shift = 0.006 * (k % 5 - 2)
        x, y = one["fpr"]["rate"] + shift, one["tpr"]["rate"] - shift
        mark = MARKS[tiers.index(one["tier"]) % len(MARKS)]
        few = min(one["right_instances"], one["wrong_instances"]) < FEW
        colour = colours[one["verifier"]]
        tier = "all tiers" if one["tier"] == ALL else one["tier"]
        axes.errorbar(
            x, y, xerr=_arms(one["fpr"]), yerr=_arms(one["tpr"]), fmt=mark, color=colour,
            markerfacecolor="white" if few else colour, markersize=8 if one["verifier"] ==
            ACCEPTANCE else 6, elinewidth=0.9, capsize=2, alpha=0.9, clip_on=False, zorder=3,
            label=f"{one['verifier']}, {tier} ({one['right']} right, {one['wrong']} wrong)",
        )  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="FPR: wrong patches accepted",
             ylabel="TPR: right patches accepted")  # fmt: skip
    axes.set_title("Operating points, 95% intervals", fontsize=FONT + 2, loc="left")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=FONT - 1, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2,
                frameon=False)  # fmt: skip
    if not shown:
        _empty(axes, "no group has both a right and a wrong patch")


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
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability that was given",
             ylabel="share that was right")  # fmt: skip
    axes.set_title("Calibration; numbers are patches in a bin", fontsize=FONT + 2, loc="left")
    axes.grid(alpha=0.25)
    if shown:
        axes.legend(fontsize=FONT - 1, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2,
                    frameon=False)  # fmt: skip
    else:
        _empty(axes, "no verifier gave a probability")


def _empty(axes: Any, why: str) -> None:
    axes.text(0.5, 0.5, why, ha="center", va="center", fontsize=FONT + 2, color="#6e7781",
              transform=axes.transAxes, backgroundcolor="white")  # fmt: skip
