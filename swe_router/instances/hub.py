"""The official data sets, through swebench's own loader: run apart, as a script.

``python -P hub.py HUB_ID OUT.jsonl`` writes the rows of the test split. It is a process of its
own because the loader takes a second to import, looks into the working folder for a data set
of that name, and talks on both streams.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from swebench.harness.utils import load_swebench_dataset


def main(hub_id: str, out: str) -> int:
    """Write the rows; on failure, one line on stderr that begins with ``hub:`` and exit 1."""
    try:
        rows = load_swebench_dataset(hub_id, "test")
    # Whatever stops the loader (network, hub, cache, disk) is the caller's to tell in one line.
    except Exception as error:
        print(f"hub: {type(error).__name__}: {_one_line(error)}", file=sys.stderr)
        return 1
    with Path(out).open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, default=str) + "\n")
    return 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
