"""The run's breaker, each tier's model behind it, and how long the user wants to wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from swe_router import active_clock, recorded_verdicts, served_endpoints
from swe_router.breaker import Breaker, Patience
from swe_router.errors import UsageError
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.models.waiting_model import WaitingModel, service_name
from swe_router.rate_limits import RateLimit, RatePacer
from swe_router.safe_files import check_regular_file
from swe_router.sandboxes.waiting_factory import SERVICE
from swe_router.seams import Model
from swe_router.settings import PACE_SETTINGS, Settings, Tier, build, merge, parse_set

if TYPE_CHECKING:
    from swe_router.models import paced_model, retrying, server_probe
else:
    paced_model = deferred_module("swe_router.models.paced_model")
    server_probe = deferred_module("swe_router.models.server_probe")
    retrying = deferred_module("swe_router.models.retrying")

GIVE_UP_SETTING = PACE_SETTINGS[0]
GIVEN_UP_STOP_REASON = "given up"
"""In the stop file of a run that ends because of services that stayed away."""


def breaker_of(
    run: RunFolder,
    header: Header,
    *,
    notify: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Breaker:
    """The breaker of a run; ``notify`` and ``sleep`` as ``Breaker`` has them.

    When it gives up what every instance needs (the sandbox, a tier that verifiers ask, all tiers
    of the ladder), the run stops as if it was asked to; else the rest of it goes on.
    """
    made: Breaker

    def gave_up() -> None:
        if needed_by_all(header, made.given_up()) and not run.stopping():
            run.stop_file.write_text(GIVEN_UP_STOP_REASON, encoding="utf-8")

    made = Breaker(
        run.path,
        lambda service: patience_for(with_patience(run, header.settings), service),
        stopping=run.stopping,
        notify=notify,
        on_give_up=gave_up,
        sleep=sleep,
        limit_clock=active_clock.now,
        slept_seconds_since=active_clock.slept_seconds_since,
    )
    return made


def needed_by_all(header: Header, unreachable: Mapping[str, Any]) -> bool:
    """Whether no instance can be done without a service of ``unreachable``; pure."""
    asked = recorded_verdicts.asked_tiers(header.settings.verify)
    always = {service_name(tier) for tiers in asked.values() for tier in tiers}
    ladder = {service_name(plan.arm.model) for plan in header.ladder()}
    return bool(unreachable.keys() & (always | {SERVICE})) or ladder <= unreachable.keys()


def has_given_up(run: RunFolder) -> bool:
    """Whether the run is stopping by itself, and not because the user asked it to."""
    try:
        return run.stop_file.read_text(encoding="utf-8") == GIVEN_UP_STOP_REASON
    except OSError:
        return False


def with_patience(run: RunFolder, settings: Settings) -> Settings:
    """The settings of a run with the patience that its user asked for last.

    Raises ``UsageError`` when the file that holds it is damaged.
    """
    check_regular_file(run.patience_file)
    try:
        over = json.loads(run.patience_file.read_text(encoding="utf-8"))
        return build(merge(settings.model_dump(mode="json"), over))
    except FileNotFoundError:
        return settings  # nobody asked
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, UsageError) as error:
        raise UsageError(
            f"{run.patience_file} is damaged ({error}): remove it, and give the waiting times again"
        ) from None


def store_patience(
    run: RunFolder, settings: Settings, wait_settings: Sequence[str], say: Callable[[str], None]
) -> bool:
    """Store other waiting times, for this launch and later ones; whether any were given.

    Raises ``UsageError`` where ``wait_settings`` (``a.b=value``) hold anything but how long to
    wait: all else is what the run was made with.
    """
    before = with_patience(run, settings)
    tree = settings_tree(wait_settings)
    for key, value in _leaf_settings(tree):
        if key[:1] != ("breaker",) and not (key[:1] == ("tiers",) and key[-1] in PACE_SETTINGS):
            raise UsageError(
                f"--set {'.'.join(key)}={value}: that is what the run was made with; a resume may"
                " change breaker.*, tiers.NAME.give_up_seconds, .rpm, .tpm and .adaptive, and"
                " --budget its cap"
            )
    if not tree:
        return False
    changed_settings = build(merge(before.model_dump(mode="json"), tree))
    over = patience_in(changed_settings.model_dump(mode="json"))
    run.write_text(run.patience_file.name, json.dumps(over, indent=1) + "\n")
    changed = patience_in(tree)
    say(f"what is away is waited for as asked: {json.dumps(changed)}, until changed")
    return True


def settings_tree(sets: Sequence[str]) -> Mapping[str, Any]:
    """``a.b=value`` texts as one tree. Raises ``UsageError``."""
    tree: dict[str, Any] = {}
    for text in sets:
        tree = merge(tree, parse_set(text))
    return tree


def patience_changes(at_start: Settings, now: Settings, sets: Sequence[str]) -> list[str]:
    """What of ``sets``, or of a file changed since the run was made, says how long to wait."""
    was, asked = (
        _leaf_settings(patience_in(one.model_dump(mode="json"))) for one in (at_start, now)
    )
    changed = [f"{'.'.join(map(json.dumps, key))}={value}" for key, value in asked
               if (key, value) not in was and value is not None]  # fmt: skip
    return [*changed, *(one for one in sets if patience_in(parse_set(one)))]


def patience_in(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What of a tree of settings says how long to wait."""
    tiers, usual = tree.get("tiers", {}), tree.get("breaker", {})
    own = {
        name: paces
        for name, tier in tiers.items()
        if (paces := {key: tier[key] for key in PACE_SETTINGS if key in tier})
    }
    return {**({"breaker": dict(usual)} if usual else {}), **({"tiers": own} if own else {})}


def without_patience(tree: Mapping[str, Any]) -> dict[str, Any]:
    """All other settings: what a run was made with."""
    tiers = {
        name: {key: value for key, value in tier.items() if key not in PACE_SETTINGS}
        for name, tier in tree["tiers"].items()
    }
    return {**{key: value for key, value in tree.items() if key != "breaker"}, "tiers": tiers}


def _leaf_settings(
    tree: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in tree.items():
        key = (*prefix, name)
        found += _leaf_settings(value, key) if isinstance(value, Mapping) else [(key, value)]
    return found


def patience_for(settings: Settings, service: str) -> Patience:
    """How long a service is waited for: without end while ``serve`` brings its server back."""
    usual = Patience(**settings.breaker.model_dump())
    for name, tier in settings.tiers.items():
        if service_name(name) != service:
            continue
        served = served_endpoints.endpoint_at(tier.base_url)
        if served is not None and served.state in served_endpoints.COMING:
            return replace(usual, give_up_seconds=inf)  # serve itself gives up after some crashes
        own = tier.give_up_seconds
        if own is not None:
            return replace(usual, give_up_seconds=own, refused_seconds=own)
    return usual


def require_service(breaker: Breaker, tier: str) -> None:
    """Raise ``StillAway`` before anything is begun that needs a tier which was given up."""
    breaker.require(service_name(tier))


def waiting_model(
    metered: Model,
    breaker: Breaker,
    name: str,
    tier: Tier,
    *,
    key: str,
    instance: str,
    report_wait: Callable[[str], None],
    is_over: Callable[[], bool],
    pacer: RatePacer | None = None,
) -> Model:
    """A tier's metered model, retried call by call, and waited for while it is away as a whole.

    With a ``pacer`` every try keeps to the tier's rate.
    """
    patient = retrying.RetryingModel(
        paced_by(pacer, metered, name, tier, report_wait),
        tier.retries,
        over=lambda: is_over() or breaker.is_paused(service_name(name)),
        connecting=False,
        notify=report_wait,
    )
    return WaitingModel(
        patient, breaker, name, instance, report_wait, lambda: server_probe.check_server(tier, key)
    )


def paced_by(
    pacer: RatePacer | None,
    metered: Model,
    name: str,
    tier: Tier,
    report_wait: Callable[[str], None],
) -> Model:
    """A model whose calls keep to its tier's rate, where it has one and there is a pacer."""
    limit = RateLimit(tier.rpm, tier.tpm, tier.adaptive)
    if pacer is None or not limit.limits:
        return metered
    return paced_model.PacedModel(metered, pacer, service_name(name), limit, report_wait)
