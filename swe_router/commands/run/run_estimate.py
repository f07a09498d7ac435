"""``run --dry-run``: the expected instances, USD, hours and GB of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import assets
from swe_router.commands.run import batch_forecast, forecast
from swe_router.errors import SweRouterError
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.prices import PriceRate
from swe_router.records import Instance, Usage
from swe_router.wiring import training_data

if TYPE_CHECKING:
    import swe_router.outcomes.tables.table as tables
    from swe_router.estimates.prediction import reach
    from swe_router.outcomes.importers import forms
    from swe_router.outcomes.simulation import verifier_model
    from swe_router.outcomes.tables import shipped
    from swe_router.sandboxes import docker_engine
else:
    tables = deferred_module("swe_router.outcomes.tables.table")
    reach = deferred_module("swe_router.estimates.prediction.reach")
    verifier_model = deferred_module("swe_router.outcomes.simulation.verifier_model")
    shipped = deferred_module("swe_router.outcomes.tables.shipped")
    forms = deferred_module("swe_router.outcomes.importers.forms")
    docker_engine = deferred_module("swe_router.sandboxes.docker_engine")

ESTIMATED_FIGURES = ("instances", "resolved", "usd", "hours", "usd_of_all")


def estimate_run(
    header: Header, instances: Sequence[Instance], outcome_table_path: str
) -> dict[str, Any]:
    """How many instances the budget is expected to reach.

    By the outcome table in the file ``outcome_table_path``; empty is the table that the policy's
    knobs name, else the shipped one.

    Raises ``UsageError`` for a table that cannot be read or holds no cost.
    """
    settings = header.settings
    _, asked = training_data.split_knobs(settings.policy.knobs)
    file = outcome_table_path or asked.outcomes
    if header.recordings and not file and (own := _past_tier_of_demo_run()) is not None:
        return _simulated_estimate(header, instances, [own], 1.0, 1.0, 1, {
            "table": "the shipped demo run", "issues": len(own.usd), "stands_for": {},
            "applies": "the same recordings, routed by cascade",
        })  # fmt: skip
    known = forms.read_table(Path(file)) if file else shipped.shipped_table()
    plans, many = forecast.possible_plans(header)
    arms = [str(plan.arm) for plan in plans]
    mapped = training_data.systems_of_arms(known, dict(asked.systems), arms)
    issues = [one for one in known.instances
              if all((one, system) in known.runs for system in mapped.values())]  # fmt: skip
    heard = verifier_model.parse_verifier_model(asked.verifier)
    ladder = [
        _past_tier(known, issues, mapped[arm], header.rates[plan.arm.model],
              float(plan.budget.dollars), plan.budget.seconds)
        for plan, arm in zip(plans, arms, strict=True)
    ]  # fmt: skip
    name = Path(file).name if file else "the shipped outcomes (SWE-Effi)"
    found = _simulated_estimate(header, instances, ladder, heard.tpr, heard.fpr, many, {
        "table": name, "issues": len(issues), "stands_for": mapped,
        "applies": _calibration_note(header, file),
    })  # fmt: skip
    first = plans[0].arm
    past = _past_attempts(known, issues, mapped[str(first)])
    if header.settings.batch.enabled and past and first.model in header.batch_rates:
        found["batches"] = batch_forecast.forecast_batches(
            past, header.rates[first.model], header.batch_rates[first.model],
            instances=len(instances), at_once=header.settings.batch.instances,
            minutes=header.settings.batch.expected_minutes,
        )  # fmt: skip
        found["batch_minutes"] = header.settings.batch.expected_minutes
    return found


def _past_attempts(
    table: tables.OutcomeTable, instance_ids: Sequence[str], system: str
) -> list[batch_forecast.PastTokens]:
    """The runs of a system whose steps and tokens are known."""
    rows = [row for one in instance_ids for row in table.runs[(one, system)]]
    return [
        batch_forecast.PastTokens(
            row.steps,
            row.input_tokens + (row.cache_read_tokens or 0) + (row.cache_write_tokens or 0),
            row.output_tokens,
        )
        for row in rows
        if row.steps and row.input_tokens is not None and row.output_tokens is not None
    ]


def _simulated_estimate(
    header: Header,
    instances: Sequence[Instance],
    ladder: Sequence[reach.PastTier],
    tpr: float,
    fpr: float,
    max_candidates: int,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    found = reach.simulate_reach(
        ladder,
        instances=len(instances),
        budget=float(header.settings.budget),
        tpr=tpr,
        fpr=fpr,
        workers=header.settings.workers,
        attempts_per_rung=max_candidates,
        seed=header.settings.seed,
    )
    figures = {
        name: dict(
            zip(("expected", "low", "high"), _rounded_figures(getattr(found, name)), strict=True)
        )
        for name in ESTIMATED_FIGURES
    }
    return {
        **figures,
        "of": len(instances),
        "gb": _image_download_facts(header, instances),
        **provenance,
    }


def _past_tier_of_demo_run() -> reach.PastTier | None:
    """Whole instances of the demo run that ships; None where it does not."""
    try:
        run = RunFolder.find("sample", assets.assets_root() / "runs")
        records, grades = run.records(), run.grades()
    except SweRouterError:
        return None
    rows = [(float(one.whole_usd), one.seconds, name) for name, one in records.items()]
    if not rows:
        return None
    usd, seconds, names = zip(*rows, strict=True)
    right = [float(name in grades and grades[name].outcome == "resolved") for name in names]
    return reach.PastTier(usd, seconds, right)


def estimate_lines(estimate: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    usd, hours, all_ = estimate["usd"], estimate["hours"], estimate["usd_of_all"]
    reached = estimate["instances"]
    short = reached["expected"] < estimate["of"]
    verdict = (
        f"the cap is under the ${all_['expected']:.2f} that all are expected to cost"
        if short
        else f"all are expected to cost ${all_['expected']:.2f}, under the cap"
    )
    stands = "".join(f", {arm} = {system}" for arm, system in estimate["stands_for"].items())
    gb = estimate["gb"]
    disk = (
        "no image is to be pulled"
        if not gb["images"]
        else f"{gb['images']} images to be pulled: about {gb['expected']:.0f} GB"
        f" (90%: {gb['low']:.0f} to {gb['high']:.0f})"
        if gb["expected"] is not None
        else f"{gb['images']} images to be pulled, of unknown size"
    )
    return [
        f"expected: {reached['expected']:.0f} of {estimate['of']} instances reached"
        f" (90%: {reached['low']:.0f} to {reached['high']:.0f}), for ${usd['expected']:.2f}"
        f" (${usd['low']:.2f} to ${usd['high']:.2f}) and {hours['expected']:.1f} hours"
        f" ({hours['low']:.1f} to {hours['high']:.1f}); {verdict}",
        *(
            batch_forecast.batch_forecast_lines(estimate["batches"], estimate["batch_minutes"])
            if "batches" in estimate
            else ()
        ),
        f"disk: {disk}",
        f"by {estimate['issues']} issues of {estimate['table']}{stands}; {estimate['applies']}",
    ]


def _past_tier(
    table: tables.OutcomeTable,
    instance_ids: Sequence[str],
    system: str,
    rate: PriceRate,
    max_usd: float,
    max_seconds: float,
) -> reach.PastTier:
    usd, wall, right = [], [], []
    for one in instance_ids:
        runs = table.runs[(one, system)]
        costs = [
            min(max_usd, cost)
            for row in runs
            if (cost := _usd_at_tier_price(row, rate)) is not None
        ]
        usd.append(sum(costs) / len(costs) if costs else max_usd)
        times = [row.seconds for row in runs if row.seconds is not None]
        mean = sum(times) / len(times) if times else max_seconds
        wall.append(min(mean, max_seconds) if max_seconds else mean)
        right.append(sum(row.resolved for row in runs) / len(runs))
    return reach.PastTier(usd, wall, right)


def _usd_at_tier_price(row: tables.OutcomeRow, rate: PriceRate) -> float | None:
    """A past run's tokens at the tier's price; its own cost where its tokens are unknown."""
    if row.input_tokens is None or row.output_tokens is None:
        return row.usd
    calls = max(1, row.steps or 1)
    usage = Usage(
        input_tokens=row.input_tokens // calls,
        cache_read_tokens=(row.cache_read_tokens or 0) // calls,
        cache_write_tokens=(row.cache_write_tokens or 0) // calls,
        output_tokens=row.output_tokens // calls,
        seconds=(row.seconds or 0.0) / calls,
    )
    return calls * float(rate.usd(usage))


def _calibration_note(header: Header, file: str) -> str:
    if header.recordings:
        return "recordings are like none of them"
    if file:
        return "tokens of those runs at your tiers' prices; as far as that table is like this run"
    return (
        "tokens of other models in other scaffolds at your tiers' prices, input without a cache: an"
        " order of magnitude; name a table of your own with --outcomes and systems.TIER=SYSTEM"
    )


def _image_download_facts(header: Header, instances: Sequence[Instance]) -> dict[str, Any]:
    """Of images that are still to be pulled, by the sizes of those that are here."""
    nothing = {"images": 0, "expected": 0.0, "low": 0.0, "high": 0.0}
    if header.sandbox != "docker":
        return nothing
    try:
        docker = docker_engine.Engine.connect()
        sizes = {name: docker.bytes_of(name) for name in {one.image for one in instances} if name}
    except SweRouterError:
        return nothing
    here = sorted(size / 1e9 for size in sizes.values() if size)
    missing = sum(not size for size in sizes.values())
    if not missing:
        return nothing
    if not here:
        return {"images": missing, "expected": None, "low": None, "high": None}
    middle = sum(here) / len(here)
    low, high = here[len(here) // 20], here[-1 - len(here) // 20]
    return {"images": missing, "expected": missing * middle, "low": missing * low,
            "high": missing * high}  # fmt: skip


def _rounded_figures(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
