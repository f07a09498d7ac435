"""Verdicts of runs joined with their official results, and what a report shows of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from swe_router.assemble.candidates import Graded, patch_of, resolved
from swe_router.assemble.header import Header, of_run
from swe_router.assemble.look import find
from swe_router.assemble.shown import Shown
from swe_router.errors import UsageError
from swe_router.grading.predictions import Prediction
from swe_router.journal.folder import RunFolder
from swe_router.outcomes.channel import Channel, Measured
from swe_router.outcomes.importers.runs import verdict
from swe_router.records import ACCEPTANCE, Judged, Outcome, RunRecord, Verdict
from swe_router.reports import accounting_html, accounting_plot, accounting_text
from swe_router.reports.accounting import ALL, FEW, accounting, group


def report(names: Sequence[str], folder: Path, out: Path | None) -> Shown:
    """The error rates of the verifiers of one or several runs, and their files.

    Raises ``UsageError``: no such run, a damaged one, a folder that cannot be written.
    """
    facts = of_runs([find(name, folder) for name in dict.fromkeys(names)])
    if out is not None:
        _write(facts, out)
    return Shown(facts=facts, view=accounting_text.view(facts))


def of_runs(runs: Sequence[RunFolder]) -> dict[str, Any]:
    """The accounting of several runs, pooled; a run and its copy count once."""
    headers = [of_run(run) for run in runs]
    rows = dict.fromkeys(
        row for run, header in zip(runs, headers, strict=True) for row in judged(run, header)
    )
    facts = accounting(list(rows), recordings=any(header.recordings for header in headers))
    return {**facts, "runs": [run.name for run in runs]}


def judged(run: RunFolder, header: Header) -> list[Judged]:
    """Every verdict of a run on a patch that is not blank, with its official result if any."""
    graded = run.graded()
    return [row for record in run.records().values() for row in _joined(record, graded, header)]


def channel_of(run: RunFolder, tier: str = "", prefer: str = "") -> Channel:
    """The combination's operating point on a graded run, of one tier or of all.

    ``prefer`` is taken as the tier where the run has it. Raises ``UsageError`` for a tier that
    is not there, and where no right or no wrong patch was judged.
    """
    rows = [row for row in judged(run, of_run(run)) if row.verifier == ACCEPTANCE]
    tiers = list(dict.fromkeys(row.tier for row in rows))
    if tier and tier not in tiers:
        raise UsageError(
            f"run {run.name} has no patch of tier {tier!r}: there is {', '.join(tiers)}"
        )
    asked = tier or (prefer if prefer in tiers else "")
    one = group(asked or ALL, ACCEPTANCE, [r for r in rows if asked in ("", r.tier)])
    tpr, fpr = one["tpr"], one["fpr"]
    if not tpr["n"] or not fpr["n"]:
        raise UsageError(
            f"run {run.name} measures no verifier: {tpr['n']} right and {fpr['n']} wrong patches"
            f" {f'of {asked} ' if asked else ''}have an official result (`swe-router grade`)"
        )
    few = ", too few to rest on" if min(tpr["n"], fpr["n"]) < FEW else ""
    ends = {
        f"{name}_{end}": rate[end]
        for name, rate in (("tpr", tpr), ("fpr", fpr))
        for end in ("low", "high", "n")
    }
    name = f"measured on {asked or 'all tiers'} of {run.name}{few}"
    return Channel(tpr["rate"], fpr["rate"], name, measured=Measured(**ends))


def _joined(record: RunRecord, graded: Graded, header: Header) -> Iterator[Judged]:
    for outcome in record.outcomes:
        patch = patch_of(outcome)
        if not patch.strip() or not outcome.verdicts:
            continue
        tier = header.settings.tiers.get(outcome.arm.model)
        common = {
            "run": record.run,
            "instance_id": record.instance.id,
            "repo": record.instance.repo,
            "attempt": outcome.attempt.id,
            "tier": str(outcome.arm),
            "author": outcome.attempt.source or (tier.model if tier is not None else ""),
            "patch": Prediction(instance_id=record.instance.id, patch=patch).digest,
            "resolved": resolved(graded, record.instance.id, outcome),
        }
        whole = {
            "seconds": sum(one.seconds for one in outcome.verdicts),
            "usd": sum((_usd(one) for one in outcome.verdicts), start=Decimal(0)),
        }
        for one in (*outcome.verdicts, *_combined(outcome)):
            # The combination costs what it rests on.
            own = {"seconds": one.seconds, "usd": _usd(one)}
            yield Judged(
                verifier=one.verifier,
                outcome=one.outcome,
                score=one.score,
                **(whole if one.verifier == ACCEPTANCE else own),
                **common,
            )


def _combined(outcome: Outcome) -> list[Verdict]:
    """What decided on accepting a patch, where no verifier ``acceptance`` did."""
    if outcome.weighed is not None or outcome.candidate is None:
        return []
    return [
        Verdict(
            candidate=outcome.candidate.digest,
            verifier=ACCEPTANCE,
            outcome=verdict(outcome) or "unknown",
        )
    ]


def _usd(one: Verdict) -> Decimal:
    """What a verdict says its own model calls cost; 0 when it made none."""
    try:
        told = Decimal(str(one.evidence.get("usd") or 0))
    except InvalidOperation:
        return Decimal(0)
    return told if told.is_finite() and told >= 0 else Decimal(0)


def _write(facts: Mapping[str, Any], out: Path) -> None:
    curves = accounting_plot.curves(facts)
    content = {
        "report.json": json.dumps(facts, indent=1, default=str).encode(),
        "report.md": accounting_text.markdown(facts).lstrip().encode(),
        "report.html": accounting_html.page(facts, curves).encode(),
        "report.png": curves,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in content.items():
            (out / name).write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from None
