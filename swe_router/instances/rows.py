"""Rows of a file or of the hub, with every column: for ``sources`` alone, which cuts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.instances import files

Hub = Callable[[str], list[dict[str, Any]]]
"""``org/name[:config][@split]`` -> the rows of that split."""

LOADER = Path(__file__).with_name("hub.py")
_PART = r"[A-Za-z0-9][\w.-]{0,95}"
_HUB_ID = re.compile(rf"({_PART}/{_PART})(?::([\w. -]{{1,96}}))?(?:@([\w.-]{{1,96}}))?")


@dataclass(frozen=True)
class HubId:
    """A data set on the hub, written ``org/name[:config][@split]``."""

    name: str
    config: str = ""
    split: str = ""

    @classmethod
    def parsed(cls, text: str) -> HubId | None:
        """The parts of ``text``, or None where it has not that form."""
        match = _HUB_ID.fullmatch(text)
        return None if match is None else cls(match[1], match[2] or "", match[3] or "")


def from_hub(hub_id: str, *, env: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Rows of a data set on the hub (or in the hub's own cache on this machine).

    ``env`` is the child's environment (default: ours); ``HF_ENDPOINT``, ``HF_HOME`` and
    ``HF_HUB_OFFLINE`` are honoured. Raises ``UsageError`` when the hub cannot give it.
    """
    wanted = HubId.parsed(hub_id)
    if wanted is None:
        raise UsageError(f"{hub_id!r} is no id of the hub: write ORG/NAME[:CONFIG][@SPLIT]")
    # A folder of its own: the loader takes ./SWE-bench/... for the data set if there is one.
    with tempfile.TemporaryDirectory(prefix="swe-router-hub-") as folder:
        out = Path(folder) / "rows.jsonl"
        command = [sys.executable, "-P", str(LOADER)]
        child = subprocess.run(
            [*command, wanted.name, wanted.config, wanted.split, str(out)],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if child.returncode == 0:
            return [
                dict(row) for _, row in files.read_json_lines(out, out.read_text(encoding="utf-8"))
            ]
    messages = [line for line in child.stderr.splitlines() if line.strip()] or [
        f"the loader ended with exit {child.returncode}"
    ]
    reason = next((line[5:] for line in messages if line.startswith("hub: ")), messages[-1])
    at = (os.environ if env is None else env).get("HF_ENDPOINT", "https://huggingface.co")
    raise UsageError(
        f"cannot load {hub_id} from {at}: {reason.replace(folder, '.')}; check the id and the"
        " network, or download the data set and give it as --split FILE.parquet"
    )
