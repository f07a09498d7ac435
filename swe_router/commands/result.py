"""What a command hands to the command line: facts for ``--json`` and a view for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swe_router.reports.view_parts import View


@dataclass(frozen=True)
class CommandResult:
    """The same facts twice, and the exit code they mean."""

    facts: Any
    view: View
    exit_code: int = 0
