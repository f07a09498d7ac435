"""The settings of ``[ensemble]``: how candidates differ, and which selector chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from swe_router import plugins
from swe_router.agents import manifest
from swe_router.errors import UsageError
from swe_router.policies.ensembles.varied import VariedPolicy, Variety
from swe_router.records import Plan
from swe_router.seams import Policy, Selector
from swe_router.settings import Settings


def with_variation(policy: Policy, settings: Settings, ladder: Sequence[Plan]) -> Policy:
    """The policy, whose candidates of one move differ as the settings say."""
    ensemble = settings.ensemble
    variety = Variety(
        variants=ensemble.variants,
        temperatures=ensemble.temperatures,
        further_tiers=tuple(plan for plan in ladder if plan.arm.model in ensemble.tiers),
        takes_temperature=frozenset(
            n for n, tier in settings.tiers.items() if tier.temperature is not None
        ),
    )
    return (
        VariedPolicy(policy, variety)
        if variety.variants or variety.temperatures or variety.further_tiers
        else policy
    )


def build_selector(settings: Settings) -> Selector:
    """What chooses the candidate.

    Raises ``UsageError`` for a knob that it does not have, and for one that cannot be used live.
    """
    kind = plugins.load_plugin("selectors", settings.selector)
    knobs = dict(settings.ensemble.knobs)
    if settings.selector == "random":
        knobs.setdefault("seed", settings.seed)
    try:
        made: Selector = kind(**knobs)
    except TypeError as error:
        raise UsageError(f"selector {settings.selector!r}: ensemble.knobs: {error}") from None
    return made


def check_ensemble(settings: Settings, say: Callable[[str], None]) -> None:
    """Raise ``UsageError`` where the ensemble cannot be made; warn of settings without effect."""
    build_selector(settings)
    sheet, ensemble = manifest.read_manifest(settings.scaffold), settings.ensemble
    for variant in ensemble.variants:
        sheet.first_prompt(variant)
    several = settings.candidates > 1 or settings.policy.name == "best-of-k"
    if (ensemble.variants or ensemble.temperatures or ensemble.tiers) and not several:
        say("ensemble: there is one candidate per move, so nothing varies: see --candidates")
    takes = any(settings.tiers[name].temperature is not None for name in settings.ladder)
    if ensemble.temperatures and not takes:
        say("ensemble.temperatures: no tier has a temperature of its own, so none is sent")
