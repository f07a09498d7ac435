#!/usr/bin/env bash
# genai-prices 0.2.3: an alias is priced as it is today, whatever day the request was made.
#
# Input: one million tokens in and out on 2024-06-01, of the alias gpt-4o and of gpt-4o-2024-05-13,
#        the only snapshot that the alias could mean on that day (the next is of 2024-08-06).
# Expected: the same price, since the timestamp of the request is given; for o3 it decides.
# Seen: 12.50 USD for the alias and 20 USD for the snapshot: costs of old runs, which name the alias,
#       come out more than a third too low.
source "$(dirname "$0")/common.bash"
packages genai-prices==0.2.3
seen <<'PY'
from datetime import datetime, timezone
from importlib.metadata import version

from genai_prices import Usage, calc_price

MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def price(model, *day):
    at = datetime(*day, 12, tzinfo=timezone.utc)
    return float(calc_price(MILLION, model, genai_request_timestamp=at).total_price)


alias, snapshot = price("gpt-4o", 2024, 6, 1), price("gpt-4o-2024-05-13", 2024, 6, 1)
print("genai-prices", version("genai-prices"), "alias", alias, "snapshot", snapshot)
assert price("o3", 2025, 5, 1) > price("o3", 2025, 7, 1), "a price that changed is known by its day"
assert (alias, snapshot) == (12.5, 20.0), "changed: the alias has a past"
PY
