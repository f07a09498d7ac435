"""What an override means beyond its own key: another model brings its own facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router import model_facts, prices

OF_THE_MODEL: Mapping[str, Any] = {"retires": None, "successor": ""}
"""Fields of a tier that are true of its model alone -> what they are where nothing is known."""
ALWAYS = "always-"
"""As the board and ``route`` call the policy that takes one tier for everything."""


def settled(
    preset: Mapping[str, Any], over: Mapping[str, Any], tree: dict[str, Any]
) -> dict[str, Any]:
    """``tree`` (``preset`` overlaid by ``over``) without facts of a model that is not used.

    A tier whose model was changed keeps of the preset what is true of the place where it is
    served; its day of retirement, successor, price and window are the new model's, unless
    they were given too. A window that no table knows stays: the server's may be smaller.
    """
    tiers = tree.get("tiers")
    if isinstance(tiers, Mapping):
        tree["tiers"] = {
            name: _with_facts(
                _tier(tier, _table(preset, "tiers", name), _table(over, "tiers", name))
            )
            for name, tier in tiers.items()
        }
    return _always(tree)


def _table(tree: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = tree.get(key)
        tree = found if isinstance(found, Mapping) else {}
    return tree


def _tier(tier: Any, was: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if not isinstance(tier, Mapping) or not was or tier.get("model") == was.get("model"):
        return tier
    made = {**tier, **{key: none for key, none in OF_THE_MODEL.items()
                       if key in tier and key not in given}}  # fmt: skip
    if isinstance(was.get("price"), Mapping) and "price" not in given:
        made["price"] = "table"
    window = None if "window" in given else prices.listed_window(
        str(made.get("model")), str(made.get("dialect")), str(made.get("base_url", ""))
    )  # fmt: skip
    return {**made, "window": window} if window else made


def _with_facts(tier: Any) -> Any:
    """A tier that leaves out its window, with what is known of its model, else what is safe."""
    if not isinstance(tier, Mapping) or "window" in tier or not {"model", "dialect"} <= tier.keys():
        return tier
    model, dialect = str(tier["model"]), str(tier["dialect"])
    row = None if dialect == "vllm" else model_facts.facts_of(model)
    listed = prices.listed_window(model, dialect, str(tier.get("base_url", "")))
    window = row.window if row is not None else listed
    tools = row.tools if row is not None else model_facts.DEFAULT_TOOLS
    assumed = [*(["window"] if window is None else []),
               *(["tools"] if row is None and "tools" not in tier else [])]  # fmt: skip
    known = {"window": window or model_facts.DEFAULT_WINDOW, "tools": tools}
    return {**known, **tier, **({"assumed": assumed} if assumed else {})}


def _always(tree: dict[str, Any]) -> dict[str, Any]:
    """``policy.name = "always-TIER"`` as the policy ``fixed`` with that tier."""
    policy = tree.get("policy")
    name = policy.get("name") if isinstance(policy, Mapping) else None
    if not isinstance(name, str) or not name.startswith(ALWAYS):
        return tree
    knobs = {**_table(tree, "policy", "knobs"), "tier": name.removeprefix(ALWAYS)}
    return {**tree, "policy": {**_table(tree, "policy"), "name": "fixed", "knobs": knobs}}
