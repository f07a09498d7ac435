"""The GPUs that a server may use, as ``nvidia-smi`` lists them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from swe_router.errors import UsageError

MIB = 1 << 20
QUERY = ("--query-gpu=index,uuid,name,memory.total,memory.used", "--format=csv,noheader,nounits")
SECONDS = 20.0


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
    """The GPUs of this machine that ``CUDA_VISIBLE_DEVICES`` leaves, in its order.

    Empty without one, or without NVIDIA's tool. Raises ``UsageError`` when the tool is there and
    does not answer.
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
    listed: dict[str, Card] = {}
    for line in done.stdout.splitlines():
        index, _, rest = line.partition(",")
        uuid, _, rest = rest.partition(",")
        if (card := _card_of(rest)) is not None:
            listed |= {index.strip(): card, uuid.strip(): card}
    asked = environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return [card for name, card in listed.items() if name.isdecimal()]
    return [card for one in asked.split(",") if (card := _card_named(one.strip(), listed))]


def _card_named(name: str, listed: Mapping[str, Card]) -> Card | None:
    """By number, or by the beginning of its UUID, as CUDA takes it."""
    if name.isdecimal():
        return listed.get(name)
    found = [card for key, card in listed.items() if name and key.startswith(name)]
    return found[0] if len(found) == 1 else None


def _card_of(line: str) -> Card | None:
    """Name and memory of a line; None for a card whose memory is not listed (a shared one)."""
    parts = [part.strip() for part in line.rsplit(",", 2)]
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return Card(parts[0], int(parts[1]) * MIB, int(parts[2]) * MIB)
