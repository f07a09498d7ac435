"""Data sets of the hub, through the library ``datasets``: run apart, as a script.

``python -P hub.py ORG/NAME CONFIG SPLIT OUT.jsonl`` writes the rows of one split; CONFIG and SPLIT
may be empty. It is a process of its own because the library takes a second to import, looks into
the working folder for a data set of that name, and talks on both streams.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datasets import get_dataset_split_names, load_dataset

DEFAULT = "test"
"""The split that is taken where none is named and there are several."""


def main(name: str, config: str, split: str, out: str) -> int:
    """Write the rows; on failure, one line on stderr that begins with ``hub:`` and exit 1."""
    try:
        rows = load_dataset(name, config or None, split=split or _only(name, config))
    # Whatever stops the loader (network, hub, cache, disk) is the caller's to report in one line.
    except Exception as error:
        print(f"hub: {type(error).__name__}: {_one_line(error)}", file=sys.stderr)
        return 1
    with Path(out).open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, default=str) + "\n")
    return 0


def _only(name: str, config: str) -> str:
    """The split to take where none is named. Raises ``ValueError`` where it is not plain."""
    try:
        names = get_dataset_split_names(name, config or None)
    except (ConnectionError, OSError):
        return DEFAULT  # without a network the cache holds the split or it does not
    if DEFAULT in names or len(names) != 1:
        if DEFAULT not in names:
            raise ValueError(f"there is no split {DEFAULT!r}: say {name}@ and one of {names}")
        return DEFAULT
    return str(names[0])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
