"""What ``serve`` shows: its presets, a plan, and a server that is ready."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from swe_router.reports.view_parts import View, folding_table, stacked_views, text_view

GIB = 1 << 30


def presets_view(rows: Iterable[Mapping[str, Any]], sizes: Iterable[str]) -> View:
    """One row per preset: what each size of card would get."""
    sizes = list(sizes)
    table = folding_table("preset", "licence", "tools", *(f"{size} GB" for size in sizes))
    for row in rows:
        cells = [row["cards"].get(size, "-") for size in sizes]
        table.add_row(row["name"], row["licence"], row["tools"], *cells)
    notes = "\n".join(f"{row['name']}: {row['about']}; {row['source']}" for row in rows)
    return stacked_views(table, text_view(notes))


def plan_view(facts: Mapping[str, Any], tier: str) -> View:
    """The command, the estimate, the tier, and what stands against it."""
    estimate = facts["estimate"]
    parts = [
        ("weights", estimate["weights"]),
        ("activations, about", estimate["activations"]),
        ("server, about", estimate["server"]),
        ("left for the cache", estimate["cache"]),
        ("may be used in all", estimate["room"]),
    ]
    lines = [
        f"{facts['model']} ({facts['precision']})"
        + (f" on {facts['cards']} card(s)" if facts["cards"] else " on the CPU"),
        *(f"  {name:<20} {size / GIB:7.2f} GiB" for name, size in parts),
        f"  the cache holds {estimate['cache_tokens']} tokens of"
        f" {estimate['cache_bytes_per_token']} bytes: {estimate['full_windows']:g} windows of"
        f" {estimate['window']}, at most {estimate['requests']} requests at a time",
        "",
        " ".join(f"{name}={value}" for name, value in facts["environment"].items())
        + " VLLM_API_KEY=(the key) "
        + shlex.join(facts["command"]),
        "",
        tier,
    ]
    if estimate["missing"]:
        lines.insert(6, f"  {'lacking':<20} {estimate['missing'] / GIB:7.2f} GiB")
    lines += [f"no: {problem}" for problem in facts["problems"]]
    return text_view("\n".join(lines))


def ready_view(facts: Mapping[str, Any], tier: str) -> View:
    """A server that is ready, and how a run uses it."""
    lines = [
        f"serving {facts['model']} at {facts['base_url']}, window {facts['window']}",
        f"ready after {facts['start_seconds']:.0f} s; {facts['tokens_per_second']:.0f} tokens/s for"
        f" one request, {facts['many_tokens_per_second']:.0f} for {facts['many']} at a time",
        f"its key is in {facts['key_file']}; runs of this user on this machine find it there,"
        f" elsewhere set {facts['key_variable']}",
        "",
        tier,
        "Ctrl-C ends it",
    ]
    return text_view("\n".join(lines))
