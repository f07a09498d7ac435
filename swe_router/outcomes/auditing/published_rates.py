"""A system's resolve rate against a published rate."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.outcomes.auditing.cells import rows_by_system
from swe_router.outcomes.auditing.findings import AuditFinding
from swe_router.outcomes.importers.gathering import load_json, object_or_empty, parse_amount
from swe_router.outcomes.tables.table import OutcomeTable, text_cells

MAX_RATE_DIFFERENCE = 0.02
"""Rates closer than this are never distinguished: other harness versions, re-runs, rounding."""
TRAILING_DATE = re.compile(r"[-_@ ]?20\d\d-?\d\d-?\d\d$")
"""The day of a model's version at the end of a name."""
REFUSED, WARNED = 4.0, 3.0
"""Standard errors between the rate here and the published one."""


def read_published_rates(path: Path) -> dict[str, float]:
    """Name -> published rate in [0, 1].

    A CSV with the columns system (or model) and rate, or resolved and n; a JSON of
    ``{name: rate}`` or ``{name: {"rate": …}}`` or ``{name: {"resolved": …, "n": …}}``; or the
    leaderboards.json of swe-bench.github.io. A rate above 1 is in percent. Raises ``UsageError``.
    """
    if path.name.endswith((".csv", ".csv.gz")):
        found = {}
        for line in text_cells(path)[1]:
            name = line.get("system") or line.get("model")
            rate = _rate_of_entry(line)
            if name and rate is not None:
                found[name] = rate
    else:
        found = _rates_in_tree(load_json(path))
    if not found:
        raise UsageError(f"{path} holds no rates: columns system and rate (or resolved and n)")
    return found


def _rates_in_tree(tree: Any) -> dict[str, float]:
    if isinstance(tree, Mapping) and isinstance(tree.get("leaderboards"), list):
        found: dict[str, float] = {}
        for board in tree["leaderboards"]:
            for entry in map(object_or_empty, object_or_empty(board).get("results") or ()):
                rate = _rate_of_entry(entry)
                names = [str(entry[key]) for key in ("folder", "name") if entry.get(key)]
                found |= {} if rate is None else dict.fromkeys(names, rate)
        return found
    known = object_or_empty(tree).items()
    rates = {str(k): _rate_of_entry(v if isinstance(v, Mapping) else {"rate": v}) for k, v in known}
    return {name: rate for name, rate in rates.items() if rate is not None}


def _rate_of_entry(entry: Mapping[str, Any]) -> float | None:
    n, resolved = parse_amount(entry.get("n")), parse_amount(entry.get("resolved"))
    if n and resolved is not None:
        return resolved / n if resolved <= n else None
    rate = parse_amount(entry.get("rate"))
    rate = resolved if rate is None else rate
    if rate is None or rate > 100:
        return None
    return rate / 100 if rate > 1 else rate


def rate_findings(table: OutcomeTable, rates: Mapping[str, float]) -> list[AuditFinding]:
    """Systems whose rate is not the published one, beyond what a share of the instances explains.

    The standard error is the binomial one at the published rate over the rows of the system.
    """
    out = []
    matched = 0
    for system, rows in rows_by_system(table).items():
        name = _published_name(system, {row.model for row in rows}, rates)
        if name is None:
            continue
        matched += 1
        rate, known = sum(row.resolved for row in rows) / len(rows), rates[name]
        error = math.sqrt(max(known * (1 - known), 1 / len(rows) / 4) / len(rows))
        far = abs(rate - known) / error
        if abs(rate - known) > MAX_RATE_DIFFERENCE and far > WARNED:
            text = (f"{rate:.1%} of {len(rows)} rows are resolved, published are {known:.1%}"
                    f" ({name}): {far:.0f} standard errors apart")  # fmt: skip
            refuse = far > REFUSED
            out.append(AuditFinding("refuse" if refuse else "warn", "published-rate", text, system))
    if rates and not matched:
        out.append(AuditFinding("warn", "published-rate", "no published name is that of a system"))
    return out


def _published_name(system: str, models: set[str], rates: Mapping[str, float]) -> str | None:
    """The published name of a system: its own, its model's, or the longest that it ends in.

    A name in the middle is not enough: gpt-5-mini is not GPT-5.
    """
    own = {_plain_word(word) for word in (system, *models) if word}
    exact = [name for name in rates if _plain_word(name) in own]
    if exact:
        return exact[0]
    end = _plain_word(TRAILING_DATE.sub("", system))
    within = [
        name for name in rates if len(_plain_word(name)) > 3 and end.endswith(_plain_word(name))
    ]
    return max(within, key=len, default=None)


def _plain_word(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())
