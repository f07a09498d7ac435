"""What every importer is given and gives, and the rules on costs that all of them share."""

from __future__ import annotations

import datetime
import gzip
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.outcomes.tables.table import OutcomeRow
from swe_router.prices import PriceRate, rate_for
from swe_router.records import Usage

INSTANCE_ID = re.compile(r"[A-Za-z0-9_.-]+__[A-Za-z0-9_.-]+-\d+")
"""``owner__repo-number``, the form of SWE-bench ids."""


@dataclass(frozen=True)
class ImportOptions:
    """The user's options, in addition to the paths."""

    system: str = ""
    """Name of the system; empty takes the one that the files or their folder give."""
    reports: Path | None = None
    """Official verdicts: see ``report_files.reported_verdicts``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our column -> theirs, for tables."""
    prices_at: datetime.date | None = None
    """Day at whose prices tokens become USD where no cost is recorded; None leaves them missing."""
    prices: Path | None = None
    """A price table in the form of eval/prices.toml that goes before the shipped one."""


@dataclass(frozen=True)
class Imported:
    """Rows of one path, and how many runs were left out or changed, by reason."""

    rows: tuple[OutcomeRow, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What the user should know, one line each."""


Importer = Callable[[Path, ImportOptions], Imported]

NO_VERDICT = "no official verdict"
NO_PRICE = "cost of 0 taken as unknown"


def parse_amount(value: object) -> float | None:
    """A number that is an amount, or None: absent, not a number, negative, not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def parse_count(value: object) -> int | None:
    """A whole number of things, or None when it is not known."""
    found = parse_amount(value)
    return None if found is None else round(found)


def parse_usd(value: object, calls: int | None, seen: Counter[str]) -> float | None:
    """USD of a foreign run. A 0 is believed only where no model was called.

    mini-swe-agent and SWE-agent write 0 for a model of which they know no price.
    """
    usd = parse_amount(value)
    if usd == 0 and calls != 0:
        seen[NO_PRICE] += 1
        return None
    return usd


class _Twice(ValueError):
    """A name that stands twice in one object."""


def require_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, as ``object_pairs_hook``; raises ``_Twice`` for a name given twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = next(name for name, number in names.items() if number > 1)
        raise _Twice(f"{twice[:80]!r} stands twice in one object: which value holds?")
    return found


def load_json(path: Path, *, hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The JSON of a file, gzipped or not.

    ``hook`` makes the objects, such as ``require_unique_names``.

    Raises ``UsageError`` that names the file.
    """
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        return json.loads(text, object_pairs_hook=hook)
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read as JSON: {str(error)[:200]}") from None


def json_lines(path: Path) -> list[Any]:
    """The value of each line of a file that is not blank, gzipped or not.

    Raises ``UsageError`` that names the file and the line.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read as JSON lines: {error}") from None
    found = []
    # Not splitlines(): texts hold U+2028 and the like, which JSON leaves as they are.
    for number, line in enumerate(text.split("\n"), 1):
        try:
            found += (
                [json.loads(line, object_pairs_hook=require_unique_names)] if line.strip() else []
            )
        except (ValueError, RecursionError) as error:
            reason = str(error)[:100]
            raise UsageError(f"{path}:{number} cannot be read as JSON lines: {reason}") from None
    return found


def first_names(names: Iterable[str], max_names: int = 6) -> str:
    """The first few of some names, cut, and how many there are: a message is never a file."""
    every = list(names)
    shown = ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in every[:max_names])
    return f"{shown} and {len(every) - max_names} more" if len(every) > max_names else shown


def object_or_empty(value: object) -> Mapping[str, Any]:
    """The value as an object of JSON; an empty one when it is none."""
    return value if isinstance(value, Mapping) else {}


def list_or_empty(value: object) -> Sequence[Any]:
    """The value as a list of JSON; an empty one when it is none."""
    return value if isinstance(value, list) else ()


def with_usd_from_tokens(row: OutcomeRow, given: ImportOptions) -> OutcomeRow:
    """The row with USD from its tokens at the day's price, where that can be known.

    A price in bands goes by the call, so a sum of calls cannot be priced and is left missing.
    """
    if row.usd is not None or given.prices_at is None:
        return row
    if row.input_tokens is None or row.output_tokens is None:
        return row
    rate = _price_rate(row.model or row.system, given.prices_at, given.prices)
    if rate is None or len(rate.bands) > 1:
        return row
    usage = Usage(
        input_tokens=row.input_tokens,
        cache_read_tokens=row.cache_read_tokens or 0,
        cache_write_tokens=row.cache_write_tokens or 0,
        output_tokens=row.output_tokens,
    )
    return replace(row, usd=float(rate.usd(usage)), price_date=str(given.prices_at))


@cache
def _price_rate(model: str, on: datetime.date, table: Path | None) -> PriceRate | None:
    for name in dict.fromkeys((model, model.casefold(), model.casefold().rsplit("/", 1)[-1])):
        for prices in dict.fromkeys((table, None)):
            try:
                return rate_for(name, on=on, table=prices)
            except UsageError:
                if prices is not None and not prices.is_file():
                    raise
    return None
