"""A child process that runs one regular expression over files: it can be killed, ``re`` cannot.

Run as a script. Standard input: a JSON head line (pattern, limit, line cap and [path, size]
rows), then the contents. Standard output: a JSON line ``[path, line, text]`` for each hit, then
``{"more": n}``. A hit is written at once, so that a kill loses nothing that was found.
"""

from __future__ import annotations

import json
import re
import sys


def main() -> None:
    """Read the job, write the hits."""
    head = json.loads(sys.stdin.buffer.readline())
    pattern = re.compile(head["pattern"])
    contents = [(path, sys.stdin.buffer.read(size)) for path, size in head["files"]]
    shown = more = 0
    for path, content in contents:
        for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
            if pattern.search(line.rstrip("\r")[: head["cap"]]) is None:
                continue
            if shown < head["limit"]:
                shown += 1
                sys.stdout.write(json.dumps([path, number, line[: head["cap"]]]) + "\n")
                sys.stdout.flush()
            else:
                more += 1
    sys.stdout.write(json.dumps({"more": more}) + "\n")


if __name__ == "__main__":
    main()
