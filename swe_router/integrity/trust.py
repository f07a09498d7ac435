"""A run of unknown origin: showing it loads no code that it names.

Before one is resumed, the user sees what it would do to this machine or with a key, and agrees.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from swe_router import gateways
from swe_router.errors import UsageError
from swe_router.integrity import own_runs
from swe_router.journal import run_inputs
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.safe_files import check_regular_file
from swe_router.settings import Settings

if TYPE_CHECKING:
    from swe_router.estimates.acceptance import calibration
else:
    calibration = deferred_module("swe_router.estimates.acceptance.calibration")


LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def check_no_code(run: RunFolder, header: Header) -> None:
    """Raise ``UsageError`` for a run whose settings name code, or files inside its own folder.

    ``module:Class`` would import whatever stands there; a plugin that is installed has a name.
    """
    settings = header.settings
    for place, name in _named_plugins(settings):
        if ":" in name:
            raise UsageError(
                f"{run.settings_file}: {place} names code ({name!r}), which is not loaded from a"
                " run folder: install the plugin and register its name as an entry point"
            )
    for place, name in _named_paths(settings):
        path = Path(name).expanduser()
        if name and path.exists() and path.resolve().is_relative_to(run.path.resolve()):
            raise UsageError(
                f"{run.settings_file}: {place} names a file of the run folder itself ({name!r}):"
                " nothing is loaded from there"
            )
        if name and place != "scaffold":
            check_regular_file(path)


def require_trusted(
    run: RunFolder,
    header: Header,
    *,
    trusted: bool,
    requested_settings: Settings | None,
    sandbox_risks_only: bool,
) -> None:
    """Raise ``UsageError`` where resuming a run that was not begun here would be a risk.

    ``trusted``: the user looked at it, which is remembered. ``requested_settings``: what the
    user's own settings ask for is no risk. ``sandbox_risks_only``: nothing but its sandboxes are
    used, as in grading.
    """
    found = [*_risks_of_settings(header.settings), *_risks_of_header(run, header)]
    known: Collection[str] = (
        ()
        if requested_settings is None
        else [words for _, words in _risks_of_settings(requested_settings)]
    )
    risk = [
        words
        for place, words in found
        if words not in known and (place.startswith("sandbox") or not sandbox_risks_only)
    ]
    if not risk or own_runs.is_ours(run):
        return
    if trusted:
        own_runs.remember(run)
        return
    command = "grade" if sandbox_risks_only else "resume"
    raise UsageError(
        f"run {run.name} was not begun by you on this machine, and it would"
        f" {'; '.join(dict.fromkeys(risk))}: look at {run.settings_file}, and if you trust who made"
        f" it say `swe-router {command} {shlex.quote(str(run.path))} --trust`"
    )


def names_code(settings: Settings) -> bool:
    """Whether a policy, selector, data set or verifier is named as ``module:Class``."""
    return any(":" in name for _, name in _named_plugins(settings))


def _risks_of_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    """(place, sentence) of what these settings do that could do harm."""
    named = [*_named_plugins(settings), ("sandbox.kind", settings.sandbox.kind)]
    for name, tier in settings.tiers.items():
        named += [(f"tiers.{name}.dialect", tier.dialect)]
        named += [(f"tiers.{name}.options.record", str(tier.options.get("record", "")))]
        host = urlsplit(tier.base_url).hostname or ""
        if tier.api_key_env and host and host not in LOOPBACK_HOSTS:
            yield f"tiers.{name}", f"send ${tier.api_key_env} to {tier.base_url} (tiers.{name})"
        secrets = gateways.header_variables(tier.headers).values()
        if secrets and host and host not in LOOPBACK_HOSTS:
            sent = ", ".join(f"${variable}" for variable in secrets)
            yield f"tiers.{name}.headers", f"send {sent} to {tier.base_url} (tiers.{name}.headers)"
        for header, value in tier.headers.items():
            # A gateway on this machine may be asked to hand the key on to any address.
            if "://" in value:
                yield f"tiers.{name}.headers", f"have its gateway call {value} ({header})"
        if tier.options.get("record"):
            file = str(tier.options.get("file", ""))
            yield f"tiers.{name}", f"write {file!r} (tiers.{name}.options)"
    for place, name in named:
        if ":" in name:
            yield place, f"load code that it names ({place} = {name!r})"
    if settings.grade.network:
        hosts = ", ".join(settings.grade.network)
        yield "sandbox.network", f"let evaluations reach {hosts} (grade.network)"
    if settings.sandbox.unsafe:
        yield (
            "sandbox.unsafe",
            "run commands of models and tests without a sandbox (sandbox.unsafe)",
        )


def _risks_of_header(run: RunFolder, header: Header) -> Iterator[tuple[str, str]]:
    """The same for values resolved when the run began, which are stored next to the settings."""
    if ":" in header.sandbox:
        yield "sandbox", f"load code that it names (sandbox.kind = {header.sandbox!r})"
    strategy = run_inputs.stored_manifest(run, header).strategy if header.made_with else ""
    if ":" in strategy:
        yield "scaffold", f"load code that it names (strategy = {strategy!r} of its scaffold)"
    for instance in run.instances():
        if instance.repository:
            words = f"show models the repository {instance.repository!r} (of {instance.id})"
            yield "sandbox.repository", words
        if instance.build:
            words = f"build an image from the folder {instance.build!r} (of {instance.id})"
            yield "sandbox.build", words


def _named_plugins(settings: Settings) -> list[tuple[str, str]]:
    """Where the settings name a plugin that a replay makes, and the name."""
    verifiers = [("verify.names", name) for name in settings.verify.names]
    named = [("policy.name", settings.policy.name), ("selector", settings.selector)]
    return [*named, ("dataset", settings.dataset), *verifiers]


def _named_paths(settings: Settings) -> list[tuple[str, str]]:
    """Where the settings name a file that a replay reads, and the path."""
    given = settings.verify.calibration
    fitted = "" if given in (calibration.SHIPPED, calibration.NONE) else given
    knobs = settings.policy.knobs
    features = [part.strip() for part in str(knobs.get("features", "")).split(",")]
    return [
        ("scaffold", settings.scaffold),
        ("verify.calibration", fitted),
        ("policy.knobs.outcomes", str(knobs.get("outcomes", ""))),
        *(("policy.knobs.features", one) for one in features if one),
    ]
