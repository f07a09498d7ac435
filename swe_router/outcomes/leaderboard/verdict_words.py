"""The word of each row of a board, from its intervals and the number of policies tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.stats import significance

ABOVE, NEITHER, BELOW = "above hull", "not distinguishable from a random mix", "below hull"
MIN_INSTANCES = 10
"""Issues below which no row is compared with a random mix."""
SIGNIFICANCE_LEVEL = 0.05
"""Level of Holm's correction over the policies of the board, which a row's word rests on."""
ROUNDING_SLACK = 1e-9
"""A system on the hull is exactly on it in every resample, up to rounding."""


def set_verdict_words(lines: Sequence[dict[str, Any]]) -> None:
    """Put the words of every row that ran into it: Holm's p-values, then verdicts."""
    _adjust(lines)
    _shared(lines)
    for line in lines:
        if line.get("rate") is not None:
            _set_words(line)


def _set_words(line: dict[str, Any]) -> None:
    """The words of a row that ran, from its intervals and Holm's p-values, in place."""
    n = int(line["n"])
    low, high = (line[f"hull_margin_{end}"] / 100 for end in ("low", "high"))
    line["hull_verdict"] = _margin_word(low, high, n, line.get("p_holm"))
    if "cascade_margin_low" in line:
        low, high = (line[f"cascade_margin_{end}"] / 100 for end in ("low", "high"))
        line["cascade_verdict"] = _margin_word(low, high, n, line.get("cascade_p_holm"))
    policy = "same_as" in line
    line["verdict"] = _row_verdict(line) if policy else line["hull_verdict"]


def _margin_word(low: float, high: float, n: int, p: float | None) -> str:
    """What the interval bears; a resample of a handful of issues bears nothing.

    ``p`` is corrected for the number of policies that the board tries (Holm 1979); None for what
    is not among them, whose interval alone decides.
    """
    if n < MIN_INSTANCES or (p is not None and p >= SIGNIFICANCE_LEVEL):
        return NEITHER
    return ABOVE if low > ROUNDING_SLACK else BELOW if high < -ROUNDING_SLACK else NEITHER


def _row_verdict(line: Mapping[str, Any]) -> str:
    """An alias is no policy; a stand-in is no proof; only then the hull decides."""
    if line["same_as"]:
        return f"same as {line['same_as']}"
    if line["surrogate"]:
        return f"surrogate: {line['surrogate']}"
    return str(line["hull_verdict"])


def _adjust(lines: Sequence[dict[str, Any]]) -> None:
    """Holm over the policies that are their own, in place; a twin has those of its twin."""
    tested = [x for x in lines if "p" in x and x["kind"] == "policy" and not x.get("same_as")]
    for name in ("p", "cascade_p"):
        there = [x for x in tested if name in x]
        for line, p in zip(
            there, significance.holm_adjusted([x[name] for x in there]), strict=True
        ):
            line[f"{name}_holm"] = float(p)
    known = {line["policy"]: line for line in lines}
    for line in lines:
        if line.get("same_as"):
            twin = known[line["same_as"]]
            line |= {n: twin[n] for n in ("p_holm", "cascade_p_holm") if n in twin}


def _shared(lines: Sequence[dict[str, Any]]) -> None:
    """A twin is on the frontier as often as the policy that it is the same as, in place."""
    known = {line["policy"]: line["on_pareto_probability"] for line in lines}
    for line in lines:
        if line.get("same_as"):
            line["on_pareto_probability"] = known[line["same_as"]]
