"""Where the read-only folders lie: shipped inside the package, else next to it in a checkout."""

from __future__ import annotations

from pathlib import Path

from swe_router.errors import UsageError


def assets_root() -> Path:
    """The folder that holds ``scaffolds/``, ``prompts/``, ``pages/``, ``eval/`` and the like."""
    package = Path(__file__).resolve().parent
    shipped = package / "_assets"
    # A pyproject.toml next to the package proves nothing: some wheels drop theirs in site-packages.
    return shipped if shipped.is_dir() else package.parent


def find_asset(folder: str, name: str, suffix: str = "") -> Path:
    """A named asset, or the path itself when ``name`` is one.

    Raises ``UsageError`` that lists the names there are.
    """
    as_path = Path(name).expanduser()
    if (as_path.suffix or "/" in name) and as_path.exists():
        return as_path.resolve()
    base = assets_root() / folder
    found = base / f"{name}{suffix}"
    if found.exists():
        return found
    known, kind = asset_names(folder, suffix), folder.rsplit("/", maxsplit=1)[-1]
    raise UsageError(
        f"no {kind.rstrip('s')} named {name!r}: there is {', '.join(known)}"
        f" (or give a path{f' to a {suffix} file' if suffix else ''})"
    )


def asset_names(folder: str, suffix: str = "") -> list[str]:
    """Names of the assets in ``folder``, sorted."""
    base = assets_root() / folder
    if not base.is_dir():
        return []
    found = (path for path in base.iterdir() if not path.name.startswith((".", "_")))
    if suffix:
        return sorted(
            path.name.removesuffix(suffix) for path in found if path.name.endswith(suffix)
        )
    return sorted(path.name for path in found if path.is_dir())
