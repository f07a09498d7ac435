"""Carries calls out in the sandbox and says what happened, the same words for the same facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swe_router.agents import edit_tool, tool_paths, tools
from swe_router.agents.edit_tool import EditRefused
from swe_router.agents.observation_text import printable, shortened
from swe_router.agents.search_tool import SearchTool
from swe_router.records import Action, Result, ToolCall
from swe_router.seams import Sandbox

SUBMITTED = "Submitted."


@dataclass(frozen=True)
class Toolbox:
    """The tools of one attempt; calls come checked (``tools.checked_call``)."""

    sandbox: Sandbox
    lookup: SearchTool
    clock: Callable[[], float]
    """Unix seconds."""
    remaining: Callable[[], float]
    """Wall seconds that the attempt has left."""
    command_timeout: float
    command_timeout_max: float
    observation_bytes: int
    tells_refusals: bool = True
    """Mark what was refused: ``Action.refused``."""

    def carry_out(self, call: ToolCall) -> Action:
        """The call and what the agent is shown. ``SandboxError`` passes through."""
        begun = self.clock()
        exit_code: int | None = None
        refused = False
        try:
            if call.name == tools.BASH.name:
                text, exit_code = self._bash(call)
            elif call.name == tools.EDIT.name:
                text = self._edit(call)
            elif call.name == tools.SEARCH.name:
                text = self.lookup.search(call.arguments)
            else:
                text = SUBMITTED
        except EditRefused as refusal:
            text, refused = str(refusal), True
        return Action(
            call=call,
            observation=shortened(printable(text), self.observation_bytes),
            exit_code=exit_code,
            seconds=max(0.0, self.clock() - begun),
            refused=refused and self.tells_refusals,
        )

    def _bash(self, call: ToolCall) -> tuple[str, int]:
        command = call.arguments["command"]
        if not command.strip() or "\x00" in command:
            raise EditRefused("The command is empty." if not command.strip() else "It holds a NUL.")
        wanted = call.arguments.get("timeout", self.command_timeout)
        if wanted <= 0:
            raise EditRefused("The timeout must be more than 0 seconds.")
        timeout = min(wanted, self.command_timeout_max, max(1.0, self.remaining()))
        self.lookup.ran_command()
        result = self.sandbox.run(printable(command), timeout=timeout)
        capped = wanted > self.command_timeout_max
        return _describe_result(result, timeout, capped=capped), result.exit_code

    def _edit(self, call: ToolCall) -> str:
        place = tool_paths.editable_path(
            self.sandbox, call.arguments["path"], timeout=self.command_timeout
        )
        before: bytes | None = None
        if place.exists:
            try:
                before = self.sandbox.read(place.relative)
            except ValueError:
                raise EditRefused(f"{place.relative} is too large for edit; use bash.") from None
            except OSError as error:
                raise EditRefused(f"{place.relative} cannot be read: {error}") from None
        after = edit_tool.apply_edit(place.relative, before, call.arguments)
        try:
            self.sandbox.write(place.relative, after)
        except OSError as error:
            raise EditRefused(f"{place.relative} cannot be written: {error}") from None
        self.lookup.changed(place.relative, after)
        shown = edit_tool.changed_lines(before, after)
        verb = "Created" if before is None else "Edited"
        return f"{verb} {place.relative}." + (f" It now reads:\n{shown}" if shown else "")


def _describe_result(result: Result, timeout: float, *, capped: bool) -> str:
    lines = [result.output.rstrip("\n") or "(no output)"]
    if result.dropped:
        lines.append(f"[{result.dropped} bytes of output were left out: redirect it to a file]")
    if result.timed_out:
        most = ", the most that can be asked for" if capped else ""
        lines.append(
            f"[timed out after {timeout:g} s{most}: the command and every process that it"
            " started were killed]"
        )
    else:
        lines.append(f"[exit code {result.exit_code}]")
    return "\n".join(lines)
