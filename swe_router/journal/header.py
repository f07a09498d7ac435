"""The header of a run: ``settings.json``, sealed when the run began, and what follows from it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from swe_router import __version__
from swe_router.agents import loop_rules
from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import TierStopLoss
from swe_router.journal.run_folder import RunFolder
from swe_router.prices import PriceRate
from swe_router.records import SCHEMA, Arm, Budget, Instance, Plan, Provenance, digest_of
from swe_router.settings import Settings, build, name_of

EARLIER_KNOBS: Mapping[str, Mapping[str, Any]] = {"cascade": {"thresholds": [9.95]}}
"""Policy -> its defaults in runs that store no knobs, where today's differ."""


class OtherVersion(UsageError):
    """An undamaged run that only another version of swe-router can read."""


@dataclass(frozen=True)
class Header:
    """The settings of a run with all that was resolved when it began."""

    settings: Settings
    digest: str
    rates: Mapping[str, PriceRate]
    """Tier -> the rate at which it is billed for the whole run."""
    skipped_tiers: Mapping[str, str]
    """Tier -> why it is not used."""
    sandbox: str
    """``docker`` or ``local``: what ``auto`` came to."""
    prompts: Mapping[str, str]
    """Scaffold and prompt names -> SHA-256."""
    created: float
    """Unix seconds."""
    stop_loss: Mapping[str, TierStopLoss] = field(default_factory=dict)
    """Tier -> when its attempts are given up: what the file of the settings held at the start."""
    code: str = __version__
    made_with: Mapping[str, str] = field(default_factory=dict)
    """What was kept of what the run was made with (``journal.run_inputs``) -> its SHA-256."""
    rules: int = loop_rules.CURRENT
    """Version of the loop's rules."""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    """Knobs of the policy with the defaults that held when the run began."""
    instances: str = ""
    """``instances_digest`` of its instances; empty in runs made before it was stored."""
    batch_rates: Mapping[str, PriceRate] = field(default_factory=dict)
    """Tier -> the rate of its calls in batches; empty in runs that began without batches."""

    def as_json(self) -> dict[str, Any]:
        """The JSON of ``settings.json``; ``seal`` is over all the rest."""
        tree: dict[str, Any] = {
            "schema": SCHEMA,
            "code": self.code,
            "created": self.created,
            "digest": self.digest,
            "sandbox": self.sandbox,
            "rates": {name: rate.model_dump(mode="json") for name, rate in self.rates.items()},
            "batch_rates": {
                n: rate.model_dump(mode="json") for n, rate in self.batch_rates.items()
            },
            "skipped": dict(self.skipped_tiers),
            "prompts": dict(self.prompts),
            "stop_loss": {n: one.model_dump(mode="json") for n, one in self.stop_loss.items()},
            "made_with": dict(self.made_with),
            "rules": self.rules,
            "knobs": dict(self.knobs),
            "instances": self.instances,
            "settings": self.settings.model_dump(mode="json"),
        }
        return {**tree, "seal": digest_of(tree)}

    def ladder(self) -> tuple[Plan, ...]:
        """One plan per usable tier, from cheap to strong."""
        plans = []
        for name in self.settings.ladder:
            if name not in self.skipped_tiers:
                tier = self.settings.tiers[name]
                budget = Budget(
                    dollars=tier.attempt_usd,
                    steps=tier.attempt_steps,
                    seconds=tier.attempt_seconds,
                )
                arm = Arm(model=name, scaffold=self.settings.scaffold)
                plans.append(Plan(arm=arm, budget=budget))
        return tuple(plans)

    @property
    def recordings(self) -> bool:
        """Some tier plays recordings: the output says so."""
        return any(tier.dialect == "scripted" for tier in self.settings.tiers.values())


def header_of_run(run: RunFolder) -> Header:
    """The header of a run on disk.

    Raises ``UsageError`` when it is damaged, of another format or of a newer version.
    """
    tree = run.header()
    _require_readable(run, tree)
    try:
        return Header(
            settings=_settings_from(run, tree["settings"]),
            digest=tree["digest"],
            rates=_rates_from(tree["rates"]),
            batch_rates=_rates_from(tree.get("batch_rates", {})),
            skipped_tiers=tree["skipped"],
            sandbox=tree["sandbox"],
            prompts=tree["prompts"],
            created=float(tree["created"]),
            stop_loss={
                name: TierStopLoss.model_validate(row)
                for name, row in tree.get("stop_loss", {}).items()
            },
            code=tree["code"],
            made_with={str(k): str(v) for k, v in tree.get("made_with", {}).items()},
            rules=int(tree.get("rules", 1)),
            knobs=dict(tree["knobs"])
            if "knobs" in tree
            else EARLIER_KNOBS.get(_policy_settings(tree), {}),
            instances=str(tree.get("instances", "")),
        )
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        given = str(fault["input"])[:80]
        raise UsageError(
            f"{run.settings_file} is damaged: {error.title} {where}: {fault['msg']} (given:"
            f" {given}); restore the file from a copy"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(f"{run.settings_file} is damaged: {error!r}") from None


def _rates_as_json(rates: Mapping[str, PriceRate]) -> dict[str, Any]:
    return {name: rate.model_dump(mode="json") for name, rate in rates.items()}


def _rates_from(tree: Mapping[str, Any]) -> dict[str, PriceRate]:
    return {name: PriceRate.model_validate(row) for name, row in tree.items()}


def _settings_from(run: RunFolder, tree: Mapping[str, Any]) -> Settings:
    """The settings of a run; ``UsageError`` names the file as well as the setting."""
    try:
        return build(tree)
    except UsageError as error:
        raise UsageError(f"{run.settings_file}: {error}; restore the file from a copy") from None


def _policy_settings(tree: Mapping[str, Any]) -> str:
    return str(tree["settings"]["policy"]["name"])


def _require_readable(run: RunFolder, tree: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` for a run that this version cannot read as it was meant."""
    schema, code = tree.get("schema"), str(tree.get("code", ""))
    if not isinstance(schema, str):
        raise UsageError(f"{run.settings_file} is damaged: its format is missing")
    if schema != SCHEMA:
        raise OtherVersion(
            f"run {run.name} is of another format ({schema!r}; this swe-router {__version__} reads"
            f" {SCHEMA!r}): use the swe-router that made it ({code or 'it does not say which'})"
        )
    version, rule = _version_parts(code), tree.get("rules", 1)
    newer = (
        version > _version_parts(__version__)
        or not isinstance(rule, int)
        or rule not in loop_rules.VERSIONS
    )
    if newer or not version:
        raise OtherVersion(
            f"run {run.name} was made by swe-router {code or 'of no known version'}, this is"
            f" {__version__}: install that version, or a later one"
        )


def _version_parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def provenance(header: Header) -> Provenance:
    """What every record of a run was made with."""
    sources = sorted({rate.source for rate in header.rates.values()})
    dates = sorted({str(rate.date) for rate in header.rates.values()})
    return Provenance(
        settings=header.digest,
        code=__version__,
        prompts=dict(header.prompts),
        prices=f"{'; '.join(sources)} at {', '.join(dates)}",
        seed=header.settings.seed,
    )


def instances_digest(instances: Sequence[Instance]) -> str:
    """SHA-256 over the instances of a run, in their order."""
    return digest_of([one.model_dump(mode="json") for one in instances])


def is_unchanged(run: RunFolder) -> bool:
    """Whether the file is unchanged since the run began.

    By the settings as the file holds them: a field that a newer version added is not in there.
    """
    tree = run.header()
    seal = tree.pop("seal", "")
    return bool(seal == digest_of(tree) and tree["digest"] == name_of(tree["settings"]))


def run_name(settings: Settings, created: float) -> str:
    """``2026-11-24T0401-cascade-3f9a``: UTC time, policy, first digits of the digest."""
    stamp = datetime.datetime.fromtimestamp(created, datetime.UTC).strftime("%Y-%m-%dT%H%M")
    return f"{stamp}-{settings.policy.name}-{settings.digest()[:4]}"
