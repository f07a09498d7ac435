"""The verifiers' error rates as one HTML page that needs no other file: no script, no link."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from swe_router import templates
from swe_router.reports.verifier_errors import ALL
from swe_router.reports.verifier_errors_text import (
    SAYS,
    contrast_lines,
    headline,
    needs,
    share,
    span,
)


def page(facts: Mapping[str, Any], curves: bytes) -> str:
    """The page; ``curves`` is a PNG image, put inside."""
    picture = f"data:image/png;base64,{base64.b64encode(curves).decode('ascii')}"
    return templates.document(
        "accounting.html",
        facts=facts,
        headline=headline(facts),
        needs=needs(facts),
        says=SAYS,
        picture=picture,
        share=share,
        span=span,
        tier=lambda name: "all tiers" if name == ALL else name,
        scored=[one for one in facts["groups"] if one["scored"]],
        contrasts=contrast_lines(facts),
        wrong=[
            ("Wrong patches that a verifier passed", facts["false_accepts"]),
            ("Right patches that a verifier failed", facts["false_rejects"]),
        ],
    )
