"""A leaderboard as one HTML page that needs no other file: images and script inside, no link."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from swe_router import plain_values, templates
from swe_router.reports.board_table import figure_text, interval_text, row_labels, short_names
from swe_router.reports.sentences import counted_noun

SORTABLE_FIGURES = (
    ("resolved", "rate", ".1%", "rate"),
    ("$/issue", "usd_per_issue", ".3f", "usd_per_issue"),
    ("over hull, pp", "hull_margin_pp", "+.1f", "hull_margin"),
    ("by repository", "hull_margin_repo_low", "+.1f", "hull_margin_repo"),
    ("over cascade, pp", "cascade_margin_pp", "+.1f", "cascade_margin"),
    ("AIQ", "aiq", ".2f", ""),
    ("APGR", "apgr", ".2f", ""),
    ("regret, $", "regret", ".2f", ""),
    ("P(front)", "on_pareto_probability", ".2f", ""),
    ("random CV", "rate_random_cv", ".1%", ""),
)
"""Head, field, form and the field of its interval."""


def leaderboard_page(facts: Mapping[str, Any], plane_png: bytes, verifier_map_png: bytes) -> str:
    """The page; ``plane_png`` and ``verifier_map_png`` are images, put inside."""
    facts = plain_values.as_plain(facts)
    found = facts["verifier_map"]
    rungs = [rung["system"] for rung in facts["ladder"]]
    every = range(0, len(found["axis"]), 10)
    gauge = any(row.get("rate_random_cv") is not None for row in facts["rows"])
    figures = [figure for figure in SORTABLE_FIGURES if gauge or figure[1] != "rate_random_cv"]
    return templates.render_page(
        "leaderboard.html",
        {"json": plain_values.json_text},
        facts=facts,
        heads=["policy", *(head for head, *_ in figures), "verdict"],
        figures=[figure[1:] for figure in figures],
        absent=[row for row in facts["rows"] if row["rate"] is None],
        value=_sort_value,
        count=counted_noun,
        one=figure_text,
        pair=interval_text,
        names=row_labels(facts),
        systems=short_names(rungs),
        plane=_data_url(plane_png),
        verifier=_data_url(verifier_map_png),
        bars=[(found["axis"][k], found["strong_fpr"][k], found["hull_fpr"][k])
              for k in reversed(every)],
    )  # fmt: skip


def _sort_value(row: Mapping[str, Any], column: str) -> str:
    """What a column is sorted by; nothing where the figure is unknown, which comes last."""
    return "" if row.get(column) is None else repr(row[column])


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
