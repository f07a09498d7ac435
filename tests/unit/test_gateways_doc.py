"""docs/gateways.md says of each gateway what the table and the tests do."""

from __future__ import annotations

import re
import tomllib

from swe_router import assets, gateways, settings

TEXT = (assets.assets_root() / "docs" / "gateways.md").read_text("utf-8")
ROWS = {found[1]: found[0] for found in re.finditer(r"^\| `([a-z-]+)` \|.*$", TEXT, re.MULTILINE)}


def test_the_table_of_the_document_has_each_gateway_and_how_it_was_tried():
    known = gateways.all_gateways()
    assert set(ROWS) == set(known)
    for name, row in ROWS.items():
        assert ("**run**" in row) == (known[name].tried == "run"), name
        places = (known[name].cost, known[name].cost_header, known[name].model_header)
        assert all(place in row for place in (*places, known[name].by_header)), name
        assert known[name].auth in row


def test_the_tiers_of_the_document_are_read():
    first, rates = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    cloud = tomllib.loads(first)["tiers"]["cloud"] | tomllib.loads(rates)["tiers"]["cloud"]
    made = settings.load("demo", table={"tiers": {"new": cloud}}).tiers["new"]
    assert gateways.gateway_of(made.gateway, made.base_url).name == "openrouter"
    assert (made.window, made.rpm, made.tpm, made.adaptive) == (1_000_000, 60, 400_000, True)
