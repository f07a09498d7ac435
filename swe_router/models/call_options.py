"""The options of a tier, checked against those of its dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swe_router import model_facts
from swe_router.errors import UsageError
from swe_router.settings import Tier

CAPS = ("max_tokens", "max_completion_tokens")
COMMON = ("leave_out", "strict")
"""Of every HTTP dialect: names of parameters that are never sent; whether tools are ``strict``."""


def check_options(tier: Tier, known: Sequence[str]) -> None:
    """Raise ``UsageError`` for an option that the dialect does not have.

    Options are a closed list because some, such as a service tier, would change the price.
    """
    _check_values(tier)
    for name in tier.options:
        if name not in known:
            raise UsageError(
                f"model {tier.model!r}: dialect {tier.dialect!r} has no option {name!r}:"
                f" there is {', '.join(known)}"
            )


def _check_values(tier: Tier) -> None:
    given = tier.options
    kinds: tuple[tuple[str, bool, str], ...] = (
        ("leave_out", isinstance(given.get("leave_out", []), list | tuple), "a list of names"),
        ("strict", isinstance(given.get("strict", True), bool), "true or false"),
        ("parallel_tool_calls", isinstance(given.get("parallel_tool_calls", True), bool),
         "true or false"),
        ("output_cap", given.get("output_cap", "max_tokens") in CAPS, " or ".join(CAPS)),
        ("extra", isinstance(given.get("extra", {}), Mapping), "a table"),
    )  # fmt: skip
    for name, right, form in kinds:
        if not right:
            raise UsageError(
                f"model {tier.model!r}: option {name!r} must be {form}: {given[name]!r}"
            )
    for cap in {*CAPS, "max_output_tokens"} & set(given.get("leave_out", ())):
        raise UsageError(
            f"model {tier.model!r}: {cap} cannot be left out: it bounds what a call may cost"
        )
    if "service_tier" in given.get("extra", ()):
        raise UsageError(
            f"model {tier.model!r}: extra.service_tier would change the price: leave it out"
        )


def takes_temperature(tier: Tier) -> bool:
    """Whether the tier's model takes one; a vLLM server takes it for whatever it serves."""
    return tier.dialect == "vllm" or model_facts.takes_temperature(tier.model)


def says_parallel(tier: Tier) -> bool:
    """Whether requests say ``parallel_tool_calls``: an option that some models refuse."""
    row = model_facts.facts_of(tier.model)
    return "parallel_tool_calls" in tier.options and (row is None or row.parallel)
