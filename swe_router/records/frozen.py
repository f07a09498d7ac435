"""What all values share: frozen, no unknown field, a canonical digest; money is exact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SCHEMA = "swe-router/1"

_NO_TEXT = frozenset((type(None), bool, int, float))
Usd = Annotated[Decimal, Field(ge=0)]
"""US dollars, exact."""


def digest_of(value: Any) -> str:
    """SHA-256 hex of the canonical JSON of ``value`` (sorted keys, no blanks, UTF-8)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def patch_bytes(patch: str) -> bytes:
    """A patch as bytes: what was no UTF-8 in the diff comes back as it was.

    Half a surrogate pair, which stands for no byte, is taken as it is.
    """
    try:
        return patch.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return patch.encode("utf-8", "surrogatepass")


def patch_digest(patch: str) -> str:
    """SHA-256 hex of a patch, by its bytes."""
    return hashlib.sha256(patch_bytes(patch)).hexdigest()


def escape_undecodable(value: Any) -> Any:
    r"""A value of JSON whose texts and keys can be written as UTF-8, as ``Candidate.files`` can.

    A byte that is no UTF-8 (``surrogateescape``) becomes ``\xff``, half a surrogate pair of a
    model's text ``\ud800``.
    """
    if isinstance(value, str):
        return value if value.isascii() else _escape_text(value)
    if type(value) in _NO_TEXT:  # before the check for an abstract class, which takes long
        return value
    if isinstance(value, Mapping):
        return {escape_undecodable(key): escape_undecodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [escape_undecodable(one) for one in value]
    return value


def _escape_text(text: str) -> str:
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        pass
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


Evidence = Annotated[Mapping[str, Any], BeforeValidator(escape_undecodable)]
"""What a reader can check, as JSON: names of files and tests in it may be no text."""


class FrozenRecord(BaseModel):
    """Base of every value: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def fingerprint(self) -> str:
        """SHA-256 hex of this record's canonical JSON."""
        return digest_of(self.model_dump(mode="json"))
