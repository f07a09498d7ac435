"""One call for the whole audit, with what it measured of each system."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from swe_router.outcomes.auditing import cells, consensus, published_rates
from swe_router.outcomes.auditing.findings import AuditFinding
from swe_router.outcomes.tables.table import OutcomeTable


@dataclass(frozen=True)
class Audit:
    """Findings, worst first, and the agreement of each system with the others."""

    table: OutcomeTable
    findings: tuple[AuditFinding, ...]
    agreements: tuple[consensus.Consensus, ...]

    @property
    def verdict(self) -> str:
        """``refuse``, ``warn`` or ``pass``: the worst finding."""
        found = {one.severity for one in self.findings}
        return "refuse" if "refuse" in found else "warn" if found else "pass"

    def as_json(self) -> dict[str, Any]:
        """As one JSON value."""
        return {
            "source": self.table.source,
            "verdict": self.verdict,
            "rows": len(self.table.rows),
            "instances": len(self.table.instances),
            "findings": [asdict(one) for one in self.findings],
            "systems": [self._system_facts(one) for one in self.agreements],
        }

    def _system_facts(self, one: consensus.Consensus) -> dict[str, Any]:
        rows = [row for row in self.table.rows if row.system == one.system]
        return {
            "system": one.system,
            "n": len(rows),
            "resolved": sum(row.resolved for row in rows),
            "costs": sum(row.usd is not None for row in rows),
            "auc": None if math.isnan(one.auc) else round(one.auc, 4),
            "auc_high": None if math.isnan(one.auc) else round(min(1.0, one.interval_high), 4),
        }


def audit(
    table: OutcomeTable,
    *,
    earlier_findings: Sequence[AuditFinding] = (),
    published: Mapping[str, float] | None = None,
    reference: OutcomeTable | None = None,
    known_ids: Collection[str] | None = None,
) -> Audit:
    """Every check over a table.

    ``earlier_findings`` are findings of reading it, ``published`` rates by name in [0, 1],
    ``reference`` another table to agree with, ``known_ids`` the ids of the split that it should be
    of.
    """
    found = list(earlier_findings)
    agreements: list[consensus.Consensus] = []
    if table.rows:
        agreements = consensus.agreements(table)
        found += consensus.agreement_findings(agreements)
        if reference is not None:
            found += consensus.reference_findings(table, reference)
        found += consensus.copy_findings(table)
        found += published_rates.rate_findings(table, published or {})
        found += cells.cell_findings(table, known_ids)
    found.sort(key=lambda one: one.severity != "refuse")
    return Audit(table, tuple(found), tuple(agreements))
