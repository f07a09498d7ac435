"""The verifiers' error rates for people: a terminal view, and a section of ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swe_router.reports.fitted_table import Fitted
from swe_router.reports.verifier_errors import ALL, FEW
from swe_router.terminal import Console

SHOWN = 12
"""Wrong verdicts that are named in the terminal; ``--json`` and the files name all."""
SAYS = {
    "holds": ("would hold", "green"),
    "does not hold": ("would fail", "red"),
    "cannot be told": ("?", "dim"),
    "-": ("-", "dim"),
}
"""What the figures say of a cascade of the measured pair -> word and colour."""


def span(one: Mapping[str, Any] | None, form: str = ".2f", key: str = "value") -> str:
    """``0.62 [0.49, 0.76]``; a dash of nothing."""
    if one is None or one.get(key) is None:
        return "-"
    text = format(one[key], form)
    if one["low"] is None:
        return text
    return f"{text} [{format(one['low'], form)}, {format(one['high'], form)}]"


def share(one: Mapping[str, Any]) -> str:
    """``0.88 [0.75, 0.95]`` of a rate; a dash of nothing."""
    return span(one, key="rate")


def view(facts: Mapping[str, Any]) -> RenderableType:
    """The table of rates, what a cascade needs, the wrong verdicts by name, and the caveats."""
    if not facts["candidates"]:
        return Text("no attempt left a patch that a verifier judged: nothing to account for")
    parts: list[RenderableType] = [Text(headline(facts), style="bold")]
    if facts["right"] + facts["wrong"]:
        parts += [_table(facts), _scores(facts), Text(needs(facts))]
    parts += [Text(line) for line in contrast_lines(facts)]
    parts += _wrong(facts)
    parts += [Text(f"- {line}", style="dim") for line in facts["notes"]]
    return Group(*parts)


def headline(facts: Mapping[str, Any]) -> str:
    """How many candidates there are and how many were right."""
    left = f", {facts['ungraded']} without an official result" if facts["ungraded"] else ""
    return (
        f"{facts['candidates']} candidates of {facts['instances']} instances: {facts['right']}"
        f" right, {facts['wrong']} wrong{left}; runs {', '.join(facts['runs'])}"
    )


def needs(facts: Mapping[str, Any]) -> str:
    """The limits that a cascade of the measured pair sets, in one line."""
    needs = facts["needs"]
    limits = ", ".join(f"{fpr:g} at TPR {tpr}" for tpr, fpr in needs["limits"].items())
    return (
        f"cascade: would hold/fail if your pair were as {needs['pair']} (ratio"
        f" {_bare(needs['ratio'])}): the strong tier's resolve rate is held at an FPR of {limits};"
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
        gap = f"{one['what']} of {one['a']} less {one['b']} ({one['of']}): {span(one, '+.2f')}"
        sure = "" if one["p"] is None else f" (p {one['p']:.2g})"
        out.append(f"{gap}: {'no difference' if one['said'] == 'none' else 'differs'}{sure}")
    if few:
        out.append(f"{few} differences are not reported: fewer than {FEW} instances on a side")
    return out


def _bare(value: float, digits: int = 2) -> str:
    """``.83``: room is scarce in a terminal."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if value < 1 else f"{value:.{digits}f}"


def _tight(one: Mapping[str, Any] | None, key: str = "value", digits: int = 2) -> str:
    """``.83 [.44-.97]``; a dash of nothing."""
    if one is None or one[key] is None:
        return "-"
    text = _bare(one[key], digits)
    if one["low"] is None:
        return text
    return f"{text} [{_bare(one['low'], digits)}-{_bare(one['high'], digits)}]"


def _columns(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(names[0], no_wrap=True)
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _by_tier(
    names: Sequence[str], groups: Sequence[Mapping[str, Any]], row: Any, spared: Sequence[str] = ()
) -> Fitted:
    """Rows under the name of their tier.

    A terminal without room for all has the table without the columns ``spared``, or blocks.
    """

    def table(shown: Sequence[str]) -> Table:
        made, last = _columns(*shown), None
        for one in groups:
            if one["tier"] != last:
                last = one["tier"]
                made.add_row(Text("all tiers" if last == ALL else last, style="bold"))
            cells = dict(zip(names[1:], row(one), strict=True))
            made.add_row(f" {one['verifier']}", *(cells[name] for name in shown[1:]))
        return made

    narrow = [table([name for name in names if name not in spared])] if spared else []
    return Fitted(table(names), *narrow, *([table(names)] if narrow else []))


def _table(facts: Mapping[str, Any]) -> Fitted:
    names = ("verifier", "right\nwrong", "TPR", "FPR", "unknown\nr/w", "s", "USD", "cascade")

    def row(one: Mapping[str, Any]) -> list[Any]:
        verdict = one["needs"]["said"] if one["needs"] else "-"
        unknown = [
            "-" if share["rate"] is None else _bare(share["rate"])
            for share in (one["unknown_right"], one["unknown_wrong"])
        ]
        return [
            f"{one['right']}/{one['wrong']}",
            _tight(one["tpr"], "rate"),
            _tight(one["fpr"], "rate"),
            "/".join(unknown),
            f"{one['seconds']:.1f}",
            _bare(one["usd"], 4) if one["usd"] else "-",
            Text(SAYS[verdict][0], style=SAYS[verdict][1]),
        ]

    return _by_tier(names, facts["groups"], row, spared=("s", "USD"))


def _scores(facts: Mapping[str, Any]) -> RenderableType:
    scored = [one for one in facts["groups"] if one["scored"]]
    if not scored:
        return Text("no verifier gave a score: no AUC, Brier score or calibration", "dim")
    names = ("verifier", "scored", "AUC", "in an instance\n/pairs", "Brier", "of base\nrate")

    def row(one: Mapping[str, Any]) -> list[str]:
        pairs, brier = one["pairs"], one["brier"]
        return [
            str(one["scored"]),
            _tight(one["auc"]),
            f"{_tight(pairs)}/{pairs['n']}" if pairs else "-",
            _tight(brier, digits=3),
            _bare(brier["of_base_rate"], 3) if brier else "-",
        ]

    return _by_tier(names, scored, row)


def _wrong(facts: Mapping[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for key, words in (
        ("false_accepts", "wrong patch, passed"),
        ("false_rejects", "right patch, failed"),
    ):
        found = facts[key]
        lines = [
            f"  {words} by {one['verifier']}: {one['instance']} {one['attempt']}"
            for one in found[:SHOWN]
        ]
        if len(found) > SHOWN:
            lines.append(f"  and {len(found) - SHOWN} more (--json has all)")
        parts += [Text(line, style="yellow") for line in lines]
    return parts


def markdown(facts: Mapping[str, Any]) -> str:
    """A section of ``report.md``."""
    console = Console(
        width=150, record=True, file=None, quiet=True, color_system=None, markup=False, emoji=False
    )
    with console.capture() as captured:
        console.quiet = False
        console.print(view(facts))
    lines = (line.rstrip() for line in captured.get().rstrip().splitlines())
    return "\n## How often the verifiers were wrong\n\n```\n" + "\n".join(lines) + "\n```\n"
