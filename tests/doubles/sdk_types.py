"""Whether a request is one that a provider's own SDK would type: unknown and missing fields."""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import typing_extensions

_WRAPPERS = (
    typing.Annotated,
    typing_extensions.Required,
    typing_extensions.NotRequired,
    typing.Required,
    typing.NotRequired,
)
_MANY = (list, collections.abc.Iterable, collections.abc.Sequence)


def problems(value: Any, kind: Any, at: str = "body") -> Iterator[str]:
    """What of ``value`` (parsed JSON) is not of ``kind``, an annotation of an SDK."""
    origin = get_origin(kind)
    if isinstance(kind, typing_extensions.TypeAliasType):
        yield from problems(value, kind.__value__, at)
    elif origin in _WRAPPERS:
        yield from problems(value, get_args(kind)[0], at)
    elif typing_extensions.is_typeddict(kind):
        yield from _of_table(value, kind, at)
    elif origin in (typing.Union, types.UnionType):
        yield from _of_union(value, get_args(kind), at)
    elif origin is typing.Literal:
        if value not in get_args(kind):
            yield f"{at}: {value!r} is none of {', '.join(map(repr, get_args(kind)))}"
    elif origin in _MANY:
        yield from _of_list(value, get_args(kind)[0], at)
    elif origin in (dict, collections.abc.Mapping) or kind in (dict,):
        if not isinstance(value, dict):
            yield f"{at}: not an object"
    else:
        yield from _of_plain(value, kind, at)


def _of_list(value: Any, inner: Any, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at}: not a list"
        return
    for number, item in enumerate(value):
        yield from problems(item, inner, f"{at}.{number}")


def _of_table(value: Any, kind: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: not an object"
        return
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    for name in sorted(kind.__required_keys__ - set(value)):
        yield f"{at}.{name}: field required"
    for name, item in value.items():
        if name in hints:
            yield from problems(item, hints[name], f"{at}.{name}")
        else:
            yield f"{at}.{name}: Extra inputs are not permitted"


def _of_union(value: Any, kinds: tuple[Any, ...], at: str) -> Iterator[str]:
    """Nothing if one of them fits; else what the nearest one says."""
    found = [list(problems(value, one, at)) for one in kinds]
    if all(found):
        yield from min(found, key=len)


def _of_plain(value: Any, kind: Any, at: str) -> Iterator[str]:
    plain: dict[Any, tuple[type, ...]] = {
        str: (str,), int: (int,), float: (int, float), bool: (bool,), type(None): (type(None),),
    }  # fmt: skip
    if kind in (Any, object):
        return
    if kind not in plain:
        # A type that JSON cannot be, as an open file.
        yield f"{at}: not {kind}"
        return
    fits = isinstance(value, plain[kind]) and not (isinstance(value, bool) and kind is not bool)
    if not fits:
        yield f"{at}: not {getattr(kind, '__name__', kind)}: {str(value)[:40]!r}"
