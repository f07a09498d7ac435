"""The whole leaderboard in one process: every policy, its curve, and the bootstraps.

Usage: python benchmarks/board_speed.py TABLE SPLIT WEAK STRONG [BOOTSTRAPS]

Without a bound to hold to when the machine is busy: the load is printed next to the seconds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from swe_router import plugins
from swe_router.features.extraction_steps import extract_features
from swe_router.instances import splits
from swe_router.outcomes.importers.forms import read_table
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model


def main(file: str, split: str, weak: str, strong: str, bootstraps: str = "10000") -> None:
    known = read_table(Path(file))
    features = [extract_features(one, None) for one in splits.load_instances(split)]
    for name in plugins.plugin_names("policies"):
        plugins.load_plugin("policies", name)
    for curves in (False, True):
        wall, cpu = time.perf_counter(), time.process_time()
        asked = BoardRequest(
            verifier_model.parse_verifier_model("hybrid"),
            weak,
            strong,
            bootstraps=int(bootstraps),
            curves=curves,
        )
        facts = leaderboard_rows(known, features, asked)
        ran = sum(row["rate"] is not None and row["kind"] != "oracle" for row in facts["rows"])
        print(
            f"{'with' if curves else 'without'} curves: {len(facts['rows'])} rows ({ran} ran),"
            f" {facts['n']} issues, {bootstraps} bootstraps:"
            f" {time.perf_counter() - wall:.1f} s wall, {time.process_time() - cpu:.1f} s cpu"
            f" (load {os.getloadavg()[0]:.1f})"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
