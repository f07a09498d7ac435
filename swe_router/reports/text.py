"""The same facts for people: the closing summary, one instance, and report.md."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import takewhile

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from swe_router.records import IMPORTED, Outcome, RunRecord, Step, Stop
from swe_router.reports.summary import (
    RunFacts,
    left_undone,
    standing,
    summary,
    tier_of,
)

STYLE = {"resolved": "green", "unresolved": "red", "ungraded": "yellow", "empty": "dim"}


def usd(value: Decimal | float) -> str:
    """Dollars with four digits after the point: agents' steps cost fractions of a cent."""
    return f"${float(value):.4f}"


def instances_table(facts: RunFacts) -> Table:
    """One row an instance: what was tried, what it cost, how it stands."""
    table = Table(title=None, box=None, pad_edge=False)
    for name, justify in (("instance", "left"), ("tried", "left"), ("handed in", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("USD", justify="right")
    table.add_column("standing")
    table.add_column("why it stopped", overflow="fold", ratio=1)
    for instance_id in facts.instances:
        record = facts.records.get(instance_id)
        stands = standing(facts, instance_id)
        if record is None:
            table.add_row(instance_id, "", "", "", Text("owed", style="yellow"), "")
            continue
        tried = " > ".join(_tried(outcome) for outcome in record.outcomes)
        table.add_row(
            instance_id,
            tried,
            tier_of(record) or "-",
            usd(record.whole_usd),
            Text(stands, style=STYLE[stands]),
            record.stop,
        )
    return table


def closing(facts: RunFacts) -> RenderableType:
    """The closing summary."""
    facts_json = summary(facts)
    tiers = Table(box=None, pad_edge=False)
    for name in ("tier", "attempts", "USD", "resolved"):
        tiers.add_column(name, justify="left" if name == "tier" else "right")
    for name, row in facts_json["by_tier"].items():
        tiers.add_row(name, str(row["attempts"]), usd(row["usd"]), str(row["resolved"]))
    money = facts.money
    parts: list[RenderableType] = [
        Text(
            f"{facts_json['resolved']} resolved, {facts_json['unresolved']} unresolved,"
            f" {facts_json['ungraded']} ungraded, {facts_json['empty']} without a patch"
            f"{_of_these(facts)} of {facts_json['instances']}; {facts_json['escalated']} escalated",
            style="bold",
        ),
        tiers,
        Text(
            f"budget {usd(money.budget)} = settled {usd(money.settled)} + lost {usd(money.lost)}"
            f" + reserved {usd(money.reserved)} + unused {usd(money.unused)}"
        ),
    ]
    for at, by, raised in money.raises:
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
        parts.append(Text(f"the cap was raised to {usd(raised)} by {by} on {when}"))
    parts += [Text(f"left undone: {name}: {why}", "yellow") for name, why in left_undone(facts)]
    if facts.recordings:
        parts.append(
            Text("The models of this run are recordings: it shows the machinery, not a model.")
        )
    return Group(*parts)


def _of_these(facts: RunFacts) -> str:
    """How many without a patch say nothing of any tier; empty when there are none."""
    bare = [name for name in facts.instances if standing(facts, name) == "empty"]
    states = [facts.records[name].status if name in facts.records else "owed" for name in bare]
    kinds = {"owed": "not concluded", "infra": "broken surroundings", "budget": "lack of money"}
    said = [f"{states.count(kind)} {word}" for kind, word in kinds.items() if kind in states]
    return f" ({', '.join(said)})" if said else ""


def record_view(record: RunRecord, facts: RunFacts) -> RenderableType:
    """One instance in full: each decision with what it saw, each attempt with its verdicts."""
    parts: list[RenderableType] = [
        Text(f"{record.instance.id}  ({record.instance.repo} at {record.instance.base_commit})"),
        Text(f"stands: {standing(facts, record.instance.id)}; {record.stop}", style="bold"),
    ]
    left = [one for one in record.outcomes if one.arm.model != IMPORTED]
    for outcome in record.outcomes:
        if outcome.arm.model == IMPORTED:
            parts.append(Text(f"came with: {outcome.attempt.source}", style="cyan"))
            parts += _outcome_lines(outcome, chosen=outcome.attempt.id == record.chosen)
    for number, decided in enumerate(record.decisions, 1):
        seen = f"saw {usd(decided.purse.left)} left, {decided.purse.instances_left} instances"
        parts.append(Text(f"decision {number}: {decided.decision.why}  [{seen}]", style="cyan"))
        if isinstance(decided.decision, Stop):
            continue
        for _ in decided.decision.plans:
            for outcome in _of_one_plan(left):
                parts += _outcome_lines(outcome, chosen=outcome.attempt.id == record.chosen)
    parts += [line for outcome in left for line in _outcome_lines(outcome, chosen=False)]
    return Group(*parts)


def _of_one_plan(left: list[Outcome]) -> list[Outcome]:
    """Take the outcomes of the next plan: its attempt, and those made again in a fresh box."""
    taken = left[:1]
    again = f"{taken[0].attempt.id}." if taken else ""
    taken += takewhile(lambda outcome: outcome.attempt.id.startswith(again), left[1:])
    del left[: len(taken)]
    return taken


def steps_view(steps: Sequence[Step]) -> RenderableType:
    """Every step of an attempt: what the model said, what it did, what it saw."""
    parts: list[RenderableType] = []
    for step in steps:
        said = step.completion.message.content.strip()
        parts.append(Text(f"step {step.index + 1}  {usd(step.completion.usd)}", style="cyan"))
        if step.note:
            parts.append(Text(f"  note: {step.note}", style="yellow"))
        if said:
            parts.append(Text(said))
        for action in step.actions:
            arguments = " ".join(f"{k}={v!r}" for k, v in action.call.arguments.items())
            parts.append(Text(f"  > {action.call.name} {arguments}", style="bold"))
            parts.append(Text(action.observation, style="dim"))
    return Group(*parts)


def markdown(facts: RunFacts) -> str:
    """``report.md``: the closing summary and the table, as text."""
    console = Console(
        width=140, record=True, file=None, quiet=True, color_system=None, markup=False, emoji=False
    )
    with console.capture() as captured:
        console.quiet = False
        console.print(closing(facts))
        console.print(instances_table(facts))
    return f"# Run {facts.run}\n\n```\n{captured.get().rstrip()}\n```\n"


def _tried(outcome: Outcome) -> str:
    attempt = outcome.attempt
    if attempt.failure is not None:
        return f"{attempt.plan.arm} ({attempt.failure.kind})"
    said = "accepted" if outcome.accepted else "rejected"
    if outcome.candidate is None or not outcome.candidate.patch:
        said = "no patch"
    return f"{attempt.plan.arm} ({attempt.trajectory.exit}, {said})"


def _outcome_lines(outcome: Outcome, *, chosen: bool) -> list[RenderableType]:
    attempt = outcome.attempt
    mark = "  <- handed in" if chosen else ""
    elsewhere = " paid elsewhere" if outcome.arm.model == IMPORTED else ""
    lines: list[RenderableType] = [
        Text(
            f"  attempt {attempt.id}: {attempt.plan.arm}, {attempt.trajectory.steps} steps,"
            f" {usd(attempt.trajectory.usd)}{elsewhere}, exit {attempt.trajectory.exit}{mark}",
            style="bold",
        )
    ]
    if attempt.failure:
        lines.append(Text(f"    broke: {attempt.failure.kind}: {attempt.failure.message}", "red"))
    if outcome.candidate is not None and outcome.candidate.patch:
        lines.append(Text(f"    patch: {', '.join(outcome.candidate.files)}"))
    lines += [
        Text(f"    {v.verifier}: {v.outcome} {_evidence(v.evidence)}") for v in outcome.verdicts
    ]
    lines += [Text(f"    audit: {f.kind}: {f.detail}", style="yellow") for f in attempt.audit]
    return lines


def _evidence(evidence: object) -> str:
    text = str(evidence)
    return text if len(text) <= 200 else text[:197] + "..."
