"""Checks of what a run needs outside of it, before the first cent: servers, images, disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swe_router import assets, gateways, plugins, served_endpoints
from swe_router.codegraph import repo_cache
from swe_router.errors import (
    BoundaryError,
    ImageMissing,
    ModelError,
    NoConnection,
    NoImageStore,
    SweRouterError,
    UsageError,
)
from swe_router.lazy_imports import deferred_module
from swe_router.models import tier_checks
from swe_router.records import CallLimits, Instance, Message, ToolSpec
from swe_router.settings import Settings, Tier
from swe_router.wiring import repositories

if TYPE_CHECKING:
    from swe_router.models import server_probe
    from swe_router.sandboxes import docker_engine
else:
    server_probe = deferred_module("swe_router.models.server_probe")
    docker_engine = deferred_module("swe_router.sandboxes.docker_engine")

Level = Literal["ok", "warning", "no"]
MIN_RUN_GB = 1.0
"""Free space under which not even the run folder has room."""
MIN_IMAGES_GB = 20.0
"""Free space under which a handful of official images fill the disk."""
MAX_PULL_CHECKS = 3
"""Images that the store is asked for, as a sample of all."""
MAX_PARALLEL_CHECKS = 8
TEST_CALL_TOOL = ToolSpec(
    name="submit",
    description="Say that you are done.",
    parameters={"type": "object", "properties": {}},
)


@dataclass(frozen=True)
class ConnectivityCheck:
    """The result of one check."""

    name: str
    level: Level
    detail: str

    def row(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"check": self.name, "ok": self.level != "no", "level": self.level,
                "detail": self.detail}  # fmt: skip


def run_check(name: str, look: Callable[[], str | tuple[Level, str]]) -> ConnectivityCheck:
    """The result of ``look``: its message, a level with a message, or its failure."""
    try:
        found = look()
    except SweRouterError as error:
        return ConnectivityCheck(name, "no", str(error))
    return (
        ConnectivityCheck(name, "ok", found)
        if isinstance(found, str)
        else ConnectivityCheck(name, *found)
    )


def run_checks_in_parallel(
    looks: Iterable[tuple[str, Callable[[], Any]]],
) -> list[ConnectivityCheck]:
    """All of them, in their order; a server that does not answer costs its seconds once."""
    asked = list(looks)
    if not asked:
        return []
    with ThreadPoolExecutor(min(MAX_PARALLEL_CHECKS, len(asked))) as pool:
        return list(pool.map(lambda one: run_check(*one), asked))


def check_tiers(
    settings: Settings, names: Sequence[str], *, with_test_call: bool = False
) -> list[ConnectivityCheck]:
    """Each tier's key, server, model, window and, with ``with_test_call``, one call."""
    return run_checks_in_parallel(
        (f"tier {name}", _check_tier(name, settings.tiers[name], with_test_call)) for name in names
    )


def _check_tier(
    name: str, tier: Tier, with_test_call: bool
) -> Callable[[], str | tuple[Level, str]]:
    def look() -> str | tuple[Level, str]:
        kind = plugins.load_plugin("models", tier.dialect)
        key = tier_checks.key_of(name, tier, os.environ)
        level, message = _ask_server(name, tier, key)
        if with_test_call and server_probe.models_url(tier):
            message += "; " + _make_test_call(name, tier, kind, key)
        return level, message

    return look


def _ask_server(name: str, tier: Tier, key: str) -> tuple[Level, str]:
    """The answer of a tier's server to a request for its models. Raises ``UsageError``."""
    by = f"{tier.model} by {tier.dialect}"
    url = tier.base_url or server_probe.HOMES.get(tier.dialect, "its provider")
    try:
        found = server_probe.list_models(tier, key)
    except BoundaryError as error:
        served = served_endpoints.endpoint_at(tier.base_url)
        if served is not None and served.state in served_endpoints.COMING:
            return "warning", f"{by} at {url}: swe-router serve is {served.state} it"
        what = "nobody answers" if isinstance(error, NoConnection) else "no answer comes"
        start = "start the server"
        start += " (swe-router serve)" if tier.dialect == "vllm" else ""
        raise UsageError(f"{what} at {url} ({error}): {start}, or see base_url,"
                         " HTTPS_PROXY and NO_PROXY") from None  # fmt: skip
    if found is None:
        return "ok", by
    if found.status in {401, 407}:
        where = tier.api_key_env or f"none was sent: name its variable, tiers.{name}.api_key_env"
        raise UsageError(f"{url} refuses the key ({where}): HTTP {found.status} {found.text}")
    row = gateways.gateway_of(tier.gateway, tier.base_url)
    if row is not None and not row.lists and found.status not in {402, 429, 502, 503}:
        return "ok", f"{by} at {url}: answers; gateway {row.name} lists no such names"
    if found.status >= 500 or found.status in {402, 429}:
        raise UsageError(f"{url} answers HTTP {found.status}: {found.text}")
    if found.models is None:
        return _server_without_models(tier, found, f"{by} at {url}")
    window = found.models.get(tier.model)
    if window is None and not server_probe.serves_model(tier, key):
        there = ", ".join(list(found.models)[:8]) or "no model at all"
        raise UsageError(f"{url} does not serve {tier.model!r}: it lists {there};"
                         f" see tiers.{name}.model")  # fmt: skip
    if window and tier.window > window:
        raise UsageError(f"tiers.{name}.window = {tier.window}, and {url} says that {tier.model}"
                         f" has {window}: --set tiers.{name}.window={window}")  # fmt: skip
    window_note = f", window {window}" if window else ""
    return "ok", f"{by}, served{window_note}"


def _server_without_models(
    tier: Tier, found: server_probe.ModelListing, who: str
) -> tuple[Level, str]:
    """A server that answers without a list of models."""
    if found.text.lstrip().startswith("<"):
        raise UsageError(f"{who}: a page in HTML answers ({found.text[:120]}), no model"
                         " server: is base_url right, and is a proxy in between?")  # fmt: skip
    if found.status in {307, 308}:  # a call that is led on so stays a call
        return "warning", f"{who}: HTTP {found.status}, {found.text}: name that in base_url"
    if 300 <= found.status < 400:
        raise UsageError(f"{who}: HTTP {found.status}, {found.text}: no model server; is base_url"
                         " right, and is a login or a proxy in between?")  # fmt: skip
    if found.status == 404 and tier.dialect == "vllm":
        raise UsageError(f"{who}: HTTP 404 for its list of models: does base_url lack /v1?")
    if found.status >= 400:
        return "warning", f"{who}: answers, and gives no list (HTTP {found.status} {found.text})"
    return "ok", f"{who}: answers, and gives no list of models"


def _make_test_call(name: str, tier: Tier, kind: Any, key: str) -> str:
    """One paid call with a tool, as short as the dialect allows."""
    most = 16 if tier.dialect == "openai" else 1
    limits = CallLimits(max_output_tokens=most, timeout=min(60.0, tier.timeout))
    tools = (TEST_CALL_TOOL,) if tier.tools == "native" else ()
    messages = (Message(role="user", content="Call submit."),)
    what = "a call with a tool" if tools else "a call"
    try:
        answer = kind(tier, session="knock#1", key=key).complete(messages, tools, limits=limits)
    except BoundaryError as error:
        if error.counts and isinstance(error, ModelError) and error.billed:
            return f"{what} is answered"  # cut off in the middle, as it was asked to be
        why = error.cause or type(error).__name__
        raise UsageError(f"{what} is refused ({why}): {error}") from None
    usage = answer.usage
    return f"{what} is answered ({usage.prompt_tokens} + {usage.output_tokens} tokens)"


def check_images(
    settings: Settings,
    instances: Sequence[Instance],
    *,
    engine: docker_engine.Engine | None = None,
) -> str | tuple[Level, str]:
    """Whether the engine has every image, or may pull it. Raises ``UsageError`` for all at once."""
    docker = engine or docker_engine.Engine.connect()
    bare = [one.id for one in instances if not one.image]
    if bare:
        raise UsageError(
            f"{_first_names(bare)} {'name' if len(bare) > 1 else 'names'} no image: give the"
            " rows an image column, or use --sandbox local"
        )
    names = list(dict.fromkeys(one.image for one in instances))
    missing = [name for name in names if not docker.has(name)]
    there = f"{len(names) - len(missing)} of {len(names)} images are on the engine"
    if not missing:
        return there
    message = f"{there}; missing: {_first_names(missing)}"
    own = {one.image: one.id for one in instances if one.repo.startswith("demo/")}
    if missing[0] in own:  # no store has these
        raise UsageError(
            f"{message}; {_build_hint(missing[0], own[missing[0]])}, or use --sandbox local"
        )
    how = "docker pull or docker load them, or use --sandbox local"
    if not settings.sandbox.pull:
        raise UsageError(f"{message}; sandbox.pull is off: {how}, or --set sandbox.pull=true")
    for name in missing[:MAX_PULL_CHECKS]:
        try:
            docker.offered(name)
        except (ImageMissing, NoImageStore) as error:
            raise UsageError(f"{message}; {error}: {how}") from None
    return "ok", f"{message}; to be pulled"


def _build_hint(image: str, instance: str) -> str:
    """How an image of the demo is made."""
    root = assets.assets_root()
    return (
        f"build each, the first with: docker build -f {root / 'docker' / 'demo.Dockerfile'}"
        f" --build-arg INSTANCE={instance} -t {image} {root / 'eval' / 'suites' / 'demo'}"
        " (the file says how to build all)"
    )


def check_repositories(
    settings: Settings, instances: Sequence[Instance], kind: str
) -> list[ConnectivityCheck]:
    """Whether each repository is available: a local sandbox starts from it."""
    cache = repositories.repo_cache(settings.repos, lambda line: None)
    first = {one.repo: one for one in reversed(instances)}

    def look(one: Instance) -> Callable[[], str]:
        return lambda: cache.offered(one)

    found = run_checks_in_parallel((f"repository {repo}", look(one)) for repo, one in first.items())
    bad = [check for check in found if check.level == "no"]
    if not bad:
        return [
            ConnectivityCheck("repositories", "ok", f"{len(found)}: {_first_names(sorted(first))}")
        ]
    if kind != "local":
        # The image holds the repository; routing and search use the issue text alone.
        return [
            ConnectivityCheck(one.name, "warning", f"{one.detail}; routed by the text alone")
            for one in bad
        ]
    return bad


def check_disk(folder: Path, *, min_gb: float) -> str:
    """Free space where the run folder will lie. Raises ``UsageError`` under ``min_gb`` GB."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is a file: give a folder with --out")
    free = shutil.disk_usage(there).free / 1e9
    if free < min_gb:
        raise UsageError(f"{free:.1f} GB free at {there}: {min_gb:g} GB are needed")
    if not os.access(there, os.W_OK):
        raise UsageError(f"{there} cannot be written to: give another folder with --out")
    return f"{free:.0f} GB free at {there}"


def check_caches() -> str | tuple[Level, str]:
    """Where repositories are kept."""
    folder, wanted = repo_cache.cache_folder()
    if folder == wanted:
        return f"repositories are kept in {folder}"
    return "warning", f"{wanted} cannot be written to: repositories are kept in {folder}"


def check_proxies(environ: Mapping[str, str]) -> str | tuple[Level, str]:
    """Proxy and certificate settings that every client of ours goes by."""
    names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
    given = [name for name in names if environ.get(name) or environ.get(name.lower())]
    certificates = next((environ[n] for n in CERTIFICATE_VARIABLES if environ.get(n)), "")
    if certificates and not Path(certificates).exists():
        raise UsageError(f"the certificates that {_variables_set(environ)} names are not there:"
                         f" {certificates}")  # fmt: skip
    parts = [*given, *([f"certificates of {certificates}"] if certificates else [])]
    return ", ".join(parts) or "no proxy, the system's certificates"


CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


def _variables_set(environ: Mapping[str, str]) -> str:
    return next(name for name in CERTIFICATE_VARIABLES if environ.get(name))


def _first_names(names: Sequence[str], max_names: int = 3) -> str:
    more = f" and {len(names) - max_names} more" if len(names) > max_names else ""
    return ", ".join(names[:max_names]) + more
