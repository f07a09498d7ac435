"""The outcome table that ships, so that a board can be had without a file of one's own."""

from __future__ import annotations

from swe_router import assets
from swe_router.outcomes.table import OutcomeTable, read

NAME = "swe_effi"


def shipped() -> OutcomeTable:
    """SWE-Effi: 5 scaffolds x 3 models on 50 instances of Verified; see eval/outcomes/README.md."""
    return read(assets.find("eval/outcomes", NAME, ".csv.gz"))
