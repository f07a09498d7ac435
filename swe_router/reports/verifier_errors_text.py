"""The verifiers' error rates for people: a terminal view, and a section of ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swe_router.reports.fitted_table import FittedTable
from swe_router.reports.verifier_errors import ALL_TIERS, MIN_INSTANCES
from swe_router.terminal import Console

MAX_NAMED_VERDICTS = 12
"""Wrong verdicts that are named in the terminal; ``--json`` and the files name all."""
CASCADE_WORDS = {
    "holds": ("would hold", "green"),
    "does not hold": ("would fail", "red"),
    "cannot be told": ("?", "dim"),
    "-": ("-", "dim"),
}
"""What the figures say of a cascade of the measured pair -> word and colour."""


def interval_text(
    estimate: Mapping[str, Any] | None, number_format: str = ".2f", key: str = "value"
) -> str:
    """``0.62 [0.49, 0.76]``; a dash of nothing."""
    if estimate is None or estimate.get(key) is None:
        return "-"
    text = format(estimate[key], number_format)
    if estimate["low"] is None:
        return text
    return (
        f"{text} [{format(estimate['low'], number_format)},"
        f" {format(estimate['high'], number_format)}]"
    )


def rate_text(rate: Mapping[str, Any]) -> str:
    """``0.88 [0.75, 0.95]`` of a rate; a dash of nothing."""
    return interval_text(rate, key="rate")


def verifier_errors_view(facts: Mapping[str, Any]) -> RenderableType:
    """The table of rates, what a cascade needs, the wrong verdicts by name, and the caveats."""
    if not facts["candidates"]:
        none = Text("no attempt left a patch that a verifier judged: nothing to account for")
        return Group(none, *(Text(f"- {line}", style="dim") for line in facts["notes"]))
    parts: list[RenderableType] = [Text(candidate_counts_line(facts), style="bold")]
    if facts["right"] + facts["wrong"]:
        parts += [_rates_table(facts), _scores_table(facts), Text(cascade_line(facts))]
    parts += [Text(line) for line in contrast_lines(facts)]
    parts += _wrong_verdict_lines(facts)
    parts += [Text(f"- {line}", style="dim") for line in facts["notes"]]
    return Group(*parts)


def candidate_counts_line(facts: Mapping[str, Any]) -> str:
    """How many candidates there are and how many were right."""
    left = f", {facts['ungraded']} without an official result" if facts["ungraded"] else ""
    return (
        f"{facts['candidates']} candidates of {facts['instances']} instances: {facts['right']}"
        f" right, {facts['wrong']} wrong{left}; runs {', '.join(facts['runs'])}"
    )


def cascade_line(facts: Mapping[str, Any]) -> str:
    """The limits that a cascade of the measured pair sets, in one line."""
    needs = facts["needs"]
    limits = ", ".join(f"{fpr:g} at TPR {tpr}" for tpr, fpr in needs["limits"].items())
    return (
        f"cascade: would hold/fail if your pair were as {needs['pair']} (ratio"
        f" {_without_leading_zero(needs['ratio'])}): the strong tier's resolve rate is held at an"
        f" FPR of {limits};"
        f" ? unclear, - no tier stands above or no rate. Ratio from {needs['source']}"
    )


def contrast_lines(facts: Mapping[str, Any]) -> list[str]:
    """One line per difference, significant or not; those of few patches in one line."""
    out = []
    few = 0
    for one in facts["differences"]:
        if one["said"] == "too few to say":
            few += 1
            continue
        gap = (
            f"{one['what']} of {one['a']} less {one['b']} ({one['of']}):"
            f" {interval_text(one, '+.2f')}"
        )
        sure = "" if one["p"] is None else f" (p {one['p']:.2g})"
        out.append(f"{gap}: {'no difference' if one['said'] == 'none' else 'differs'}{sure}")
    if few:
        out.append(
            f"{few} differences are not reported: fewer than {MIN_INSTANCES} instances on a side"
        )
    return out


def _without_leading_zero(value: float, digits: int = 2) -> str:
    """``.83``: room is scarce in a terminal."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if value < 1 else f"{value:.{digits}f}"


def _short_interval_text(
    estimate: Mapping[str, Any] | None, key: str = "value", digits: int = 2
) -> str:
    """``.83 [.44-.97]``; a dash of nothing."""
    if estimate is None or estimate[key] is None:
        return "-"
    text = _without_leading_zero(estimate[key], digits)
    if estimate["low"] is None:
        return text
    return (
        f"{text} [{_without_leading_zero(estimate['low'], digits)}-"
        f"{_without_leading_zero(estimate['high'], digits)}]"
    )


def _right_aligned_table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(names[0], no_wrap=True)
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _table_by_tier(
    names: Sequence[str],
    groups: Sequence[Mapping[str, Any]],
    row: Any,
    dropped_when_narrow: Sequence[str] = (),
) -> FittedTable:
    """Rows under the name of their tier.

    A terminal without room for all gets the table without ``dropped_when_narrow``, or blocks.
    """

    def table(shown: Sequence[str]) -> Table:
        made, last = _right_aligned_table(*shown), None
        for one in groups:
            if one["tier"] != last:
                last = one["tier"]
                made.add_row(Text("all tiers" if last == ALL_TIERS else last, style="bold"))
            cells = dict(zip(names[1:], row(one), strict=True))
            made.add_row(f" {one['verifier']}", *(cells[name] for name in shown[1:]))
        return made

    narrow = (
        [table([name for name in names if name not in dropped_when_narrow])]
        if dropped_when_narrow
        else []
    )
    return FittedTable(table(names), *narrow, *([table(names)] if narrow else []))


def _rates_table(facts: Mapping[str, Any]) -> FittedTable:
    names = ("verifier", "right\nwrong", "TPR", "FPR", "unknown\nr/w", "s", "USD", "cascade")

    def row(one: Mapping[str, Any]) -> list[Any]:
        verdict = one["needs"]["said"] if one["needs"] else "-"
        unknown = [
            "-" if share["rate"] is None else _without_leading_zero(share["rate"])
            for share in (one["unknown_right"], one["unknown_wrong"])
        ]
        return [
            f"{one['right']}/{one['wrong']}",
            _short_interval_text(one["tpr"], "rate"),
            _short_interval_text(one["fpr"], "rate"),
            "/".join(unknown),
            f"{one['seconds']:.1f}",
            _without_leading_zero(one["usd"], 4) if one["usd"] else "-",
            Text(CASCADE_WORDS[verdict][0], style=CASCADE_WORDS[verdict][1]),
        ]

    return _table_by_tier(names, facts["groups"], row, dropped_when_narrow=("s", "USD"))


def _scores_table(facts: Mapping[str, Any]) -> RenderableType:
    scored = [one for one in facts["groups"] if one["scored"]]
    if not scored:
        return Text("no verifier gave a score: no AUC, Brier score or calibration", "dim")
    names = ("verifier", "scored", "AUC", "in an instance\n/pairs", "Brier", "of base\nrate")

    def row(one: Mapping[str, Any]) -> list[str]:
        pairs, brier = one["pairs"], one["brier"]
        return [
            str(one["scored"]),
            _short_interval_text(one["auc"]),
            f"{_short_interval_text(pairs)}/{pairs['n']}" if pairs else "-",
            _short_interval_text(brier, digits=3),
            _without_leading_zero(brier["of_base_rate"], 3) if brier else "-",
        ]

    return _table_by_tier(names, scored, row)


def _wrong_verdict_lines(facts: Mapping[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for key, words in (
        ("false_accepts", "wrong patch, passed"),
        ("false_rejects", "right patch, failed"),
    ):
        found = facts[key]
        lines = [
            f"  {words} by {one['verifier']}: {one['instance']} {one['attempt']}"
            for one in found[:MAX_NAMED_VERDICTS]
        ]
        if len(found) > MAX_NAMED_VERDICTS:
            lines.append(f"  and {len(found) - MAX_NAMED_VERDICTS} more (--json has all)")
        parts += [Text(line, style="yellow") for line in lines]
    return parts


def verifier_errors_markdown(facts: Mapping[str, Any]) -> str:
    """A section of ``report.md``."""
    console = Console(
        width=150, record=True, file=None, quiet=True, color_system=None, markup=False, emoji=False
    )
    with console.capture() as captured:
        console.quiet = False
        console.print(verifier_errors_view(facts))
    lines = (line.rstrip() for line in captured.get().rstrip().splitlines())
    return "\n## How often the verifiers were wrong\n\n```\n" + "\n".join(lines) + "\n```\n"
