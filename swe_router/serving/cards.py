"""The GPUs of this machine, as ``nvidia-smi`` lists them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from swe_router.errors import UsageError

MIB = 1 << 20
QUERY = ("--query-gpu=name,memory.total,memory.used", "--format=csv,noheader,nounits")
SECONDS = 20.0
BUSY_BYTES = 1 << 30
"""A card of which more is in use is somebody's."""


@dataclass(frozen=True)
class Card:
    """One GPU; bytes."""

    name: str
    total: int
    used: int

    @property
    def free(self) -> int:
        """Bytes that nobody uses."""
        return self.total - self.used


def list_cards(environ: Mapping[str, str]) -> list[Card]:
    """The GPUs of this machine; empty without one, or without NVIDIA's tool.

    Raises ``UsageError`` when the tool is there and does not answer.
    """
    tool = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if tool is None:
        return []
    try:
        done = subprocess.run(
            [tool, *QUERY], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{tool} does not answer: {error}; is the driver loaded?") from None
    if done.returncode:
        why = " ".join((done.stderr or done.stdout).split())[:200]
        if "No devices were found" in why:
            return []
        raise UsageError(f"{tool} ended with {done.returncode}: {why}")
    return [card for line in done.stdout.splitlines() if (card := _card_of(line)) is not None]


def _card_of(line: str) -> Card | None:
    """A line of the list; None for a card whose memory is not listed (a shared one)."""
    parts = [part.strip() for part in line.rsplit(",", 2)]
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return Card(parts[0], int(parts[1]) * MIB, int(parts[2]) * MIB)
