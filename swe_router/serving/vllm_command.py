"""The command line and environment with which vLLM serves a choice."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.serving.memory import GIB
from swe_router.serving.presets import ServingChoice

PROGRAM_VARIABLE = "SWE_ROUTER_VLLM"
QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
"""No figures of use are sent anywhere."""

_OWN_OPTIONS = {
    "--api-key": "a key on the command line can be read in ps; give it with --key-file",
    "--host": "give --host before the --",
    "--port": "give --port before the --",
    "--max-model-len": "give --window before the --",
    "--max-num-seqs": "give --requests before the --",
    "--tensor-parallel-size": "give --cards before the --",
    "-tp": "give --cards before the --",
    "--model": "name the model before the --",
    "--served-model-name": "the tier names the model as it is served",
    "--tool-call-parser": "give --tool-parser before the --",
}
"""Options of vLLM that ``serve`` sets itself, by which it finds, measures and prices the server."""


def own_option(word: str) -> str | None:
    """How an option of vLLM is given to ``serve`` instead; None for all others."""
    name = word.partition("=")[0]
    return _OWN_OPTIONS.get(name.replace("_", "-") if name.startswith("--") else name)


@dataclass(frozen=True)
class ServerCommand:
    """What is started: words and the variables that are added to the environment, no key."""

    words: tuple[str, ...]
    variables: Mapping[str, str]


def find_program(given: str, environ: Mapping[str, str]) -> str:
    """VLLM's program: ``given`` (a program or the folder of an environment), else as installed.

    Raises ``UsageError`` that says how to install it.
    """
    named = given or environ.get(PROGRAM_VARIABLE, "")
    if named:
        path = Path(named).expanduser()
        inside = [path / "bin" / "vllm", path / "vllm"] if path.is_dir() else [path]
        for one in inside:
            if one.is_file() and os.access(one, os.X_OK):
                return str(one)
        found = shutil.which(named, path=environ.get("PATH"))
        if found is None or path.is_dir():
            raise UsageError(f"--vllm {named}: there is no program vllm")
        return found
    next_to_python = Path(sys.executable).with_name("vllm")
    if next_to_python.is_file():
        return str(next_to_python)
    if (found := shutil.which("vllm", path=environ.get("PATH"))) is not None:
        return found
    raise UsageError(
        "vLLM is not installed: pip install 'swe-router[vllm]' (Linux with an NVIDIA GPU), or name"
        " that of another environment with --vllm PATH; on a CPU see docs/serving.md"
    )


def server_command(
    program: str,
    choice: ServingChoice,
    *,
    host: str,
    port: int,
    cache_bytes: int = 0,
    extra: Sequence[str] = (),
) -> ServerCommand:
    """The command for a choice; ``cache_bytes`` is the size of the cache on a CPU."""
    preset, variant, estimate = choice.preset, choice.variant, choice.estimate
    names = dict.fromkeys((served_name(choice), preset.model))
    words = [
        *(program, "serve", variant.model, "--served-model-name", *names),
        *("--host", host, "--port", str(port)),
        *("--max-model-len", str(estimate.window), "--max-num-seqs", str(estimate.sequences)),
        *("--enable-prefix-caching", "--enable-prompt-tokens-details"),
    ]
    if preset.tool_parser:
        words += ["--enable-auto-tool-choice", "--tool-call-parser", preset.tool_parser]
    if preset.reasoning_parser:
        words += ["--reasoning-parser", preset.reasoning_parser]
    variables = dict(QUIET)
    if choice.cards:
        words += ["--tensor-parallel-size", str(choice.cards)] if choice.cards > 1 else []
    else:
        words += ["--dtype", "bfloat16", "--enforce-eager"]
        variables["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, cache_bytes // GIB))
    return ServerCommand((*words, *preset.args, *variant.args, *extra), variables)


def served_name(choice: ServingChoice) -> str:
    """The model's first name at the server: that of the weights, or of the folder they lie in."""
    model = choice.variant.model
    return Path(model).name if Path(model).is_dir() else model
