"""A scaffold from another package: it leaves a note in the project, then works as the tool loop."""

from __future__ import annotations

from swe_router.agents.manifest import Manifest
from swe_router.agents.tool_loop import ToolLoop
from swe_router.records import Budget, Instance, Trajectory
from swe_router.seams import AttemptContext, Model, Sandbox


class NotedLoop:
    """The strategy ``outside-scaffold`` of a ``scaffold.toml``."""

    keeps_dialogue = True

    def __init__(
        self, manifest: Manifest, *, command_timeout: float, command_timeout_max: float
    ) -> None:
        self._timeout = command_timeout
        self._loop = ToolLoop(
            manifest, command_timeout=command_timeout, command_timeout_max=command_timeout_max
        )

    def solve(
        self,
        instance: Instance,
        model: Model,
        sandbox: Sandbox,
        budget: Budget,
        context: AttemptContext,
    ) -> Trajectory:
        sandbox.run("echo outside-scaffold > outside_scaffold.txt", timeout=self._timeout)
        return self._loop.solve(instance, model, sandbox, budget, context)
