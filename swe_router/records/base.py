"""What all values share: frozen, no unknown field, a canonical digest; money is exact."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "swe-router/1"

Usd = Annotated[Decimal, Field(ge=0)]
"""US dollars, exact."""


def digest_of(value: Any) -> str:
    """SHA-256 hex of the canonical JSON of ``value`` (sorted keys, no blanks, UTF-8)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Record(BaseModel):
    """Base of every value: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def fingerprint(self) -> str:
        """SHA-256 hex of this record's canonical JSON."""
        return digest_of(self.model_dump(mode="json"))
