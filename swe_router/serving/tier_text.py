"""The tier of a served model, as a table of TOML and in a preset of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.served_endpoints import KEY_VARIABLE
from swe_router.serving.presets import ServingChoice
from swe_router.serving.server_figures import near_host
from swe_router.serving.vllm_command import served_name
from swe_router.settings import TIER_NAME, load

BASE_PRESET = "hybrid"
"""What a new file has apart from the served tier."""


def tier_of(
    choice: ServingChoice, host: str, port: int, *, window: int = 0, concurrency: int = 0
) -> dict[str, Any]:
    """The fields of the tier; ``window`` and ``concurrency`` as the server says, if it did."""
    preset = choice.preset
    window = window or choice.estimate.window
    tier: dict[str, Any] = {
        "dialect": "vllm",
        "model": served_name(choice),
        "base_url": f"http://{near_host(host)}:{port}/v1",
        "api_key_env": KEY_VARIABLE,
        "window": window,
        "max_output_tokens": max(256, min(preset.max_output_tokens, window // 4)),
        "tools": preset.tools,
        "temperature": preset.temperature,
        "timeout": 300.0 if choice.cards else 900.0,
        "retries": 3,
        "attempt_usd": 0.5,
        "attempt_steps": 60,
        "attempt_seconds": 1800.0,
        "price": "gpu-hour",
        "concurrency": max(1, concurrency or int(choice.estimate.concurrency)),
        "cards": choice.cards if choice.cards > 1 else None,
    }
    return {name: value for name, value in tier.items() if value is not None}


def tier_table(name: str, tier: Mapping[str, Any]) -> str:
    """``[tiers.NAME]`` as TOML."""
    head = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
    lines = [f"{key} = {_toml(value)}" for key, value in tier.items()]
    return "\n".join([f"[tiers.{head}]", *lines]) + "\n"


def write_tier(path: Path, name: str, tier: Mapping[str, Any]) -> None:
    """Put the tier into a preset file in the place of the one of that name; else make the file.

    A new file is the preset ``hybrid`` with this tier. Raises ``UsageError`` when the result
    would be no preset; the file is then as it was.
    """
    _fresh_file(path, name, tier).replace(path)


def check_tier_file(path: Path, name: str, tier: Mapping[str, Any]) -> None:
    """Raise the ``UsageError`` of ``write_tier``, and write nothing."""
    _fresh_file(path, name, tier).unlink()


def _fresh_file(path: Path, name: str, tier: Mapping[str, Any]) -> Path:
    """The file with the tier, next to ``path``, once it was read as a preset."""
    if not TIER_NAME.fullmatch(name):
        raise UsageError(f"--tier {name!r}: use letters, digits, '.', '_', '-'")
    base = path if path.exists() else assets.find_asset("eval/presets", BASE_PRESET, ".toml")
    fresh = path.with_name(f".{path.name}.new.toml")
    try:
        fresh.write_text(with_tier(base.read_text(encoding="utf-8"), name, tier), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--write-tier {path}: {error}") from None
    try:
        load(str(fresh))
    except UsageError as error:
        fresh.unlink()
        raise UsageError(f"--write-tier {path} would be no preset: {error}") from None
    return fresh


def with_tier(text: str, name: str, tier: Mapping[str, Any]) -> str:
    """The text of a preset with one tier's table replaced, or added before all others."""
    quoted = re.escape(name)
    head = rf"^\[tiers\.(?:{quoted}|\"{quoted}\")(?:\.[^\]]*)?\].*$"
    kept: list[str] = []
    place, inside = -1, False
    for line in text.splitlines():
        if line.startswith("["):
            inside = bool(re.match(head, line))
            if inside and place < 0:
                place = len(kept)
        if not inside:
            kept.append(line)
    if place < 0:
        first = (at for at, line in enumerate(kept) if line.startswith("[tiers."))
        place = next(first, len(kept))
    table = ["", *tier_table(name, tier).splitlines(), ""]
    lines = [*kept[:place], *table, *kept[place:]]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
