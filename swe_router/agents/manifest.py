"""A scaffold is data: its ``scaffold.toml`` names strategy, prompts, tools and limits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swe_router import assets, suggest
from swe_router.agents import loop_rules
from swe_router.agents.tools import Toolset
from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.records import ToolSpec
from swe_router.settings import read_toml

if TYPE_CHECKING:
    from swe_router import templates
else:
    templates = deferred_module("swe_router.templates")

ToolName = Literal["search", "edit", "bash", "submit"]


class _ManifestTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PromptNames(_ManifestTable):
    """Which prompt is used when: names in ``prompts/``, or paths of ``.md.j2`` files."""

    system: str = "system"
    first: str = "first"
    text_tools: str = "text-tools"
    nudge: str = "nudge"
    """After an answer without a call."""
    cut_off: str = "cut-off"
    """After an answer that hit the output limit."""
    malformed: str = "malformed"
    """After a call that cannot be read."""
    handover: str = "handover"
    """What earlier attempts leave, in the first message."""


class LoopLimits(_ManifestTable):
    """When the loop loses patience, and how much it shows."""

    malformed: int = Field(default=5, gt=0)
    """Unreadable calls in a row after which the attempt is given up."""
    silent: int = Field(default=3, gt=0)
    """Answers without a call in a row after which the attempt is given up."""
    observation_bytes: int = Field(default=24_000, ge=1000)
    """Bytes of one observation, head and tail together."""
    keep_turns: int = Field(default=6, ge=1)
    """Newest turns whose observations survive an elision."""
    search_results: int = Field(default=60, gt=0)
    """Lines of one search."""


class Manifest(_ManifestTable):
    """What ``scaffolds/NAME/scaffold.toml`` says."""

    name: str = Field(default="default", exclude=True)
    """The folder's name; not written in the file."""
    digest: str = Field(default="", exclude=True)
    """SHA-256 over the folder's files; not written in the file."""
    strategy: str = "tool-loop"
    """Name of a ``scaffolds`` plugin."""
    tools: tuple[ToolName, ...] = ("search", "edit", "bash", "submit")
    tool_choice: Literal["auto", "required"] = "auto"
    """``required`` asks the server to force a native call."""
    prompts: PromptNames = PromptNames()
    limits: LoopLimits = LoopLimits()
    variants: Mapping[str, str] = Field(default_factory=dict)
    """Variant name -> the prompt that takes the place of ``prompts.first``."""
    texts: Mapping[str, str] = Field(default_factory=dict, exclude=True)
    """Prompt -> its template, as it stood when the manifest was read; one that is not here is
    looked up."""
    toolset: Toolset = Field(default_factory=Toolset.of_today, exclude=True)
    rules: int = Field(default=loop_rules.CURRENT, exclude=True)
    """Version of the loop's rules (``agents.loop_rules``)."""

    @property
    def offered(self) -> tuple[ToolSpec, ...]:
        """The tools as they are shown to a model, in the order of the manifest."""
        return tuple(self.toolset.specs[name] for name in self.tools)

    def at(self, workdir: str) -> Manifest:
        """The manifest with the tools of an instance whose project lies at ``workdir``."""
        tools = self.toolset.at(workdir)
        return self if tools is self.toolset else self.model_copy(update={"toolset": tools})

    def used_prompts(self) -> list[str]:
        """Every prompt that it may say, sorted."""
        return sorted({*self.prompts.model_dump().values(), *self.variants.values()})

    def text(self, prompt: str) -> str:
        """The template of a prompt. Raises ``UsageError`` for an absent one."""
        known = self.texts.get(prompt)
        return templates.prompt_source(prompt) if known is None else known

    def say(self, prompt: str, **variables: Any) -> str:
        """A prompt, filled in. Raises ``UsageError`` for an absent prompt or variable."""
        return templates.render_source(self.text(prompt), f"prompt {prompt}", **variables)

    def first_prompt(self, variant: str) -> str:
        """The prompt of the first message. Raises ``UsageError`` for an unknown variant."""
        if not variant:
            return self.prompts.first
        if variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise UsageError(f"scaffold {self.name} has no variant {variant!r}: there is {known}")
        return self.variants[variant]


def read_manifest(name: str) -> Manifest:
    """The manifest of a scaffold, by name or by path of its folder.

    Raises ``UsageError`` that names each bad key and the nearest right one.
    """
    found = assets.find_asset("scaffolds", name)
    folder = found.parent if found.is_file() else found
    file = folder / "scaffold.toml"
    tree = read_toml(file)
    reserved = sorted({"name", "digest", "texts", "toolset", "rules"} & tree.keys())
    if reserved:
        raise UsageError(f"{file}: there is no key {reserved[0]!r}: the folder gives it")
    try:
        made = Manifest.model_validate({**tree, "name": folder.name, "digest": _digest(folder)})
        return made.model_copy(
            update={"texts": {one: templates.prompt_source(one) for one in made.used_prompts()}}
        )
    except ValidationError as error:
        faults = "; ".join(dict.fromkeys(_explain(fault) for fault in error.errors()))
        raise UsageError(f"{file}: {faults}") from None


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    for path in files:
        if not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts):
            content = path.read_bytes()
            total.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()


def _explain(fault: Any) -> str:
    where = [str(part) for part in fault["loc"]]
    if fault["type"] != "extra_forbidden":
        what = fault["msg"].removeprefix("Value error, ")
        return f"{'.'.join(where)}: {what} (given: {fault['input']!r})"
    tables: dict[str, type[BaseModel]] = {"prompts": PromptNames, "limits": LoopLimits}
    keys = tables.get(where[0], Manifest).model_fields if len(where) > 1 else Manifest.model_fields
    hint = suggest.did_you_mean_hint(
        where[-1], keys, prefix="".join(f"{part}." for part in where[:-1])
    )
    return f"there is no key {'.'.join(where)!r}{hint}"
