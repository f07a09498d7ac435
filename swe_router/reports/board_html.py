"""A leaderboard as one HTML page with nothing beside it: images and script inside, no link."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from swe_router import plain, wording
from swe_router.reports.board import labels, one, pair, short
from swe_router.reports.sentences import count

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>swe-router leaderboard</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1250px;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25em .5em;text-align:right;border-bottom:1px solid #e4e4e4;vertical-align:top}
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}
td:first-child,th:first-child{position:sticky;left:0;background:#fff}
.wide{overflow-x:auto}
th button{all:unset;cursor:pointer;font-weight:600}th button:hover{color:#0969da}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
th button:focus-visible{outline:2px solid #0969da}
small{color:#777;white-space:nowrap}img{max-width:100%;height:auto}
.above{color:#1a7f37;font-weight:600}.below{color:#c0392b}.grey{color:#777}
details{margin:1em 0}summary{cursor:pointer}
.wide img{min-width:620px}
@media(max-width:640px){body{font-size:13px;margin:1em auto;padding:0 .6em}
td:first-child,th:first-child{min-width:7.5em;max-width:9em;overflow-wrap:break-word}
th,td{padding:.2em .35em}}
</style></head><body>
<h1>Leaderboard of routing policies</h1>
<p>{{ facts.n }} issues of {{ facts.table }}. Ladder:
{% for rung in facts.ladder %}{{ "" if loop.first else "&rarr; " | safe }}
{{ systems[rung.system] }} ({{ "%.1f%%" | format(100 * rung.rate) }},
${{ "%.3f" | format(rung.usd_per_issue) }}) {% endfor %}</p>
<ul>{% for line in facts.assumptions %}<li>{{ line }}</li>{% endfor %}</ul>
<div class="wide">
<img alt="Cost-quality plane: USD an issue against the share resolved" src="{{ plane }}"></div>
<h2>Rows</h2>
<p>A head sorts by its column.</p>
<div class="wide"><table id="rows"><thead><tr>{% for head in heads %}
<th scope="col"><button type="button">{{ head }}</button></th>{% endfor %}</tr></thead><tbody>
{% for row in facts.rows if row.rate is not none %}<tr><td title="{{ row.knobs | json }}">
{{ names[row.policy] }}</td>
{% for name, form, ends in figures %}<td data-value="{{ value(row, name) }}">
{% if not name.endswith("_low") %}{{ one(row, name, form) }}{% if ends %}<br>{% endif %}{% endif %}
{% if ends %}<small>{{ pair(row, ends, form) }}</small>{% endif %}
</td>{% endfor %}
<td class="{{ "above" if row.verdict == "above hull" else
"below" if row.verdict == "below hull" else "grey" }}">{{ row.verdict }}</td></tr>
{% endfor %}</tbody></table></div>
{% if absent %}<details>
<summary>{{ count(absent | length, "policy", "policies") }} could not be played</summary>
<table><thead><tr><th>policy</th><th>why</th></tr></thead><tbody>
{% for row in absent %}<tr><td title="{{ row.knobs | json }}">{{ names[row.policy] }}</td>
<td class="grey">{{ row.verdict }}</td></tr>{% endfor %}</tbody></table></details>{% endif %}
<h2>Verifier map</h2>
<p>For which true and false positive rates the cascade {{ systems[facts.verifier_map.weak] }} &rarr;
{{ systems[facts.verifier_map.strong] }} holds the strong system's rate for less, and where it lies
above the hull. Highest FPR that still serves:</p>
<table style="width:auto"><thead><tr><th>TPR</th><th>holds strong</th><th>above hull</th></tr>
</thead><tbody>{% for t, s, h in bars %}<tr><td>{{ t }}</td><td>{{ "-" if s is none else s }}</td>
<td>{{ "-" if h is none else h }}</td></tr>{% endfor %}</tbody></table>
<img alt="Verifier map: regions of TPR and FPR" src="{{ verifier }}">
<script>
(function () {
  var table = document.getElementById("rows"), body = table.tBodies[0];
  function key(row, at) {
    var cell = row.cells[at], value = cell.getAttribute("data-value");
    return value === null ? cell.textContent.trim() : value === "" ? null : parseFloat(value);
  }
  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, at) {
    head.firstElementChild.addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") !== "descending";
      Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) {
        other.removeAttribute("aria-sort");
      });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      Array.prototype.slice.call(body.rows).sort(function (a, b) {
        var x = key(a, at), y = key(b, at);
        if (x === null || y === null) { return (x === null) - (y === null); }
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
})();
</script>
</body></html>
"""
FIGURES = (
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


def page(facts: Mapping[str, Any], plane: bytes, verifier: bytes) -> str:
    """The page; ``plane`` and ``verifier`` are PNG images, put inside."""
    facts = plain.plain(facts)
    found = facts["verifier_map"]
    rungs = [rung["system"] for rung in facts["ladder"]]
    every = range(0, len(found["axis"]), 10)
    gauge = any(row.get("rate_random_cv") is not None for row in facts["rows"])
    figures = [figure for figure in FIGURES if gauge or figure[1] != "rate_random_cv"]
    return wording.page(
        PAGE,
        {"json": plain.text},
        facts=facts,
        heads=["policy", *(head for head, *_ in figures), "verdict"],
        figures=[figure[1:] for figure in figures],
        absent=[row for row in facts["rows"] if row["rate"] is None],
        value=_value,
        count=count,
        one=one,
        pair=pair,
        names=labels(facts),
        systems=short(rungs),
        plane=_inside(plane),
        verifier=_inside(verifier),
        bars=[(found["axis"][k], found["strong_fpr"][k], found["hull_fpr"][k])
              for k in reversed(every)],
    )  # fmt: skip


def _value(row: Mapping[str, Any], name: str) -> str:
    """What a column is sorted by; nothing where the figure is unknown, which comes last."""
    return "" if row.get(name) is None else repr(row[name])


def _inside(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
