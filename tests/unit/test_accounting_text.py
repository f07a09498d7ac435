"""What ``report`` prints, in terminals of every width."""

from __future__ import annotations

import io

import pytest

from swe_router.reports import verifier_errors_text
from swe_router.reports.verifier_errors import verifier_error_rates
from swe_router.terminal import Console
from tests.doubles.judged import row


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_no_terminal_cuts_a_figure_or_leaves_a_verifier_out(width):
    names = ("repo-tests", "reproduction", "acceptance")
    rows = [
        row(f"x-{n}", "pass" if n % 2 else "fail", n % 3 > 0, verifier=name, tier=tier, score=n / 9)
        for n in range(9)
        for tier in ("local", "cloud")
        for name in names
    ]
    facts = verifier_error_rates(rows)
    console = Console(file=io.StringIO(), width=width, color_system=None, markup=False)
    console.print(verifier_errors_text.verifier_errors_view(facts))
    printed = console.file.getvalue()
    assert "…" not in printed
    assert all(printed.count(f" {name} ") + printed.count(f" {name}\n") >= 3 for name in names)
    told = " ".join(printed.split())
    for group in facts["groups"]:
        rate = group["tpr"]
        figures = f"{rate['rate']:.2f} [{rate['low']:.2f}-{rate['high']:.2f}]"
        assert figures.replace("0.", ".") in told
