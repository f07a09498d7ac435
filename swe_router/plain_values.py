"""Values as JSON and CSV hold them: every file and every ``--json`` goes through here.

A result may hold Decimal, numpy numbers, paths, dates, sets and NaN. JSON has none of these, and a
writer that meets one in the last row of forty-five has lost the other forty-four.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import enum
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

Json = Any
"""None, bool, int, a finite float, str, a list of these, or a dict of str to these."""
_PLAIN = frozenset((type(None), bool, int, str))


def as_plain(value: Any) -> Json:
    """The same value in JSON's own types; NaN and Infinity are None.

    Decimals are floats, dates ISO text, sets sorted lists, models and dataclasses
    mappings, numpy values Python's; anything else is its ``str``.
    """
    if type(value) in _PLAIN:  # most values of a large table: asked first, as it costs least
        return value
    if isinstance(value, enum.Enum):
        # Of a str or int enum json would write the value, and str() its name.
        return as_plain(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        number = float(value) if _is_number(value) else math.nan
        return number if math.isfinite(number) else None
    return _plain_container(value)


def _is_number(value: float | Decimal) -> bool:
    return not (isinstance(value, Decimal) and value.is_nan())  # float(sNaN) raises


def _plain_container(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {_plain_key(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((as_plain(one) for one in value), key=repr)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, Sequence):
        return [as_plain(one) for one in value]
    return _plain_object(value)


def _plain_object(value: Any) -> Json:
    """Objects with a form of their own: pydantic models, dataclasses, numpy scalars and arrays."""
    if hasattr(value, "model_dump"):
        return as_plain(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return as_plain(value.tolist())
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def _plain_key(key: Any) -> str:
    if isinstance(key, str) and not isinstance(key, enum.Enum):
        return key
    made = as_plain(key)
    return made if isinstance(made, str) else json.dumps(made)


def json_text(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """One JSON value as text that any encoding of UTF-8 can carry."""
    tree = as_plain(value)
    made = json.dumps(tree, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    try:
        made.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as undecodable names have
        return json.dumps(tree, indent=indent, sort_keys=sort_keys, allow_nan=False)
    return made


def json_lines(rows: Iterable[Any]) -> str:
    """JSON lines: one value a line."""
    return "".join(f"{json_text(row)}\n" for row in rows)


def csv_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a header line; a row's values by column, missing ones empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([csv_cell(row.get(name)) for name in columns])
    return out.getvalue()


def csv_cell(value: Any) -> str:
    """One CSV cell: nothing for None and NaN, 1 and 0 for a truth, JSON for lists and mappings."""
    made = as_plain(value)
    if made is None:
        return ""
    if isinstance(made, bool):
        return str(int(made))
    if isinstance(made, dict | list):
        return json_text(made, sort_keys=True)
    return str(made).encode("utf-8", "backslashreplace").decode()
