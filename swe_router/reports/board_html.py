"""A leaderboard as one HTML page with nothing beside it: images inside, no script, no link."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from swe_router import plain, wording
from swe_router.reports.board import labels, one, pair, short

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>swe-router leaderboard</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1150px;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25em .5em;text-align:right;border-bottom:1px solid #e4e4e4;vertical-align:top}
th{position:sticky;top:0;background:#fff}
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}
small{color:#777;white-space:nowrap}img{max-width:100%;height:auto}
.above{color:#1a7f37;font-weight:600}.below{color:#c0392b}.grey{color:#777}
</style></head><body>
<h1>Leaderboard of routing policies</h1>
<p>{{ facts.n }} issues of {{ facts.table }}. Ladder:
{% for rung in facts.ladder %}{{ "" if loop.first else "&rarr; " | safe }}
{{ systems[rung.system] }} ({{ "%.1f%%" | format(100 * rung.rate) }},
${{ "%.3f" | format(rung.usd_per_issue) }}) {% endfor %}</p>
<ul>{% for line in facts.assumptions %}<li>{{ line }}</li>{% endfor %}</ul>
<img alt="Cost-quality plane: USD an issue against the share resolved" src="{{ plane }}">
<h2>Rows</h2>
<table><thead><tr><th>policy</th><th>resolved</th><th>$/issue</th><th>over hull, pp</th>
<th>by repository</th><th>over cascade, pp</th>
<th>AIQ</th><th>APGR</th><th>regret, $</th><th>P(front)</th>
{% if gauge %}<th>random CV</th>{% endif %}<th>verdict</th></tr></thead><tbody>
{% for row in facts.rows %}<tr><td title="{{ row.knobs | json }}">
{{ names[row.policy] }}</td>
{% if row.rate is none %}{% for _ in range(10 if gauge else 9) %}<td>-</td>{% endfor %}{% else %}
<td>{{ one(row, "rate", ".1%") }}<br><small>{{ pair(row, "rate", ".1%") }}</small></td>
<td>{{ one(row, "usd_per_issue", ".3f") }}<br>
<small>{{ pair(row, "usd_per_issue", ".3f") }}</small></td>
<td>{{ one(row, "hull_margin_pp", "+.1f") }}<br>
<small>{{ pair(row, "hull_margin", "+.1f") }}</small></td>
<td><small>{{ pair(row, "hull_margin_repo", "+.1f") }}</small></td>
<td>{{ one(row, "cascade_margin_pp", "+.1f") }}<br>
<small>{{ pair(row, "cascade_margin", "+.1f") }}</small></td>
{% for name in ("aiq", "apgr", "regret", "on_pareto_probability") %}
<td>{{ one(row, name, ".2f") }}</td>
{% endfor %}
{% if gauge %}<td>{{ one(row, "rate_random_cv", ".1%") }}</td>{% endif %}{% endif %}
<td class="{{ "above" if row.verdict == "above hull" else
"below" if row.verdict == "below hull" else "grey" }}">{{ row.verdict }}</td></tr>
{% endfor %}</tbody></table>
<h2>Verifier map</h2>
<p>For which true and false positive rates the cascade {{ systems[facts.verifier_map.weak] }} &rarr;
{{ systems[facts.verifier_map.strong] }} holds the strong system's rate for less, and where it lies
above the hull. Highest FPR that still serves:</p>
<table style="width:auto"><thead><tr><th>TPR</th><th>holds strong</th><th>above hull</th></tr>
</thead><tbody>{% for t, s, h in bars %}<tr><td>{{ t }}</td><td>{{ "-" if s is none else s }}</td>
<td>{{ "-" if h is none else h }}</td></tr>{% endfor %}</tbody></table>
<img alt="Verifier map: regions of TPR and FPR" src="{{ verifier }}">
</body></html>
"""


def page(facts: Mapping[str, Any], plane: bytes, verifier: bytes) -> str:
    """The page; ``plane`` and ``verifier`` are PNG images, put inside."""
    facts = plain.plain(facts)
    found = facts["verifier_map"]
    rungs = [rung["system"] for rung in facts["ladder"]]
    every = range(0, len(found["axis"]), 10)
    return wording.page(
        PAGE,
        {"json": plain.text},
        facts=facts,
        one=one,
        pair=pair,
        names=labels(facts),
        systems=short(rungs),
        plane=_inside(plane),
        verifier=_inside(verifier),
        gauge=any(row.get("rate_random_cv") is not None for row in facts["rows"]),
        bars=[(found["axis"][k], found["strong_fpr"][k], found["hull_fpr"][k])
              for k in reversed(every)],
    )  # fmt: skip


def _inside(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
