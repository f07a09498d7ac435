"""Every word said to a model lies in ``prompts/NAME.md.j2``; an unset variable is an error."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError

from swe_router import assets, toolcalls
from swe_router.agents import tools
from swe_router.agents.manifest import Manifest
from swe_router.errors import UsageError
from swe_router.records import Instance, Message, ToolSpec

SUFFIX = ".md.j2"
# Prompts are Markdown for a model, not HTML: escaping would change the issue text.
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701


def render(name: str, **variables: Any) -> str:
    """A prompt, filled in. Raises ``UsageError`` for an absent prompt or variable."""
    path = assets.find("prompts", name, SUFFIX)
    try:
        return _template(path).render(**variables)
    except TemplateError as error:
        raise UsageError(f"prompt {path}: {error.message}") from None


def prints(manifest: Manifest) -> dict[str, str]:
    """SHA-256 of the scaffold and of each prompt that it may say."""
    names = {*manifest.prompts.model_dump().values(), *manifest.variants.values()}
    hashes = {f"scaffold/{manifest.name}": manifest.digest}
    for name in sorted(names):
        content = assets.find("prompts", name, SUFFIX).read_bytes()
        hashes[f"prompt/{name}"] = hashlib.sha256(content).hexdigest()
    return hashes


def opening(
    manifest: Manifest,
    instance: Instance,
    *,
    text: bool,
    timeouts: tuple[float, float] = (120.0, 600.0),
    handover: str = "",
    continued: bool = False,
    variant: str = "",
) -> tuple[Message, Message]:
    """The system message and the first user message.

    ``text``: the tools are taught in the text form. ``timeouts``: seconds of a command, and the
    most that can be asked for. ``handover``: what earlier attempts leave; ``continued``: it is a
    conversation that is gone on with.
    """
    section = ""
    if text:
        taught = toolcalls.describe(tools.specs(manifest.tools))
        section = render(manifest.prompts.text_tools, description=taught)
    system = render(
        manifest.prompts.system,
        text_tools=section,
        command_timeout=f"{timeouts[0]:g}",
        command_timeout_max=f"{timeouts[1]:g}",
    )
    left = ""
    if handover.strip():
        name = manifest.prompts.handover
        left = render(name, text=handover.strip(), continued=continued)
    first = render(
        manifest.first_prompt(variant),
        repo=instance.repo,
        problem=instance.problem.strip(),
        handover=left.strip(),
    )
    return Message(role="system", content=system), Message(role="user", content=first)


def window_need(manifest: Manifest, instance: Instance, *, text: bool) -> int:
    """UTF-8 bytes of the first request, for a look at the window before anything is paid."""
    offered = () if text else tools.specs(manifest.tools)
    return sum(map(size, opening(manifest, instance, text=text))) + sum(map(size, offered))


def size(part: Message | ToolSpec) -> int:
    """UTF-8 bytes of what the model reads of a message or a tool."""
    if isinstance(part, ToolSpec):
        return len(part.model_dump_json().encode())
    calls = (
        call.name + json.dumps(dict(call.arguments), ensure_ascii=False, default=str)
        for call in part.tool_calls
    )
    texts = (part.content, *calls)
    return sum(len(one.encode("utf-8", "replace")) for one in texts)


@functools.cache
def _template(path: Path) -> Template:
    return _ENVIRONMENT.from_string(path.read_text(encoding="utf-8"))
