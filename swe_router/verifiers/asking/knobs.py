"""The parameters of a verifier of its own, from ``verify.knobs.NAME``."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from swe_router.errors import UsageError
from swe_router.settings import Table, VerifySettings

Knobs = TypeVar("Knobs", bound=Table)


def knobs_of(kind: type[Knobs], verifier: str, settings: VerifySettings) -> Knobs:
    """The knobs of a verifier. Raises ``UsageError`` that names the wrong one."""
    try:
        return kind.model_validate(settings.knobs.get(verifier, {}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"verify.knobs.{verifier}.{where}: {first['msg']}; there is"
            f" {', '.join(kind.model_fields)}"
        ) from None
