"""Why a model server did not start, in the user's words, by the last lines that it wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"Failed to infer device type|No CUDA GPUs are available|no NVIDIA driver",
        "there is no GPU that vLLM can use: serve on the CPU with --cpu and vLLM's CPU build"
        " (docs/serving.md), or on another machine",
    ),
    (
        r"CUDA out of memory|OutOfMemoryError|No available memory for the cache blocks"
        r"|Free memory on device|larger than the maximum number of tokens that can be stored"
        r"|larger than the available KV cache memory|is less than desired GPU memory",
        "the card has no room: end what uses it, give a smaller --window or fewer --requests,"
        " more cards with --cards, or a variant of fewer bits with --precision",
    ),
    (
        r"No space left on device|Not enough free disk space",
        "the disk is full: free some, or set HF_HOME to another one",
    ),
    (
        r"GatedRepoError|401 Client Error|403 Client Error|Access to model .* is restricted",
        "the model is gated: accept its licence on the hub and set HF_TOKEN",
    ),
    (
        r"RepositoryNotFoundError|404 Client Error|is not a local folder and is not a valid model",
        "the hub has no such model: check the name",
    ),
    (
        r"LocalEntryNotFoundError|outgoing traffic has been disabled|couldn't connect to"
        r"|Max retries exceeded",
        "the model is not on this machine and the hub does not answer",
    ),
    (
        r"[Aa]ddress already in use|Errno 98|Errno 48",
        "the port is taken: give another with --port",
    ),
    (
        r"max_model_len .*(?:is greater than|larger than)|greater than the derived max_model_len",
        "the model has a smaller window: give it with --window",
    ),
    (
        r"invalid tool call parser|No module named .*tool_parser|KeyError: invalid tool",
        "this vLLM has no such tool parser: leave it out with --tools text, or update vLLM",
    ),
    (
        r"divisible by tensor parallel size|not aligned with the quantized weight shape",
        "so many cards cannot share these weights: give other --cards",
    ),
    (
        r"unrecognized arguments|invalid choice",
        "this vLLM does not know an option: update it (0.20 or later)",
    ),
    (
        r"trust_remote_code|contains custom code",
        "the model brings code of its own: read it, then add -- --trust-remote-code",
    ),
    (
        r"Failed to import from vllm|operator torchvision::nms does not exist"
        r"|PackageNotFoundError|libcudart|libcuda\.so",
        "vLLM is installed in a way that cannot run here: see docs/serving.md",
    ),
)
"""Pattern in the server's output -> what it means and the fix; the first that matches holds."""
SHOWN_LINES = 8
_ERROR = re.compile(r"(?:Error|Exception|error:)[:\s]", re.ASCII)
_PLAIN_LEVELS = ("INFO", "WARNING", "DEBUG")
"""A line of the access log says "500 Internal Server Error" and explains nothing."""
_PREFIX = re.compile(r"^\(\w+ pid=\d+\) ")


def explain_failure(lines: Sequence[str], code: int | None) -> str:
    """What went wrong in one sentence, then the server's own last words."""
    text = "\n".join(lines)
    cause = next((means for pattern, means in CAUSES if re.search(pattern, text)), "")
    ended = "did not become healthy in time" if code is None else f"ended with exit code {code}"
    head = f"the server {ended}" + (f": {cause}" if cause else "")
    own = last_words(lines)
    return head + (f"; it wrote last:\n  {own}" if own else "; it wrote nothing")


def last_words(lines: Sequence[str]) -> str:
    """The last error that the server wrote, else its last lines."""
    plain = [_PREFIX.sub("", line).rstrip() for line in lines if line.strip()]
    errors = [
        at
        for at, line in enumerate(plain)
        if _ERROR.search(line + " ") and not line.startswith(_PLAIN_LEVELS)
    ]
    at = errors[-1] if errors else max(0, len(plain) - SHOWN_LINES)
    return "\n  ".join(line[:300] for line in plain[at : at + SHOWN_LINES])
