"""How the loop behaves, by version: a run goes on, and is replayed, under the rules that it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swe_router.errors import UsageError


@dataclass(frozen=True)
class LoopRules:
    """What the loop, the reading of calls and the hand-over may ask before they act."""

    rest_waits: bool
    """Calls of one answer that stand behind one which could not be carried out are not carried
    out either: they were written before its result was known."""
    window_reported: bool
    """An answer that ended because the window is full makes room for the next one, and the model
    is informed; else it is asked to write less."""
    strays_stop: bool
    """In the text form, calls behind one that stands in another form or place, or is broken so
    that it passes for talk, are not carried out, and the model is informed."""


VERSIONS: Mapping[int, LoopRules] = {
    1: LoopRules(rest_waits=False, window_reported=False, strays_stop=False),
    2: LoopRules(rest_waits=True, window_reported=True, strays_stop=False),
    3: LoopRules(rest_waits=True, window_reported=True, strays_stop=True),
}
"""Never change a line: add one."""
CURRENT = 3
"""What new runs are made under."""


def rules_of(version: int) -> LoopRules:
    """The rules of a version. Raises ``UsageError`` for one that this code does not know."""
    if version not in VERSIONS:
        raise UsageError(
            f"rules version {version} is not known here (there is {', '.join(map(str, VERSIONS))}):"
            " the run was made by a newer swe-router, so install that"
        )
    return VERSIONS[version]
