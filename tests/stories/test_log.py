"""What a run says in a log, line by line, against what it cost."""

from __future__ import annotations

import re
from decimal import Decimal

from swe_router.reports.run_text import usd_text
from tests.doubles.served import Provider
from tests.stories.test_provider_away import TWO, folder, preset, run

CONCLUDED = re.compile(r"\[\d/2\] (\S+): candidate, .*; (\S+) of \$1\.0000 spent")


def test_the_line_of_an_instance_tells_the_money_with_that_instance_in_it(tmp_path, capsys):
    with Provider() as local, Provider() as cloud:
        assert run(tmp_path, preset(tmp_path, local.url, cloud.url, give_up=30.0)) == 0
    lines = CONCLUDED.findall(capsys.readouterr().err)
    records = folder(tmp_path).records()
    spent = Decimal(0)
    assert [name for name, _ in lines] == TWO
    for name, so_far in lines:
        spent += records[name].whole_usd
        assert so_far == usd_text(spent)
    assert spent > 0
