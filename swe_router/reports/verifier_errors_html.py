"""The verifiers' error rates as one HTML page that needs no other file: no script, no link."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from swe_router import templates
from swe_router.reports.verifier_errors import ALL_TIERS
from swe_router.reports.verifier_errors_text import (
    CASCADE_WORDS,
    candidate_counts_line,
    cascade_line,
    contrast_lines,
    interval_text,
    rate_text,
)


def verifier_errors_page(facts: Mapping[str, Any], curves_png: bytes) -> str:
    """The page; ``curves_png`` is a PNG image, put inside."""
    picture = f"data:image/png;base64,{base64.b64encode(curves_png).decode('ascii')}"
    return templates.render_page(
        "accounting.html",
        facts=facts,
        headline=candidate_counts_line(facts),
        needs=cascade_line(facts),
        says=CASCADE_WORDS,
        picture=picture,
        share=rate_text,
        span=interval_text,
        tier=lambda name: "all tiers" if name == ALL_TIERS else name,
        scored=[one for one in facts["groups"] if one["scored"]],
        contrasts=contrast_lines(facts),
        wrong=[
            ("Wrong patches that a verifier passed", facts["false_accepts"]),
            ("Right patches that a verifier failed", facts["false_rejects"]),
        ],
    )
