"""What an agent is given: the opening of its conversation, and how large that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swe_router.agents.manifest import Manifest
from swe_router.lazy_imports import deferred_module
from swe_router.records import ImageLink, Instance, Message, ToolSpec

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

WORK_PLAN = "work-plan"
"""Prompt around what a planner wrote."""
MAX_URL = 300
"""Characters of an address that are written out; a ``data:`` address is the picture itself."""
BYTES_PER_IMAGE_TOKEN = 3
"""As ``dialogue.BYTES_PER_TOKEN``: windows are measured in bytes."""


def prompt_digests(manifest: Manifest) -> dict[str, str]:
    """SHA-256 of the scaffold and of each prompt that it may say."""
    texts = {
        f"prompt/{name}": templates.text_digest(manifest.text(name))
        for name in manifest.used_prompts()
    }
    return {f"scaffold/{manifest.name}": manifest.digest, **texts}


def opening_messages(
    manifest: Manifest,
    instance: Instance,
    *,
    text: bool,
    timeouts: tuple[float, float] = (120.0, 600.0),
    handover: str = "",
    continued: bool = False,
    variant: str = "",
    image_tokens: int = 0,
    work_plan: str = "",
) -> tuple[Message, Message]:
    """The system message and the first user message.

    ``text``: the tools are taught in the text form. ``timeouts``: seconds of a command, and the
    most that can be asked for. ``handover``: what earlier attempts leave; ``continued``: it is a
    conversation that is continued. ``image_tokens``: most tokens of one picture; with 0 the
    model sees none and gets their addresses as text. ``work_plan``: what a planner wrote.
    """
    manifest, workdir = manifest.at(instance.workdir), instance.workdir
    section = ""
    if text:
        taught = manifest.toolset.describe(manifest.tools)
        section = manifest.say(manifest.prompts.text_tools, description=taught)
    system = manifest.say(
        manifest.prompts.system,
        workdir=workdir,
        text_tools=section,
        command_timeout=f"{timeouts[0]:g}",
        command_timeout_max=f"{timeouts[1]:g}",
    )
    left = ""
    if handover.strip():
        name = manifest.prompts.handover
        left = manifest.say(name, workdir=workdir, text=handover.strip(), continued=continued)
    first = manifest.say(
        manifest.first_prompt(variant),
        workdir=workdir,
        repo=instance.repo,
        problem=instance.problem.strip(),
        handover=left.strip(),
    )
    if work_plan:
        first += f"\n\n{manifest.say(WORK_PLAN, text=work_plan).strip()}"
    shown = tuple(
        ImageLink(url=url, max_tokens=image_tokens) for url in instance.images if image_tokens
    )
    first += _images_note(instance.images, seen=bool(shown))
    user = Message(role="user", content=first, images=shown)
    return Message(role="system", content=system), user


def _images_note(images: Sequence[str], *, seen: bool) -> str:
    """What the first message says of the issue's pictures; its words are part of a run."""
    if not images:
        return ""
    count = "One picture" if len(images) == 1 else f"{len(images)} pictures"
    if seen:
        return f"\n\n{count} of the issue are attached, in the order of the text."
    named = [url if len(url) <= MAX_URL else f"{url[:40]}..." for url in images]
    return f"\n\n{count} of the issue cannot be shown to you: {', '.join(named)}"


def window_need(
    manifest: Manifest, instance: Instance, *, text: bool, image_tokens: int = 0
) -> int:
    """UTF-8 bytes of the first request, for a look at the window before anything is paid."""
    offered = () if text else manifest.at(instance.workdir).offered
    return sum(
        map(
            message_bytes_of,
            opening_messages(manifest, instance, text=text, image_tokens=image_tokens),
        )
    ) + sum(map(message_bytes_of, offered))


def message_bytes_of(part: Message | ToolSpec) -> int:
    """UTF-8 bytes of what the model reads of a message or a tool."""
    if isinstance(part, ToolSpec):
        return len(part.model_dump_json().encode())
    calls = (
        call.name + json.dumps(dict(call.arguments), ensure_ascii=False, default=str)
        for call in part.tool_calls
    )
    kept = (json.dumps(dict(item), ensure_ascii=False, default=str) for item in part.kept)
    texts = (part.content, *calls, *kept)
    pictures = BYTES_PER_IMAGE_TOKEN * sum(image.max_tokens for image in part.images)
    return pictures + sum(len(one.encode("utf-8", "replace")) for one in texts)
