"""Checks before the first cent is spent: keys, prices, windows, sandbox, open files."""

from __future__ import annotations

import datetime
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from swe_router import model_abilities, plugins, policy_abilities, recorded_verdicts
from swe_router.agents import manifest, prompts
from swe_router.errors import SweRouterError, UsageError
from swe_router.journal import run_inputs
from swe_router.lazy_imports import deferred_module
from swe_router.models import tier_checks
from swe_router.prices import PriceRate
from swe_router.records import Instance
from swe_router.sandboxes.kind_choice import choose_kind
from swe_router.seams import KeepsDialogue
from swe_router.settings import Settings, Tier
from swe_router.wiring import ensemble
from swe_router.wiring.repositories import check_git

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

SINGLE_TIER_POLICIES = frozenset({"fixed", "best-of-k"})
"""Policies that make all their attempts with one tier, which a knob names."""
OPEN_FILES_PER_WORKER = 64
"""Open files that one worker may need: its sandbox, its provider, its logs, its share of Ray."""


@dataclass(frozen=True)
class PreflightResult:
    """What the checks resolved."""

    rates: Mapping[str, PriceRate]
    skipped_tiers: Mapping[str, str]
    sandbox_kind: str
    prompt_digests: Mapping[str, str]


def run_preflight(
    settings: Settings, instances: Sequence[Instance], say: Callable[[str], None]
) -> PreflightResult:
    """Check a run's needs and tell what the user should know.

    Raises ``UsageError`` that names every fault at once: no git, a missing key, a model without a
    price, no tier that can be used or paid, no sandbox, too few open files.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    on = settings.prices.date or today
    rates: dict[str, PriceRate] = {}
    skipped: dict[str, str] = {}
    faults: list[str] = []

    def without_fault(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except UsageError as error:
            faults.append(str(error))
            return None

    def check_tier(name: str) -> None:
        rates[name] = _checked_rate(settings, name, on)
        if gap := _why_skipped(settings, name, instances, say):
            skipped[name] = gap

    def check_asked(name: str) -> None:
        rates[name] = _check_verifier_tier(settings, name, on, say)

    without_fault(check_git)
    _say_notices(settings, settings.ladder, say)
    for name in settings.ladder:
        without_fault(partial(check_tier, name))
    for name in verifier_tiers(settings):
        without_fault(partial(check_asked, name))
    without_fault(lambda: _require_payable(settings, skipped))
    without_fault(lambda: allow_open_files(OPEN_FILES_PER_WORKER * max(1, settings.workers)))
    for name in settings.verify.names:
        without_fault(partial(plugins.load_plugin, "verifiers", name))
    without_fault(lambda: _say_missing_logprobs(settings, say))
    without_fault(lambda: ensemble.check_ensemble(settings, say))
    without_fault(lambda: _check_phases(settings))
    if notice := _unseen_images(settings, instances):
        say(notice)
    sandbox = without_fault(lambda: sandbox_kind(settings))
    prints = without_fault(lambda: scaffold_digests(settings))
    if faults:
        raise UsageError("; ".join(dict.fromkeys(faults)))
    return PreflightResult(rates, skipped, sandbox, prints)


def _say_notices(settings: Settings, names: Sequence[str], say: Callable[[str], None]) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    for name in names:
        for notice in tier_checks.tier_notices(name, settings.tiers[name], today):
            say(notice)


def _checked_rate(settings: Settings, name: str, day: datetime.date) -> PriceRate:
    """A tier's rate, its dialect and key seen to. Raises ``UsageError``."""
    tier = settings.tiers[name]
    plugins.load_plugin("models", tier.dialect)
    tier_checks.key_of(name, tier, os.environ)
    tier_checks.address_of(name, tier)
    return tier_checks.rate_of(name, tier, settings.prices, day)


def _why_skipped(
    settings: Settings, name: str, instances: Sequence[Instance], say: Callable[[str], None]
) -> str:
    """Why a tier's window is too small for every issue; says so, and of one that is too long."""
    sizes = sorted(instances, key=lambda one: len(one.problem.encode()))
    if gap := _window_gap(settings, name, sizes[0]):
        say(f"skipped: {gap}")
        return gap
    if gap := _window_gap(settings, name, sizes[-1]):
        # One long issue is no reason to deny the others their cheapest tier.
        say(f"{gap} of {sizes[-1].id}: such issues may end there without a step")
    return ""


def policy_tiers(settings: Settings, ladder: Sequence[str]) -> list[str]:
    """Those of the ladder's tiers that the policy may try: one, where a knob names it."""
    if settings.policy.name not in SINGLE_TIER_POLICIES:
        return list(ladder)
    named = str(settings.policy.knobs.get("tier", ""))
    return [name for name in ladder if name == named] or list(ladder[:1])


def unpayable_tiers(settings: Settings, ladder: Sequence[str]) -> dict[str, str]:
    """Tier of the policy -> why the whole budget pays for no attempt of it."""
    return {
        name: f"the limit of tier {name!r}, ${settings.tiers[name].attempt_usd} per attempt, is"
        f" over the budget of ${settings.budget}: it is never tried"
        for name in policy_tiers(settings, ladder)
        if settings.tiers[name].attempt_usd > settings.budget
    } | {
        name: f"the limit of tier {name!r}, ${settings.tiers[name].attempt_usd} per attempt, is"
        f" over what an instance may cost, ${own}: it is never tried"
        for name in policy_tiers(settings, ladder)
        if (own := settings.limits.instance_usd) is not None
        and settings.tiers[name].attempt_usd > own
    }


def sandbox_kind(settings: Settings) -> str:
    """``docker``, ``local`` or a plugin's name: what ``auto`` comes to here, known to be usable.

    The demo's repositories are ours and need no image: ``auto`` runs them locally.
    """
    sandbox = settings.sandbox
    if sandbox.kind == "auto" and settings.split == "demo":
        sandbox = sandbox.model_copy(update={"kind": "local"})
    plugins.load_plugin("sandboxes", sandbox.kind if sandbox.kind != "auto" else "local")
    return choose_kind(sandbox)


def scaffold_digests(settings: Settings) -> dict[str, str]:
    """SHA-256 of the scaffold and each prompt that is used, for the records' provenance."""
    found = prompts.prompt_digests(manifest.read_manifest(settings.scaffold))
    for verifier in run_inputs.verifier_prompts(settings):
        found[f"prompt/{verifier}"] = templates.prompt_digest(verifier)
    for name in run_inputs.phase_prompts(settings):
        found[f"prompt/{name}"] = templates.prompt_digest(name)
    return found


def _check_phases(settings: Settings) -> None:
    """Raise ``UsageError`` for a policy with phases and a scaffold that makes its own requests."""
    kind = plugins.load_plugin("policies", settings.policy.name)
    strategy = manifest.read_manifest(settings.scaffold).strategy
    loop = plugins.load_plugin("scaffolds", strategy)
    keeps = isinstance(loop, KeepsDialogue) and loop.keeps_dialogue
    if policy_abilities.phase_roles_of(kind) and not keeps:
        raise UsageError(
            f"policy {settings.policy.name!r} lets two tiers work on one attempt, which the"
            f" strategy {strategy!r} of scaffold {settings.scaffold!r} cannot do: choose a scaffold"
            " with the strategy 'tool-loop', or another policy"
        )


def verifier_tiers(settings: Settings) -> list[str]:
    """Tiers that verifiers of this run ask: the writer of tests, the judge."""
    asked = recorded_verdicts.asked_tiers(settings.verify)
    return list(dict.fromkeys(tier for tiers in asked.values() for tier in tiers))


def _say_missing_logprobs(settings: Settings, say: Callable[[str], None]) -> None:
    """Name each verifier that will say nothing for want of the probabilities of tokens."""
    for verifier in settings.verify.names:
        role = recorded_verdicts.traits_named(verifier).needs_logprobs
        name = settings.verify.tier_of(verifier, role) if role else ""
        if not name:
            continue
        tier = settings.tiers[name]
        model = plugins.load_plugin("models", tier.dialect)(tier, session="preflight", key="")
        if not model_abilities.gives_logprobs(model):
            say(
                f"tier {name!r} does not give the probabilities of tokens: {verifier} will be"
                f" unknown (name one that does: verify.tiers.{verifier}.{role})"
            )


def _check_verifier_tier(
    settings: Settings, name: str, day: datetime.date, say: Callable[[str], None]
) -> PriceRate:
    """Check a tier that verifiers ask, which need not be on the ladder; its rate."""
    tier = settings.tiers[name]
    plugins.load_plugin("models", tier.dialect)
    tier_checks.key_of(name, tier, os.environ)
    if name not in settings.ladder:
        _say_notices(settings, [name], say)
    if name in settings.ladder and name == settings.verify.writer:
        say(f"tier {name!r} writes tests and makes candidates: its tests do not vote on its own")
    return tier_checks.rate_of(name, tier, settings.prices, day)


def tier_gap(settings: Settings, name: str) -> str:
    """What keeps a tier from being used, for ``doctor``; empty when nothing does."""
    tier = settings.tiers[name]
    today = datetime.datetime.now(datetime.UTC).date()
    try:
        tier_checks.key_of(name, tier, os.environ)
        tier_checks.rate_of(name, tier, settings.prices, today)
    except SweRouterError as error:
        return str(error)
    return ""


def retirement_notice(tier: Tier, name: str) -> str:
    """What to know of a model: its retirement when it is near, what was assumed of it."""
    today = datetime.datetime.now(datetime.UTC).date()
    return "; ".join(tier_checks.tier_notices(name, tier, today))


def allow_open_files(min_open_files: int) -> str:
    """Raise the soft limit to what is needed. Raises ``UsageError`` when that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min_open_files and (hard == resource.RLIM_INFINITY or hard >= min_open_files):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min_open_files, hard))
        soft = min_open_files
    if soft < min_open_files:
        raise UsageError(
            f"{min_open_files} open files are needed and {hard} are allowed: run `ulimit -n"
            f" {min_open_files}`,"
            " or use fewer --workers"
        )
    return f"{soft} allowed"


def _require_payable(settings: Settings, skipped: Mapping[str, str]) -> None:
    """Raise ``UsageError`` for a budget that pays for no attempt at all.

    Also where no tier's context window holds an issue.
    """
    if len(skipped) == len(settings.ladder):
        raise UsageError("no tier can be used: " + "; ".join(skipped.values()))
    used = policy_tiers(settings, [name for name in settings.ladder if name not in skipped])
    cheapest = min(used, key=lambda name: settings.tiers[name].attempt_usd)
    limit = settings.tiers[cheapest].attempt_usd
    if limit > settings.budget:
        raise UsageError(
            f"a budget of ${settings.budget} pays for no attempt: the"
            f" {'cheapest' if len(used) > 1 else 'only'} tier {cheapest!r} has a limit of"
            f" ${limit} each (lower it with --set tiers.{cheapest}.attempt_usd=…)"
        )
    own = settings.limits.instance_usd
    if own is not None and limit > own:
        raise UsageError(
            f"limits.instance_usd of ${own} pays for no attempt: tier {cheapest!r} has a limit of"
            f" ${limit} each (raise it, or lower tiers.{cheapest}.attempt_usd)"
        )


def _unseen_images(settings: Settings, instances: Sequence[Instance]) -> str:
    """Which tiers will not see the pictures of issues; empty where all do or there are none."""
    count = sum(bool(one.images) for one in instances)
    blind = [name for name in settings.ladder if not settings.tiers[name].image_tokens]
    if not count or not blind:
        return ""
    return (
        f"{count} of {len(instances)} issues show pictures, which {', '.join(blind)} will not see"
        f" (they are shown so); tiers.{blind[0]}.image_tokens says that a model takes them"
    )


def _window_gap(settings: Settings, name: str, instance: Instance) -> str:
    tier = settings.tiers[name]
    sheet = manifest.read_manifest(settings.scaffold)
    need = prompts.window_need(
        sheet, instance, text=tier.tools == "text", image_tokens=tier.image_tokens
    )
    return tier_checks.window_gap(name, tier, need // 3)
