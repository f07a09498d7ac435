"""One typed tree: preset TOML, then files, then ``--set a.b=c``; its digest names the run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from swe_router import assets, suggest
from swe_router.errors import UsageError
from swe_router.settings.overrides import settled
from swe_router.settings.price_tables import Price
from swe_router.settings.schema import Settings, Tier


def preset_of(split: str | None) -> str:
    """The preset of a split where none is named; without a split the demo is meant."""
    return "demo" if split in (None, "demo") else "hybrid"


def load(
    preset: str,
    *,
    files: Iterable[Path] = (),
    sets: Sequence[str] = (),
    table: Mapping[str, Any] | None = None,
    **flags: Any,
) -> Settings:
    """Settings from a preset (name or path), overlaid by ``files``, ``sets``, ``table``, ``flags``.

    ``table`` is ``{"a.b": value}`` or nested; ``flags`` (``a__b=value``) that are None are not
    given. Raises ``UsageError`` that names the key and, for a key that does not exist, the
    nearest right one.
    """
    tree = read_toml(assets.find_asset("eval/presets", preset, ".toml"))
    over: dict[str, Any] = {}
    for file in files:
        over = merge(over, read_toml(file))
    for text in sets:
        over = merge(over, parse_set(text))
    over = merge(merge(over, _unfolded(table or {})), _of_flags(flags))
    return build(settled(tree, over, merge(tree, over)))


def changed(settings: Settings, **flags: Any) -> Settings:
    """Whole settings, overlaid by ``flags`` as in ``load``. Raises ``UsageError``."""
    tree, over = settings.model_dump(mode="json"), _of_flags(flags)
    return build(settled(tree, over, merge(tree, over)))


def _of_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    over: dict[str, Any] = {}
    for key, value in flags.items():
        if value is not None:
            over = merge(over, _nested(key.split("__"), value))
    return over


def _unfolded(table: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": value}`` as a tree; a key reads as in TOML."""
    over: dict[str, Any] = {}
    for key, value in table.items():
        inner = _unfolded(value) if isinstance(value, Mapping) else value
        over = merge(over, _nested(_key(key, f"settings {key!r}: write the key as a.b"), inner))
    return over


def build(tree: Mapping[str, Any]) -> Settings:
    """Settings from a plain tree. Raises ``UsageError`` with one line per fault."""
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(fault, tree) for fault in error.errors() if not _other_branch(fault)]
        raise UsageError("bad settings: " + "; ".join(dict.fromkeys(lines))) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The tree of a TOML file. Raises ``UsageError`` that names the file and the place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read settings {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def parse_set(text: str) -> dict[str, Any]:
    """``a.b=value`` as a tree; the value is TOML where it parses as such, else the bare text."""
    key, equals, raw = text.partition("=")
    keys = _key(key if equals else "", f"--set {text!r}: write it as a.b=value")
    return _nested(keys, toml_value(raw.strip()))


def _key(key: str, refusal: str) -> list[str]:
    """A key as in TOML: a name that holds a dot goes in quotes. Else ``UsageError(refusal)``."""
    try:
        return _keys_of(tomllib.loads(f"{key} = 0"))
    except ValueError:
        raise UsageError(refusal) from None


def _keys_of(tree: Any) -> list[str]:
    """The keys on the one way down a tree. Raises ``ValueError`` where there are several."""
    if not isinstance(tree, dict):
        return []
    (key,) = tree
    return [key, *_keys_of(tree[key])]


def toml_value(raw: str) -> Any:
    """A TOML value, or the text itself when it is none."""
    try:
        return tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        return raw


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on top, table by table; other values are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return out


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _other_branch(fault: Any) -> bool:
    """The fault is about the form of a price (table or word) that was not meant."""
    table = isinstance(fault["input"], Mapping)
    wrong = "literal_error" if table else "model_type"
    return "price" in fault["loc"] and fault["type"] == wrong


def _explain(fault: Any, tree: Mapping[str, Any]) -> str:
    # pydantic names the branch of a union, which is no key of ours.
    branches = ("Price", "literal['free','table','gpu-hour','owned']")
    where = [str(part) for part in fault["loc"] if part not in branches]
    if fault["type"] == "missing" and len(where) == 3 and where[0] == "tiers":
        others = [n for n, t in tree["tiers"].items() if isinstance(t, Mapping) and "dialect" in t]
        hint = suggest.did_you_mean_hint(where[1], others, prefix="tiers.")
        if hint and where[1] not in others:
            return f"there is no tier {where[1]!r}{hint}"
    if fault["type"] == "extra_forbidden":
        prefix = "".join(f"{part}." for part in where[:-1])
        hint = suggest.did_you_mean_hint(where[-1], _sibling_keys(where), prefix=prefix)
        return f"there is no setting {'.'.join(where)!r}{hint}"
    if fault["type"] == "missing":
        return f"{'.'.join(where)} is missing"
    what = fault["msg"].removeprefix("Value error, ")
    given = (
        f" (given: {fault['input']!r})" if where and not isinstance(fault["input"], Mapping) else ""
    )
    return f"{'.'.join(where)}: {what}{given}" if where else what


def _sibling_keys(where: Sequence[str]) -> list[str]:
    if where[0] == "tiers":
        return list((Price if len(where) > 3 else Tier).model_fields)
    table: type[BaseModel] = Settings
    for part in where[:-1]:
        kind = table.model_fields[part].annotation if part in table.model_fields else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        table = kind
    return list(table.model_fields)
