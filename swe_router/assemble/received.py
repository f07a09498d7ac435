"""A run that may have come from a stranger: who only looks at it loads no code that it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.assemble.header import Header
from swe_router.deferred import deferred
from swe_router.errors import UsageError
from swe_router.files import check_regular
from swe_router.journal.folder import RunFolder
from swe_router.settings import Settings

if TYPE_CHECKING:
    from swe_router.estimates import calibration
else:
    calibration = deferred("swe_router.estimates.calibration")


def check(run: RunFolder, header: Header) -> None:
    """Raise ``UsageError`` for a run whose settings name code, or files inside its own folder.

    ``module:Class`` would import whatever stands there; a plugin that is installed has a name.
    """
    settings = header.settings
    for place, name in _plugins(settings):
        if ":" in name:
            raise UsageError(
                f"{run.settings_file}: {place} names code ({name!r}), which is not loaded from a"
                " run folder: install the plugin and register its name as an entry point"
            )
    for place, name in _paths(settings):
        path = Path(name).expanduser()
        if name and path.exists() and path.resolve().is_relative_to(run.path.resolve()):
            raise UsageError(
                f"{run.settings_file}: {place} names a file of the run folder itself ({name!r}):"
                " nothing is loaded from there"
            )
        if name and place != "scaffold":
            check_regular(path)


def _plugins(settings: Settings) -> list[tuple[str, str]]:
    """Where the settings name a plugin that a replay makes, and the name."""
    verifiers = [("verify.names", name) for name in settings.verify.names]
    return [("policy.name", settings.policy.name), ("selector", settings.selector), *verifiers]


def _paths(settings: Settings) -> list[tuple[str, str]]:
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
