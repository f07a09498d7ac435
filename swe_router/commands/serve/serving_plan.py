"""What ``serve`` would start, whether it fits, and why it cannot: all before anything is loaded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from swe_router.errors import UsageError
from swe_router.served_endpoints import KEY_VARIABLE
from swe_router.serving import cards as gpus
from swe_router.serving import memory, model_files, presets, vllm_command
from swe_router.serving.cards import Card
from swe_router.serving.memory import GIB
from swe_router.serving.model_shape import shape_of_config
from swe_router.serving.presets import ModelVariant, ServingChoice, ServingPreset
from swe_router.serving.server_process import port_problem
from swe_router.serving.supervisor import ServingTask
from swe_router.serving.tier_text import tier_of
from swe_router.serving.vllm_command import ServerCommand

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
KEY_CHARACTERS = 16
"""A key of one's own has at least so many."""
CPU_SEQUENCES = 8


@dataclass(frozen=True)
class ServeOptions:
    """What the user asked of ``serve``."""

    model: str = presets.DEFAULT_PRESET
    host: str = "127.0.0.1"
    port: int = 8000
    cpu: bool = False
    cards: int | None = None
    """Tensor-parallel cards; None: one."""
    card_gb: float | None = None
    """Size of a card, for a plan without one."""
    precision: str | None = None
    window: int | None = None
    requests: int | None = None
    cache_gib: int | None = None
    """On a CPU: size of the cache."""
    tools: Literal["native", "text"] | None = None
    tool_parser: str | None = None
    program: str = ""
    key_file: Path | None = None
    start_seconds: float = 900.0
    restarts: int = 5
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServingPlan:
    """A choice with its command, and what stands against starting it."""

    choice: ServingChoice
    command: ServerCommand
    options: ServeOptions
    download_bytes: int | None
    """None: not asked."""
    problems: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """The plan as plain values; bytes, tokens."""
        choice, estimate = self.choice, self.choice.estimate
        return {
            "preset": choice.preset.name,
            "model": choice.variant.model,
            "precision": choice.variant.precision,
            "cards": choice.cards,
            "command": list(self.command.words),
            "environment": dict(self.command.variables),
            "estimate": {
                "weights": estimate.weights,
                "activations": estimate.activations,
                "server": estimate.server,
                "cache": max(0, estimate.cache),
                "room": estimate.room,
                "cache_bytes_per_token": estimate.cache_per_token,
                "state_bytes_per_request": estimate.state_per_sequence,
                "cache_tokens": estimate.cache_tokens,
                "window": estimate.window,
                "requests": estimate.sequences,
                "full_windows": round(estimate.concurrency, 2),
                "missing": estimate.missing,
            },
            "download": self.download_bytes,
            "fits": choice.fits,
            "tier": tier_of(choice, self.options.host, self.options.port),
            "problems": list(self.problems),
        }

    @property
    def task(self) -> ServingTask:
        """What is kept up."""
        options = self.options
        return ServingTask(
            command=self.command,
            host=options.host,
            port=options.port,
            model=vllm_command.served_name(self.choice),
            start_seconds=options.start_seconds,
            restarts=options.restarts,
            requests=max(1, min(8, self.choice.estimate.sequences)),
        )


def plan_serving(
    options: ServeOptions, environ: Mapping[str, str], *, dry: bool = False
) -> ServingPlan:
    """The plan for ``options``; what would stop it is in ``problems``.

    With ``dry`` nobody on the network is asked about a preset. Raises ``UsageError`` for a model
    that is not known, or cannot be read.
    """
    _check_options(options)
    preset, download = _preset_for(options, environ)
    choice, problems = _choice_for(preset, options, environ)
    elsewhere = options.card_gb is not None
    program, missing = ("vllm", []) if elsewhere else _program(options, environ)
    command = vllm_command.server_command(
        program,
        choice,
        host=options.host,
        port=options.port,
        cache_bytes=choice.estimate.cache if not choice.cards else 0,
        extra=options.extra,
    )
    found = [*problems, *missing]
    if not elsewhere and (why := port_problem(options.host, options.port)):
        found.append(
            f"port {options.port} cannot be listened on: {why};"
            " end what has it, or give another with --port"
        )
    if not (dry or found):
        download = _download_of(choice.variant)
        found += _disk_problems(choice.variant, download)
    return ServingPlan(choice, command, options, download, tuple(found))


def _check_options(options: ServeOptions) -> None:
    """Raise ``UsageError`` for a size that no card has, or options of vLLM that are set here."""
    card = options.card_gb
    if card is not None and not (math.isfinite(card) and card > 0):
        raise UsageError(f"--card {card:g}: give the card's size in GB, such as 24")
    for word in options.extra:
        if (ours := vllm_command.own_option(word)) is not None:
            raise UsageError(f"-- {word.partition('=')[0]}: {ours}")


def served_key(options: ServeOptions, environ: Mapping[str, str]) -> str:
    """The key that the user gave by file or variable; empty for a new one.

    A file that is not there is made by the caller. Raises ``UsageError`` for a key that anybody
    could guess, or a file that others may read.
    """
    key = environ.get(KEY_VARIABLE, "").strip()
    where = KEY_VARIABLE
    if options.key_file is not None and options.key_file.exists():
        where = str(options.key_file)
        try:
            if options.key_file.stat().st_mode & 0o077:
                raise UsageError(f"{where} may be read by others: chmod 600 {where}")
            key = options.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--key-file {where}: {error}") from None
        if not key:
            raise UsageError(f"--key-file {where} is empty")
    if key and (len(key) < KEY_CHARACTERS or not (key.isascii() and key.isprintable())):
        raise UsageError(f"{where}: a key has {KEY_CHARACTERS} printable characters or more")
    return key


def _preset_for(
    options: ServeOptions, environ: Mapping[str, str]
) -> tuple[ServingPreset, int | None]:
    """A preset by name, or one made of a folder or a model of the hub; and what it downloads."""
    named = options.model
    folder = Path(named).expanduser()
    if folder.is_dir():
        facts = model_files.facts_of_folder(folder)
        preset = _made_preset(str(folder.resolve()), facts, options)
    elif HUB_NAME.fullmatch(named):
        facts = model_files.facts_of_hub(named)
        preset = _made_preset(named, facts, options)
    else:
        return _with_options(presets.preset_named(named), options), None
    return preset, facts.download_bytes


def _made_preset(model: str, facts: model_files.ModelFiles, options: ServeOptions) -> ServingPreset:
    shape = shape_of_config(facts.config)
    quantised = facts.config.get("quantization_config")
    method = quantised.get("quant_method", "") if isinstance(quantised, Mapping) else ""
    precision = {"": "bf16", "fp8": "fp8"}.get(str(method), str(method))
    window = shape.window or presets.MIN_WINDOW
    preset = ServingPreset(
        name=Path(model).name,
        model=Path(model).name if Path(model).is_dir() else model,
        shape=shape,
        variants=(ModelVariant(model, precision, facts.weight_bytes),),
        window=min(window, 32768),
        max_output_tokens=4096,
        temperature=0.0,
    )
    return _with_options(preset, options)


def _with_options(preset: ServingPreset, options: ServeOptions) -> ServingPreset:
    """The preset with what the user asked for instead. Raises ``UsageError``."""
    longest = preset.shape.window
    if options.window and longest and options.window > longest:
        raise UsageError(f"--window {options.window}: {preset.name} was made for up to {longest}")
    cards = options.cards or 1
    if not options.cpu and not preset.shape.can_share(cards):
        fit = [str(count) for count in range(1, 17) if preset.shape.can_share(count)]
        raise UsageError(
            f"--cards {cards}: {preset.name} has {preset.shape.heads} attention heads, of which"
            f" each card must have as many: {', '.join(fit)}"
        )
    parser = preset.tool_parser if options.tool_parser is None else options.tool_parser
    tools = options.tools or ("native" if options.tool_parser else preset.tools)
    if tools == "native" and not parser:
        raise UsageError(
            f"--tools native: which of vLLM's tool parsers reads {preset.name}'s calls? name it"
            " with --tool-parser (vllm serve --help=tool-call-parser lists them)"
        )
    variants = preset.variants
    if options.precision is not None:
        variants = tuple(one for one in variants if one.precision == options.precision)
        if not variants:
            there = ", ".join(one.precision for one in preset.variants)
            raise UsageError(
                f"--precision {options.precision}: {preset.name} is listed as {there}; any other"
                " weights are served by their name on the hub, or their folder"
            )
    return replace(
        preset,
        variants=variants,
        tools=tools,
        tool_parser=parser if tools == "native" else "",
    )


def _choice_for(
    preset: ServingPreset, options: ServeOptions, environ: Mapping[str, str]
) -> tuple[ServingChoice, list[str]]:
    """The variant, and why this machine cannot serve it."""
    if options.cpu:
        return _cpu_choice(preset, options)
    wanted = options.cards or 1
    listed = [] if options.card_gb else gpus.list_cards(environ)
    share = _memory_share(options.extra)
    if options.card_gb:
        room = memory.room_of_card(options.card_gb, share)
        problems = []
    elif not listed:
        room = memory.room_of_card(24, share)
        problems = [
            "there is no NVIDIA GPU here (nvidia-smi lists none): serve on the CPU with --cpu, on"
            " another machine (docs/serving.md), or plan for a card with --dry-run --card GB"
        ]
    else:
        room, problems = _room_on(listed, wanted, share)
    requests = options.requests or presets.SEQUENCES
    choice = presets.choose_variant(preset, room, wanted, window=options.window, sequences=requests)
    if not choice.fits and not problems:
        problems = [no_room(choice)]
    return choice, problems


def _memory_share(extra: Sequence[str]) -> float:
    """Of a card: vLLM's own share, unless ``--gpu-memory-utilization`` is among the options."""
    text = " ".join(extra).replace("=", " ").partition("--gpu-memory-utilization ")[2]
    try:
        share = float(text.split()[0]) if text else memory.USABLE
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--gpu-memory-utilization {text}: give a share over 0, at most 1")
    return share


def _room_on(listed: list[Card], wanted: int, share: float) -> tuple[int, list[str]]:
    """Bytes that a server may use of each of the first ``wanted`` cards; problems.

    A card is somebody's when its free memory does not hold the share: vLLM would end at once.
    """
    problems = []
    if len(listed) < wanted:
        problems.append(f"--cards {wanted}: this machine has {len(listed)}")
    mine = listed[:wanted]
    for number, card in enumerate(mine):
        if card.free < card.total * share:
            problems.append(
                f"card {number} ({card.name}) is in use: {card.used / GIB:.1f} of"
                f" {card.total / GIB:.1f} GiB; end what has it, choose another with"
                " CUDA_VISIBLE_DEVICES, or share it: -- --gpu-memory-utilization 0.5"
            )
    return int(min(card.total for card in mine) * share), problems


def no_room(choice: ServingChoice) -> str:
    """Why a choice does not fit, in GiB, and what would."""
    estimate = choice.estimate
    more = _enough_cards(choice)
    cards = f" --cards {more}," if more else ""
    return (
        f"{choice.variant.model} ({choice.variant.precision}) with a window of {estimate.window}"
        f" does not fit {choice.cards} card{'s' * (choice.cards > 1)} with"
        f" {estimate.room / GIB:.1f} GiB to use:"
        f" weights {estimate.weights / GIB:.1f}, server and activations"
        f" {(estimate.server + estimate.activations) / GIB:.1f}, lacking"
        f" {estimate.missing / GIB:.1f} GiB; use a smaller --window,{cards} fewer bits, or another"
        " preset (--list)"
    )


def _enough_cards(choice: ServingChoice) -> int:
    """Cards of this size that would hold the choice; 0 when 16 are too few."""
    estimate, shape = choice.estimate, choice.preset.shape
    for cards in range(choice.cards + 1, 17):
        wider = memory.estimate_on_cards(
            shape, choice.variant.bytes, estimate.room, cards, estimate.window, estimate.sequences
        )
        if shape.can_share(cards) and not wider.missing:
            return cards
    return 0


def _cpu_choice(preset: ServingPreset, options: ServeOptions) -> tuple[ServingChoice, list[str]]:
    """On a CPU the first variant that needs no GPU's arithmetic."""
    usable = [one for one in preset.variants if one.precision in {"bf16", "fp16"}]
    variant = (usable or list(preset.variants))[0]
    requests = options.requests or CPU_SEQUENCES
    available = psutil.virtual_memory().available
    window = options.window or min(preset.window, preset.shape.window or preset.window)
    one = memory.estimate_on_cpu(preset.shape, 0, 0, window, requests).window_bytes
    wanted = -(-min(requests * one, max(one, available // 4)) // GIB)
    cache = (options.cache_gib or max(1, wanted)) * GIB
    estimate = memory.estimate_on_cpu(preset.shape, variant.bytes, cache, window, requests)
    choice = ServingChoice(preset, variant, estimate, cards=0)
    problems = []
    if variant not in usable:
        problems.append(f"{variant.model} is {variant.precision}: vLLM on a CPU wants bf16 weights")
    if estimate.room > available:
        problems.append(
            f"{variant.model} on the CPU takes about {estimate.room / GIB:.1f} GiB of memory and"
            f" {available / GIB:.1f} are free: a smaller --window, --cache GIB or model"
        )
    if estimate.missing:
        problems.append(
            f"--cache {cache // GIB} holds {estimate.cache_tokens} tokens, less than a window of"
            f" {window}: give more, or a smaller --window"
        )
    return choice, problems


def _program(options: ServeOptions, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    try:
        return vllm_command.find_program(options.program, environ), []
    except UsageError as error:
        return "vllm", [str(error)]


def _download_of(variant: ModelVariant) -> int:
    """Bytes to download; 0 when the weights are here. Raises ``UsageError``."""
    if Path(variant.model).is_dir() or model_files.check_access(variant.model):
        return 0
    return variant.bytes


def _disk_problems(variant: ModelVariant, download: int) -> list[str]:
    if not download:
        return []
    free, place = model_files.free_disk_bytes()
    if free > download:
        return []
    return [
        f"{variant.model} is {download / GIB:.1f} GiB to download and {place} has"
        f" {free / GIB:.1f} free: free some, or set HF_HOME to another disk"
    ]
