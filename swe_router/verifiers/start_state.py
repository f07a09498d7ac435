"""What a fresh start state shows, looked at once for all verifiers of an instance."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from swe_router.records import Instance
from swe_router.seams import Sandbox, VerificationContext
from swe_router.verifier_cache import CacheKey
from swe_router.verifiers.testing import runners


@dataclass(frozen=True)
class StartStateFacts:
    """Kept for all candidates of an instance."""

    runner_facts: frozenset[str]
    """What the repository's files and the sandbox say of test runners."""
    python_path: str
    """Path of the interpreter inside the sandbox; empty when there is none."""
    files: tuple[str, ...]
    """Every file at the base commit."""


@dataclass(frozen=True)
class StartStateKey(CacheKey[StartStateFacts]):
    """The start state at a commit."""

    commit: str


def start_state_facts(
    instance: Instance,
    context: VerificationContext,
    fresh_sandbox: Callable[[], Sandbox],
    command_timeout: float,
) -> StartStateFacts:
    """The start state of an instance; ``fresh_sandbox`` gives a sandbox that nothing ran in.

    ``command_timeout``: seconds for each of the commands. Raises ``SandboxError``.
    """
    key = StartStateKey(instance.base_commit)
    if key not in context.cache:
        context.cache[key] = _read_start_state(fresh_sandbox(), command_timeout)
    return context.cache[key]


def _read_start_state(sandbox: Sandbox, command_timeout: float) -> StartStateFacts:
    facts, python = runners.detect_runners(sandbox, command_timeout)
    path = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the sandbox)
    sandbox.run(f"git ls-files -z > {path}", timeout=command_timeout)
    try:
        listed = sandbox.read(path, limit=runners.MAX_REPORT_BYTES)
    except FileNotFoundError:
        listed = b""
    sandbox.run(f"rm -f {path}", timeout=command_timeout)
    names = listed.decode("utf-8", "surrogateescape").split("\0")
    return StartStateFacts(frozenset(facts), python, tuple(name for name in names if name))
