"""The verifiers' error rates as one HTML page with nothing beside it: no script, no link."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from swe_router import wording
from swe_router.reports.accounting import ALL
from swe_router.reports.accounting_text import (
    SAYS,
    contrast_lines,
    headline,
    needs,
    share,
    span,
)

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>swe-router: verifier accounting</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1150px;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25em .5em;text-align:right;border-bottom:1px solid #e4e4e4;vertical-align:top}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}
img{max-width:100%;height:auto}.wide{overflow-x:auto}
td{white-space:nowrap}.wide img{min-width:620px}
@media(max-width:640px){body{font-size:13px;margin:1em auto;padding:0 .6em}
th,td{padding:.2em .35em}}
.warn{background:#fff8c5;padding:.5em 1em}
.holds{color:#1a7f37;font-weight:600}.lost{color:#c0392b}.grey{color:#777}
</style></head><body>
<h1>How often the verifiers were wrong</h1>
<p>{{ headline }}</p>
{% if facts.notes %}<ul class="warn">{% for line in facts.notes %}<li>{{ line }}</li>{% endfor %}
</ul>{% endif %}
<div class="wide">
<img alt="Error rates, operating points and calibration curves" src="{{ picture }}"></div>
<p>{{ needs }}</p>
<h2>Rates</h2>
<p>Shares, 95% intervals: Wilson's; where an instance has several candidates no narrower than
resampled instances or Wilson's with the effective number of candidates.</p>
<div class="wide">
<table><thead><tr><th>tier</th><th>verifier</th><th>right</th><th>wrong</th><th>TPR</th><th>FPR</th>
<th>unknown of right</th><th>unknown of wrong</th><th>s</th><th>USD</th><th>cascade</th></tr>
</thead><tbody>{% for one in facts.groups %}<tr><td>{{ tier(one.tier) }}</td>
<td>{{ one.verifier }}</td><td>{{ one.right }}</td><td>{{ one.wrong }}</td>
<td>{{ share(one.tpr) }}</td>
<td>{{ share(one.fpr) }}</td><td>{{ share(one.unknown_right) }}</td>
<td>{{ share(one.unknown_wrong) }}</td><td>{{ "%.2f" | format(one.seconds) }}</td>
<td>{{ "%.4f" | format(one.usd) }}</td>
<td class="{{ "grey" if not one.needs or one.needs.said == "cannot be told" else "holds" if
one.needs.said == "holds" else "lost" }}">
{{ says[one.needs.said if one.needs else "-"][0] }}</td></tr>
{% endfor %}</tbody></table></div>
{% if scored %}<h2>Scores</h2>
<div class="wide">
<table><thead><tr><th>tier</th><th>verifier</th><th>scored</th><th>AUC</th>
<th>ordered right inside an instance</th><th>Brier</th><th>Brier of the base rate</th></tr></thead>
<tbody>{% for one in scored %}<tr><td>{{ tier(one.tier) }}</td><td>{{ one.verifier }}</td>
<td>{{ one.scored }}</td><td>{{ span(one.auc) }}</td>
<td>{{ span(one.pairs) }}{% if one.pairs %} of {{ one.pairs.n }}{% endif %}</td>
<td>{{ span(one.brier, ".3f") }}</td>
<td>{{ "%.3f" | format(one.brier.of_base_rate) if one.brier else "-" }}</td></tr>
{% endfor %}</tbody></table></div>{% endif %}
{% if contrasts %}<h2>Differences</h2><ul>{% for line in contrasts %}<li>{{ line }}</li>{% endfor %}
</ul>{% endif %}
{% for title, rows in wrong %}<h2>{{ title }} ({{ rows | length }})</h2>
{% if rows %}<div class="wide">
<table><thead><tr><th>instance</th><th>attempt</th><th>verifier</th><th>score</th>
<th>run</th></tr></thead><tbody>{% for one in rows %}<tr><td>{{ one.instance }}</td>
<td>{{ one.attempt }}</td><td>{{ one.verifier }}</td>
<td>{{ "-" if one.score is none else "%.2f" | format(one.score) }}</td><td>{{ one.run }}</td></tr>
{% endfor %}</tbody></table></div>{% else %}<p>none</p>{% endif %}{% endfor %}
</body></html>
"""


def page(facts: Mapping[str, Any], curves: bytes) -> str:
    """The page; ``curves`` is a PNG image, put inside."""
    picture = f"data:image/png;base64,{base64.b64encode(curves).decode('ascii')}"
    return wording.page(
        PAGE,
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
