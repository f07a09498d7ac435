"""Calls of ``verify`` over the patches of the shipped sample run."""

from __future__ import annotations

import json
from pathlib import Path

from swe_router import assets
from swe_router.__main__ import main

SAMPLE = assets.assets_root() / "runs" / "sample"
ONE, TWO = "demo__confet-14", "demo__confet-19"


def sample_entries() -> list[dict]:
    """The patches of the sample run's attempts on two instances: local wrong, cloud right."""
    found = []
    for line in (SAMPLE / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        for outcome in record["outcomes"] if record["instance"]["id"] in (ONE, TWO) else ():
            found.append({
                "instance_id": record["instance"]["id"],
                "candidate": outcome["attempt"]["id"],
                "model_patch": outcome["candidate"]["patch"],
                "model_name_or_path": "some model",
            })  # fmt: skip
    return found


def verify(tmp_path: Path, entries: list[dict], *words: str, names: str = "applies") -> int:
    file = tmp_path / "p.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in entries))
    asked = ["verify", "--predictions", str(file), "--split", "demo", "--names", names]
    return main([*asked, "--sandbox", "local", "--unsafe", *words])


def rows(capsys) -> list[dict]:
    """The rows without what the clock says."""
    told = json.loads(capsys.readouterr().out)
    for row in told:
        row.pop("seconds")
        for verdict in row["verdicts"]:
            verdict.pop("seconds")
            verdict["evidence"].pop("seconds", None)
    return told
