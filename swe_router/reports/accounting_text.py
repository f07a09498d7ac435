"""The verifiers' error rates for people: a terminal view, and a section of ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from swe_router.reports.accounting import ALL, FEW

SHOWN = 12
"""Wrong verdicts that are named in the terminal; ``--json`` and the files name all."""
SAYS = {"holds": "green", "does not hold": "red", "cannot be told": "dim"}


def span(one: Mapping[str, Any] | None, form: str = ".2f", key: str = "value") -> str:
    """``.62 [.49, .76]``; a dash of nothing."""
    if one is None or one.get(key) is None:
        return "-"
    text = format(one[key], form)
    if one["low"] is None:
        return text
    return f"{text} [{format(one['low'], form)}, {format(one['high'], form)}]"


def share(one: Mapping[str, Any], *, interval: bool = True) -> str:
    """``.88 [.75, .95]`` of a rate; a dash of nothing."""
    if one["rate"] is None:
        return "-"
    return span(one, key="rate") if interval else f"{one['rate']:.2f}"


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
    """The limits that a cascade sets, in one line."""
    limits = ", ".join(f"{fpr:g} at TPR {tpr}" for tpr, fpr in facts["needs"]["limits"].items())
    return (
        f"cascade: to hold the strong tier's resolve rate the FPR may be {limits}"
        " (DeepSeek V3.2 -> Sonnet 4.5 on SWE-bench Verified)"
    )


def contrast_lines(facts: Mapping[str, Any]) -> list[str]:
    """One line a difference that could be told or not; those of few patches in one."""
    out = []
    few = 0
    for one in facts["differences"]:
        if one["said"] == "too few to say":
            few += 1
            continue
        gap = f"{one['what']} of {one['a']} less {one['b']} ({one['of']}): {span(one, '+.2f')}"
        out.append(f"{gap}: {'no difference' if one['said'] == 'none' else 'differs'}")
    if few:
        out.append(f"{few} differences are not told: fewer than {FEW} instances on a side")
    return out


def _table(facts: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("tier", "verifier"):
        table.add_column(name, overflow="fold")
    for name in ("right", "wrong", "TPR", "FPR", "unknown: right", "wrong", "s", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("cascade", overflow="fold")
    for one in facts["groups"]:
        said = one["needs"]["said"] if one["needs"] else "-"
        table.add_row(
            "all tiers" if one["tier"] == ALL else one["tier"],
            one["verifier"],
            str(one["right"]),
            str(one["wrong"]),
            share(one["tpr"]),
            share(one["fpr"]),
            share(one["unknown_right"], interval=False),
            share(one["unknown_wrong"], interval=False),
            f"{one['seconds']:.2f}",
            f"{one['usd']:.4f}",
            Text(said, style=SAYS.get(said, "dim")),
        )
    return table


def _scores(facts: Mapping[str, Any]) -> RenderableType:
    scored = [one for one in facts["groups"] if one["brier"] is not None]
    if not scored:
        return Text("no verifier gave a probability: no AUC, Brier score or calibration", "dim")
    table = Table(box=None, pad_edge=False)
    for name in ("tier", "verifier"):
        table.add_column(name, overflow="fold")
    for name in ("scored", "AUC", "ordered right in an instance", "Brier", "of the base rate"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in scored:
        pairs = one["pairs"]
        table.add_row(
            "all tiers" if one["tier"] == ALL else one["tier"],
            one["verifier"],
            str(one["scored"]),
            span(one["auc"]),
            f"{span(pairs)} of {pairs['n']}" if pairs else "-",
            span(one["brier"], ".3f"),
            f"{one['brier']['of_base_rate']:.3f}",
        )
    return table


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
    console = Console(width=150, record=True, file=None, quiet=True, color_system=None)
    with console.capture() as captured:
        console.quiet = False
        console.print(view(facts))
    lines = (line.rstrip() for line in captured.get().rstrip().splitlines())
    return "\n## How often the verifiers were wrong\n\n```\n" + "\n".join(lines) + "\n```\n"
