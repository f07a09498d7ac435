"""``serve``: a model server for the local tier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from swe_router.cli.options import Json
from swe_router.cli.output import emit, talk
from swe_router.errors import ServerFailed, UsageError

if TYPE_CHECKING:
    from swe_router.commands.result import CommandResult


def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A preset (see --list), a folder with weights, or ORG/NAME of the hub."
            " Default: deepseek-coder-v2-lite.",
        ),
    ] = None,
    extra: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTIONS]", help="After --: options of vllm serve."),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the presets, and what fits which card.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show command, memory and tier; start nothing.")
    ] = False,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Serve on the CPU (vLLM's CPU build): small models.")
    ] = False,
    cards: Annotated[
        int | None, typer.Option(min=1, help="GPUs that share the model (tensor parallel).")
    ] = None,
    card: Annotated[
        float | None, typer.Option(help="Plan for a card of so many GB: 24, 32, 48, 80, 141.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="bf16, fp8 or int4; default: what fits.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=512, help="Tokens of prompt and answer together.")
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Most requests at a time.")] = None,
    cache: Annotated[
        int | None, typer.Option(min=1, help="With --cpu: GiB of the key-value cache.")
    ] = None,
    tools: Annotated[str | None, typer.Option(help="native or text.")] = None,
    tool_parser: Annotated[
        str | None, typer.Option(help="vLLM's parser of the model's tool calls.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    tier: Annotated[str, typer.Option(help="Name of the tier that is shown or written.")] = "local",
    write_tier: Annotated[
        Path | None,
        typer.Option("--write-tier", help="Put the tier into this preset file once it answers."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="File of the key, made if absent. Default: a new key."),
    ] = None,
    vllm: Annotated[
        str, typer.Option("--vllm", help="vLLM's program or environment; or SWE_ROUTER_VLLM.")
    ] = "",
    start_seconds: Annotated[
        float, typer.Option(min=1, help="Most seconds until it is healthy, download included.")
    ] = 7200.0,
    restarts: Annotated[int, typer.Option(min=0, help="Crashes in a row before it ends.")] = 5,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the server's own lines too.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Serve a model for the local tier with vLLM, and keep it up until Ctrl-C.

    Memory is estimated before anything is downloaded. The endpoint has a key; runs on this
    machine find it. A crashed server is started again, and runs wait for it. Exit codes: 0
    stopped; 1 the server did not start or crashed too often; 2 usage; 130 stopped before it was
    ready.
    """
    import os

    from swe_router.commands.serve import serving_run
    from swe_router.commands.serve.serving_plan import ServeOptions

    if list_:
        listed = serving_run.list_presets()
        emit(listed.facts, as_json=as_json, view=listed.view)
        return 0
    if tools not in {None, "native", "text"}:
        raise UsageError(f"--tools {tools}: native or text")
    if model is not None and model.startswith("-"):  # ``serve -- OPTIONS`` names no model
        extra, model = [model, *(extra or ())], None
    options = ServeOptions(
        host=host,
        port=port,
        cpu=cpu,
        cards=cards,
        card_gb=card,
        precision=precision,
        window=window,
        requests=requests,
        cache_gib=cache,
        tools=cast(Literal["native", "text"] | None, tools),
        tool_parser=tool_parser,
        program=vllm,
        key_file=key_file,
        start_seconds=start_seconds,
        restarts=restarts,
        extra=tuple(extra or ()),
        **({"model": model} if model else {}),
    )
    if dry_run:
        shown = serving_run.show_plan(options, tier, os.environ)
        emit(shown.facts, as_json=as_json, view=shown.view)
        return shown.exit_code
    if card is not None:
        raise UsageError("--card is for --dry-run: a server uses the card that is there")
    ready: list[bool] = []

    def show(done: CommandResult) -> None:
        emit(done.facts, as_json=as_json, view=done.view)
        ready.append(True)

    try:
        serving_run.serve_model(
            options,
            tier,
            write_tier,
            os.environ,
            say=talk,
            log=talk if verbose else lambda line: None,
            on_ready=show,
        )
    except ServerFailed as error:
        if not ready:
            raise
        talk(f"swe-router: {error}")  # stdout has its value already
        return 1
    if not ready:
        emit({"error": "stopped before it was ready"}, as_json=as_json)
        return 130
    return 0
