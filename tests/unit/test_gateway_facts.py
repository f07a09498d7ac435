"""Who answered for a gateway and at what cost stands in show, the report and the JSON."""

from __future__ import annotations

from decimal import Decimal

from swe_router.records import Completion, Message, ReturnedCost, Step, Trajectory, Usage
from swe_router.reports import gateway_facts
from swe_router.reports.run_text import report_markdown, steps_view
from tests.doubles.project import outcome
from tests.unit.test_summary import facts, record

D = Decimal


def step(index, *, by="litellm: x/coder", cost="0.0103", listed="0.01", cap=None, unknown=False):
    returned = ReturnedCost(usd=D(cost), listed=D(listed), cap=cap) if cost else None
    made = Completion(
        message=Message(role="assistant", content="ok"), usage=Usage(input_tokens=5), model="coder",
        served_by=by, returned=returned, usage_unknown=unknown, usd=D(cost or listed),
    )  # fmt: skip
    return Step(index=index, request="", completion=made)


def run_of(*steps):
    one = outcome("")
    end = Trajectory.of(steps, "gave_up", "")
    attempt = one.attempt.model_copy(update={"trajectory": end})
    kept = record(None).model_copy(
        update={"outcomes": (one.model_copy(update={"attempt": attempt}),)}
    )
    return facts({"i": kept})


def test_a_report_names_who_answered_and_a_difference_of_more_than_a_percent():
    known = run_of(step(0), step(1, by="litellm: y/coder, fallback 1"), step(2))
    (row,) = gateway_facts.gateway_rows(known).values()
    assert row["served"] == {
        "coder by litellm: x/coder": 2,
        "coder by litellm: y/coder, fallback 1": 1,
    }
    assert (row["returned_usd"], row["listed_usd"], row["difference"]) == (0.0309, 0.03, 0.03)
    text = " ".join(report_markdown(known).split())
    assert "coder by litellm: y/coder, fallback 1 (1)" in text
    assert "the gateway says $0.030900, the price table $0.030000 (+3.0%)" in text


def test_a_difference_within_a_percent_is_no_remark():
    (line,) = gateway_facts.gateway_lines(run_of(step(0, cost="0.01005")))
    assert line.endswith("the gateway says $0.010050, the price table $0.010000")


def test_what_was_not_charged_and_what_was_not_counted_is_shown():
    capped = gateway_facts.call_words(step(0, cap=D("0.002")).completion)
    assert capped.endswith("charged as reserved: $0.002000")
    assert "tokens unknown" in gateway_facts.call_words(step(0, unknown=True).completion)
    assert gateway_facts.gateway_lines(run_of(step(0, by="", cost="", unknown=True)))


def test_a_run_without_a_gateway_says_nothing_of_it():
    plain = run_of(step(0, by="", cost=""))
    assert gateway_facts.gateway_rows(plain) == {}
    assert "served:" not in report_markdown(plain)
    assert gateway_facts.call_words(step(0, by="", cost="").completion) == ""
    assert steps_view([step(0)]) is not None
