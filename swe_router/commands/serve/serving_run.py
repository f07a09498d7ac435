"""``serve``: the presets, a plan, or the server itself until it is asked to stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swe_router import served_endpoints
from swe_router.commands.result import CommandResult
from swe_router.commands.serve.serving_plan import (
    ServeOptions,
    ServingPlan,
    plan_serving,
    served_key,
)
from swe_router.commands.signals import on_stop_signals
from swe_router.errors import UsageError
from swe_router.reports.serve_text import plan_view, presets_view, ready_view
from swe_router.serving import memory, presets
from swe_router.serving.server_figures import ServerFigures
from swe_router.serving.supervisor import Supervisor
from swe_router.serving.tier_text import check_tier_file, tier_of, tier_table, write_tier

CARD_SIZES = (24, 32, 48, 80, 141)
"""GB of the cards that ``--list`` plans for."""


def list_presets() -> CommandResult:
    """Every preset, and what one card of each size would serve of it."""
    rows = []
    for preset in presets.load_presets().values():
        cells = {}
        for size in CARD_SIZES:
            for cards in (1, 2):
                choice = presets.choose_variant(preset, memory.room_of_card(size), cards)
                if choice.fits:
                    break
            cells[str(size)] = _cell(choice) if choice.fits else "-"
        rows.append(
            {
                "name": preset.name,
                "model": preset.model,
                "about": preset.about,
                "licence": preset.licence,
                "tools": preset.tools,
                "source": preset.source,
                "variants": [
                    {"model": one.model, "precision": one.precision, "bytes": one.bytes}
                    for one in preset.variants
                ],
                "cards": cells,
            }
        )
    return CommandResult(
        facts={"default": presets.DEFAULT_PRESET, "presets": rows},
        view=presets_view(rows, [str(size) for size in CARD_SIZES]),
    )


def show_plan(options: ServeOptions, tier: str, environ: Mapping[str, str]) -> CommandResult:
    """The plan alone; exit code 1 when it could not be carried out."""
    plan = plan_serving(options, environ, dry=True)
    text = tier_table(tier, plan.facts["tier"])
    code = 1 if plan.problems else 0
    return CommandResult(plan.facts, plan_view(plan.facts, text), code)


def serve_model(
    options: ServeOptions,
    tier: str,
    write_to: Path | None,
    environ: Mapping[str, str],
    *,
    say: Callable[[str], None],
    log: Callable[[str], None],
    on_ready: Callable[[CommandResult], None],
) -> None:
    """Serve until a stop signal; ``on_ready`` receives what is served once it answers.

    ``say`` gets one line per event, ``log`` the server's own lines. Raises ``UsageError`` for
    what stands against it beforehand, ``ServerFailed`` for a server that cannot be kept up.
    """
    key = served_key(options, environ)
    plan = plan_serving(options, environ)
    if plan.problems:
        raise UsageError("; ".join(plan.problems))
    if write_to is not None:
        check_tier_file(write_to, tier, plan.facts["tier"])
    if options.host not in served_endpoints.LOOPBACK:
        say(
            f"listening on {options.host}: vLLM asks for the key under /v1 alone, its other paths"
            " are open to whom the network lets through; an ssh tunnel to 127.0.0.1 is safer"
        )
    if plan.download_bytes:
        say(f"downloading {plan.download_bytes / memory.GIB:.1f} GiB before it starts")
    stopping = threading.Event()
    folder = served_endpoints.endpoints_folder(environ)
    supervisor = Supervisor(plan.task, folder, stopping, environ=environ, key=key, say=say, log=log)
    if options.key_file is not None and not options.key_file.exists():
        served_endpoints.write_private(options.key_file, supervisor.key + "\n")
    say(f"starting {plan.choice.variant.model} on port {options.port}: a minute or more")

    def ready(figures: ServerFigures, seconds: float) -> None:
        facts = _ready_facts(plan, folder, figures, seconds)
        if write_to is not None:
            write_tier(write_to, tier, facts["tier"])
            say(f"wrote [tiers.{tier}] to {write_to}: swe-router run --preset {write_to} ...")
        on_ready(CommandResult(facts, ready_view(facts, tier_table(tier, facts["tier"]))))

    with on_stop_signals(stopping, say, "stopping the server; again: at once"):
        supervisor.keep_up(ready)
    say("the server has stopped")


def _ready_facts(
    plan: ServingPlan, folder: Path, figures: ServerFigures, seconds: float
) -> dict[str, Any]:
    """What is served, as plain values."""
    requests = plan.choice.estimate.sequences
    concurrency = max(1, min(requests, int(figures.full_windows or requests)))
    options = plan.options
    tier = tier_of(
        plan.choice,
        options.host,
        options.port,
        window=figures.window,
        concurrency=concurrency,
    )
    return {
        "model": tier["model"],
        "base_url": tier["base_url"],
        "window": tier["window"],
        "key_file": str(served_endpoints.key_file(plan.options.port, folder)),
        "key_variable": served_endpoints.KEY_VARIABLE,
        "supervisor": os.getpid(),
        "start_seconds": round(seconds, 1),
        "tokens_per_second": round(figures.tokens_per_second, 1),
        "many": figures.many,
        "many_tokens_per_second": round(figures.many_tokens_per_second, 1),
        "cache_tokens": figures.cache_tokens,
        "estimated_cache_tokens": plan.choice.estimate.cache_tokens,
        "full_windows": round(figures.full_windows, 2),
        "tier": tier,
    }


def _cell(choice: presets.ServingChoice) -> str:
    cards = f"{choice.cards} x " if choice.cards > 1 else ""
    window = choice.estimate.window
    return (
        f"{cards}{choice.variant.precision}, {window // 1024}k x {choice.estimate.concurrency:.1f}"
    )
