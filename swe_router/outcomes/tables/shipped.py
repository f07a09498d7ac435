"""The outcome table that ships, used for boards without a file of one's own."""

from __future__ import annotations

import gzip
import json

from swe_router import assets
from swe_router.features import feature_files
from swe_router.outcomes.tables.table import OutcomeTable, read_tidy_table
from swe_router.records import Features, Instance

TABLE_NAME = "swe_effi"


def shipped_table() -> OutcomeTable:
    """SWE-Effi: 5 scaffolds x 3 models on 50 instances of Verified; see eval/outcomes/README.md."""
    return read_tidy_table(assets.find_asset("eval/outcomes", TABLE_NAME, ".csv.gz"))


def shipped_issues() -> list[Instance]:
    """The 50 issues of the table: text, repository and base commit (SWE-bench, MIT)."""
    rows = map(json.loads, _data_lines(f"{TABLE_NAME}_issues"))
    return [
        Instance(id=row["instance_id"], repo=row["repo"], base_commit=row["base_commit"],
                 problem=row["problem_statement"], suite=TABLE_NAME)
        for row in rows
    ]  # fmt: skip


def shipped_features() -> list[Features]:
    """What the texts of these issues show, with the texts: nothing of their repositories."""
    texts = {one.id: one.problem for one in shipped_issues()}
    found = [
        feature_files.parse_row(line, f"{TABLE_NAME}_features")[0]
        for line in _data_lines(f"{TABLE_NAME}_features")
    ]
    return [one.model_copy(update={"text": texts[one.instance_id]}) for one in found]


def _data_lines(name: str) -> list[str]:
    path = assets.find_asset("eval/outcomes", name, ".jsonl.gz")
    return gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[:-1]
