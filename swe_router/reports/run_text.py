"""A run as text: the closing summary, one instance, one attempt, and report.md."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import takewhile, zip_longest

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from swe_router import terminal
from swe_router.estimates.caching.cache_use import CacheBreak, CacheUse
from swe_router.records import Outcome, RunRecord, Step, Stop, Usage
from swe_router.reports import cache_text, gateway_facts, phase_text
from swe_router.reports.fitted_table import FittedTable
from swe_router.reports.run_rows import cache_of_attempt, token_totals
from swe_router.reports.run_summary import (
    RunFacts,
    run_summary,
    standing_of,
    submitted_tier,
    unfinished_instances,
)
from swe_router.reports.sentences import attempt_sentence, counted_noun, verdict_sentence

STANDING_STYLES = {"resolved": "green", "unresolved": "red", "ungraded": "yellow", "empty": "dim"}


def usd_text(value: Decimal | float) -> str:
    """Dollars with four digits after the point: agents' steps cost fractions of a cent."""
    return f"${float(value):.4f}"


MIN_FIGURE_COLUMNS = 80
"""Columns that the table needs in addition to the ids; without them each instance is a block."""


class InstancesTable:
    """One row per instance: what was tried, its cost, its standing.

    An id is copied by hand: it is never folded, whatever the width.
    """

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts
        self._longest = max((len(name) for name in facts.instances), default=0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= self._longest + MIN_FIGURE_COLUMNS:
            yield self._table()
        else:
            yield from self._instances_as_blocks()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("instance", no_wrap=True, min_width=self._longest)
        table.add_column("tried", overflow="fold")
        table.add_column("handed in", overflow="fold")
        table.add_column("USD", justify="right", no_wrap=True)
        table.add_column("standing", no_wrap=True)
        table.add_column("why it stopped", overflow="fold", ratio=1)
        for name in self._facts.instances:
            stands, way, tier, paid, why = self._instance_cells(name)
            table.add_row(name, way, tier, paid, stands, why)
        return table

    def _instances_as_blocks(self) -> Iterator[RenderableType]:
        for name in self._facts.instances:
            stands, way, tier, paid, why = self._instance_cells(name)
            yield Text(name, style="bold", no_wrap=True, overflow="ignore")
            yield Text.assemble("  ", stands, f"  {paid}" if paid else "")
            if way:
                yield Padding(Text(f"{way}; handed in: {tier}"), (0, 0, 0, 2))
                yield Padding(Text(why, style="dim"), (0, 0, 0, 2))

    def _instance_cells(self, instance_id: str) -> tuple[Text, str, str, str, str]:
        """Standing, what was tried, the tier that is handed in, USD, why it stopped."""
        record = self._facts.records.get(instance_id)
        if record is None:
            return Text("owed", style="yellow"), "", "", "", ""
        stands = standing_of(self._facts, instance_id)
        way = " > ".join(attempt_sentence(outcome) for outcome in record.outcomes)
        paid = usd_text(record.whole_usd)
        return (
            Text(stands, style=STANDING_STYLES[stands]),
            way,
            submitted_tier(record) or "-",
            paid,
            record.stop,
        )


def instances_table(facts: RunFacts) -> InstancesTable:
    """One row per instance, as wide as the console."""
    return InstancesTable(facts)


def closing_view(facts: RunFacts) -> RenderableType:
    """The closing summary."""
    facts_json = run_summary(facts)
    tiers = Table(box=None, pad_edge=False)
    for name in ("tier", "attempts", "USD", "resolved", "tokens in", "cached", "out", "saved"):
        tiers.add_column(name, justify="left" if name == "tier" else "right", no_wrap=True)
    for name, row in facts_json["by_tier"].items():
        outcomes = [o for record in facts.records.values() for o in record.outcomes]
        used = _token_texts(phase_text.usages_of_tier(outcomes, name))
        used.append(cache_text.saved_cell(facts.cache.by_tier.get(name, CacheUse())))
        tiers.add_row(name, str(row["attempts"]), usd_text(row["usd"]), str(row["resolved"]), *used)
    money = facts.spending
    parts: list[RenderableType] = [
        Text(
            f"{facts_json['resolved']} resolved, {facts_json['unresolved']} unresolved,"
            f" {facts_json['ungraded']} ungraded, {facts_json['empty']} without a patch"
            f"{_without_patch_sentence(facts)} of {facts_json['instances']};"
            f" {facts_json['escalated']} escalated",
            style="bold",
        ),
        FittedTable(tiers),
        Text(
            f"budget {usd_text(money.budget)} = settled {usd_text(money.settled)} + lost"
            f" {usd_text(money.lost)}"
            f" + reserved {usd_text(money.reserved)} + unused {usd_text(money.unused)}"
        ),
    ]
    parts += [Text(f"served: {line}") for line in gateway_facts.gateway_lines(facts)]
    if saved := cache_text.cache_sentence(facts.cache.whole):
        parts.append(Text(saved))
    if money.calls_out:
        calls = counted_noun(money.calls_out, "call")
        out = f"of what is reserved {usd_text(money.submitted)} is for {calls} out in batches"
        parts.append(Text(f"{out}: a resume collects them", "yellow"))
    for at, by, raised in money.budget_raises:
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
        parts.append(Text(f"the cap was raised to {usd_text(raised)} by {by} on {when}"))
    parts += [
        Text(f"left undone: {name}: {why}", "yellow") for name, why in unfinished_instances(facts)
    ]
    if facts.uses_recordings:
        parts.append(
            Text("The models of this run are recordings: it shows the machinery, not a model.")
        )
    return Group(*parts)


def _token_texts(usages: Sequence[Usage]) -> list[str]:
    """Prompt tokens, the share of them that came from the cache, output tokens; blank of none."""
    used = token_totals(usages)
    prompt = used["input"] + used["cache_read"] + used["cache_write"]
    if not prompt + used["output"]:
        return ["", "", ""]
    share = "-" if used["cache_share"] is None else f"{used['cache_share']:.0%}"
    return [f"{prompt:,}", share, f"{used['output']:,}"]


def _without_patch_sentence(facts: RunFacts) -> str:
    """How many without a patch say nothing of any tier; empty when there are none."""
    bare = [name for name in facts.instances if standing_of(facts, name) == "empty"]
    states = [facts.records[name].status if name in facts.records else "owed" for name in bare]
    kinds = {"owed": "not concluded", "infra": "broken infrastructure", "budget": "lack of money"}
    parts = [f"{states.count(kind)} {word}" for kind, word in kinds.items() if kind in states]
    return f" ({', '.join(parts)})" if parts else ""


def run_view(
    facts: RunFacts,
    warnings: Sequence[str] = (),
    *,
    unavailable_services: Sequence[str] = (),
    ending: str = "",
) -> RenderableType:
    """All instances and the money; then doubts about the files, what stayed away, the end."""
    return Group(
        instances_table(facts),
        Text(""),
        closing_view(facts),
        *(Text(note, "yellow") for note in warnings),
        *(Text(line, "bold") for line in unavailable_services),
        *([Text(ending)] if ending else []),
    )


def _standing(facts: RunFacts, instance_id: str) -> str:
    """The standing, and of an ungraded patch what kept it from being graded."""
    grade = facts.grades.get(instance_id)
    why = grade.why_ungraded[:200] if grade is not None else ""
    return f"{standing_of(facts, instance_id)}{f' ({why})' if why else ''}"


def record_view(record: RunRecord, facts: RunFacts) -> RenderableType:
    """One instance in full: each decision with what it saw, each attempt with its verdicts."""
    parts: list[RenderableType] = [
        Text(f"{record.instance.id}  ({record.instance.repo} at {record.instance.base_commit})"),
        Text(f"stands: {_standing(facts, record.instance.id)}; {record.stop}", style="bold"),
    ]
    left = [one for one in record.outcomes if not one.imported]
    for outcome in record.outcomes:
        if outcome.imported:
            parts.append(Text(f"came with: {outcome.attempt.source}", style="cyan"))
            parts += _outcome_lines(outcome, facts, chosen=outcome.attempt.id == record.chosen)
    for number, decided in enumerate(record.decisions, 1):
        seen = f"saw {usd_text(decided.purse.free)} left, {decided.purse.instances_left} instances"
        if decided.purse.own is not None:
            seen += f", {usd_text(decided.purse.own)} of its own limit"
        parts.append(Text(f"decision {number}: {decided.decision.why}  [{seen}]", style="cyan"))
        if isinstance(decided.decision, Stop):
            continue
        for _ in decided.decision.plans:
            for outcome in _take_outcomes_of_next_plan(left):
                parts += _outcome_lines(outcome, facts, chosen=outcome.attempt.id == record.chosen)
        for gone in record.left_out:
            if gone.move == number - 1:
                names = (
                    f"{counted_noun(len(gone.attempts), 'attempt')} ({', '.join(gone.attempts)})"
                )
                parts.append(Text(f"  left out: {names}: {gone.why}", style="yellow"))
    parts += [line for outcome in left for line in _outcome_lines(outcome, facts, chosen=False)]
    return Group(*parts)


def _take_outcomes_of_next_plan(remaining: list[Outcome]) -> list[Outcome]:
    """Take the outcomes of the next plan: its attempt, and those made again in a fresh sandbox."""
    taken = remaining[:1]
    again = f"{taken[0].attempt.id}." if taken else ""
    taken += takewhile(lambda outcome: outcome.attempt.id.startswith(again), remaining[1:])
    del remaining[: len(taken)]
    return taken


def steps_view(
    steps: Sequence[Step], cache_breaks: Sequence[CacheBreak | None] = ()
) -> RenderableType:
    """Every step of an attempt: the message of the model, its actions and their output.

    ``cache_breaks`` has the break of each step, or None; empty says nothing of them.
    """
    parts: list[RenderableType] = []
    for step, broken in zip_longest(steps, cache_breaks[: len(steps)]):
        message = step.completion.message.content.strip()
        parts.append(Text(_step_heading(step), style="cyan"))
        if choice := phase_text.choice_line(step):
            parts.append(Text(f"  {choice}", style="magenta"))
        if step.note:
            parts.append(Text(f"  note: {step.note}", style="yellow"))
        if broken is not None:
            parts.append(Text(f"  {cache_text.break_sentence(broken)}", style="yellow"))
        if message:
            parts.append(Text(message))
        for action in step.actions:
            arguments = " ".join(f"{k}={v!r}" for k, v in action.call.arguments.items())
            parts.append(Text(f"  > {action.call.name} {arguments}", style="bold"))
            parts.append(Text(action.observation, style="dim"))
    return Group(*parts)


def _step_heading(step: Step) -> str:
    prompt, cached, output = _token_texts([step.completion.usage])
    used = f"  {prompt} tokens in ({cached} from the cache), {output} out" if prompt else ""
    served = gateway_facts.call_words(step.completion)
    served = f"  {served}" if served else ""
    served += "  in a batch" if step.completion.service == "batch" else ""
    who = f"step {step.index + 1}{phase_text.step_tier(step)}"
    return f"{who}  {usd_text(step.completion.usd)}{used}{served}"


def report_markdown(facts: RunFacts) -> str:
    """``report.md``: the closing summary and the table, as text."""
    console = terminal.Console(
        width=140, record=True, file=None, quiet=True, color_system=None, markup=False, emoji=False
    )
    with console.capture() as captured:
        console.quiet = False
        console.print(closing_view(facts))
        console.print(instances_table(facts))
    return f"# Run {facts.run_name}\n\n```\n{captured.get().rstrip()}\n```\n"


def _outcome_lines(outcome: Outcome, facts: RunFacts, *, chosen: bool) -> list[RenderableType]:
    attempt = outcome.attempt
    mark = "  <- handed in" if chosen else ""
    elsewhere = " paid elsewhere" if outcome.imported else ""
    lines: list[RenderableType] = [
        Text(
            f"  attempt {attempt.id}: {phase_text.tiers_words(attempt)},"
            f" {counted_noun(attempt.trajectory.steps, 'step')},"
            f" {usd_text(attempt.trajectory.usd)}{elsewhere}, exit {attempt.trajectory.exit}{mark}",
            style="bold",
        )
    ]
    lines += [Text(f"    {line}") for line in phase_text.share_lines(attempt)]
    prompt, cached, output = _token_texts([attempt.trajectory.usage])
    if prompt:
        lines.append(Text(f"    tokens: {prompt} in ({cached} from the cache), {output} out"))
    if served := gateway_facts.attempt_line(attempt.trajectory):
        lines.append(Text(f"    served: {served}"))
    if saved := cache_text.cache_sentence(cache_of_attempt(facts, outcome)):
        lines.append(Text(f"    cache: {saved}"))
    if attempt.failure:
        lines.append(Text(f"    broke: {attempt.failure.kind}: {attempt.failure.message}", "red"))
    if outcome.candidate is not None and outcome.candidate.patch:
        lines.append(Text(f"    patch: {', '.join(outcome.candidate.files)}"))
    lines += [Text(f"    {verdict_sentence(v)}") for v in outcome.verdicts]
    lines += [Text(f"    audit: {f.kind}: {f.detail}", style="yellow") for f in attempt.audit]
    return lines
