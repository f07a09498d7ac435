"""One typed tree: preset TOML, then files, then ``--set a.b=c``; its digest names the run."""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.records import digest_of

TIER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Table(BaseModel):
    """Base of every settings table: frozen, an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Price(Table):
    """USD per million tokens, for a model that no price table knows."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    """Unset: as ``input``."""
    cache_write: Decimal | None = Field(default=None, ge=0)
    """Unset: as ``input``."""


class Tier(Table):
    """A model that can be chosen; a file or ``--set tiers.NAME.…`` overrides any field."""

    dialect: str
    """``anthropic``, ``openai``, ``vllm``, ``scripted``, or another ``models`` plugin."""
    model: str = Field(min_length=1)
    """The provider's model id."""
    base_url: str = ""
    """Endpoint; empty is the provider's own."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty when none is needed."""
    window: int = Field(gt=0)
    """Tokens that prompt and answer share."""
    max_output_tokens: int = Field(default=8192, gt=0)
    """Output cap of one step, reasoning included: what a reservation is made for."""
    tools: Literal["native", "text"] = "native"
    """``text``: the model has no tool calls; the text dialect is used."""
    temperature: float | None = None
    """Sent only where set (some clouds refuse it)."""
    timeout: float = Field(default=600.0, gt=0)
    """Wall seconds for one answer."""
    retries: int = Field(default=5, ge=0)
    """Times one call is sent again after a rate limit or an overload."""
    attempt_usd: Decimal = Field(gt=0)
    """Dollar limit of one attempt: an attempt starts only when this much is free."""
    attempt_steps: int = Field(default=100, gt=0)
    attempt_seconds: float = Field(default=3600.0, gt=0)
    price: Price | Literal["free", "table", "gpu-hour"] = "table"
    """``table``: genai-prices and eval/prices.toml; ``gpu-hour``: wall time of the calls times
    ``prices.usd_per_gpu_hour``; ``free``: you say that it costs nothing; or a table of your own."""
    concurrency: int = Field(default=1, gt=0)
    """Calls that share the GPU, for ``price = "gpu-hour"``."""
    retires: datetime.date | None = None
    """Day on which the provider switches the model off."""
    successor: str = ""
    """Model id to move to when it does."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Extra arguments of the dialect, e.g. ``reasoning_effort`` or a cassette of ``scripted``."""


class PolicySettings(Table):
    """Which routing policy, and its knobs."""

    name: str = "cascade"
    ladder: tuple[str, ...] = ()
    """Tier names from cheap to strong; empty is the order in which the tiers are declared."""
    knobs: Mapping[str, Any] = Field(default_factory=dict)
    """The policy's own parameters (``--policy-set k=v``)."""


class SandboxSettings(Table):
    """The box in which commands run."""

    kind: str = "auto"
    """``auto``: local for the demo, docker for all else; ``docker``; ``local``."""
    unsafe: bool = False
    """With ``local``: a plain process when no isolation is to be had."""
    memory: str = "4g"
    """Memory limit of one box, docker notation."""
    pids: int = Field(default=1024, gt=0)
    cpus: float = Field(default=0.0, ge=0)
    """CPU limit of one box; 0 is none."""
    command_timeout: float = Field(default=120.0, gt=0)
    """Seconds for one command of the agent, unless it asks for more."""
    command_timeout_max: float = Field(default=600.0, gt=0)
    """Most seconds that the agent may ask for."""
    output_bytes: int = Field(default=32_000, ge=1000)
    """Bytes of output kept of a command, head and tail together."""
    pull: bool = True
    """Pull images that are absent."""


class VerifySettings(Table):
    """How a candidate is checked before it is trusted."""

    names: tuple[str, ...] = ("applies", "repo-tests")
    seconds: float = Field(default=600.0, gt=0)
    """Time box of all verdicts on one candidate."""
    max_test_files: int = Field(default=12, gt=0)
    """Nearest test files that ``repo-tests`` runs."""


class PriceSettings(Table):
    """Where prices come from."""

    date: datetime.date | None = None
    """Day whose prices hold; unset is the day on which the run starts (then recorded)."""
    usd_per_gpu_hour: Decimal = Field(default=Decimal("2.00"), ge=0)
    """Rent of the GPU that serves local tiers: about one A100-80GB by the hour in 2026."""


class GradeSettings(Table):
    """The official harness."""

    enabled: bool = True
    timeout: float = Field(default=1800.0, gt=0)
    """Seconds for one evaluation."""
    workers: int = Field(default=2, gt=0)


class Settings(Table):
    """Everything a run depends on."""

    split: str = "demo"
    """Name of a split or path of a .jsonl, .json or .parquet file."""
    instances: tuple[str, ...] = ()
    filter: str = ""
    slice: str = ""
    shuffle: bool = False
    seed: int = 0
    budget: Decimal = Field(default=Decimal("1"), gt=0)
    """USD that the whole run, its resumes included, may not exceed."""
    workers: int = Field(default=0, ge=0)
    """Ray workers; 0 runs in this process. Not part of the digest."""
    candidates: int = Field(default=1, gt=0)
    """Candidates per instance that selection may choose from."""
    scaffold: str = "default"
    selector: str = "test-pass-rate"
    repos: str = ""
    """Folder of bare repositories ``owner__name.git``; empty is the user's cache."""
    tiers: Mapping[str, Tier]
    policy: PolicySettings = PolicySettings()
    sandbox: SandboxSettings = SandboxSettings()
    verify: VerifySettings = VerifySettings()
    prices: PriceSettings = PriceSettings()
    grade: GradeSettings = GradeSettings()

    @field_validator("tiers")
    @classmethod
    def _names_of_tiers(cls, tiers: Mapping[str, Tier]) -> Mapping[str, Tier]:
        for name in tiers:
            # Attempts, and so the files of a run, are named after their tier.
            if not TIER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name a tier: use letters, digits, '.', '_', '-'")
            if name == "overhead":
                raise ValueError("'overhead' is what calls outside an attempt are booked under")
        return tiers

    @model_validator(mode="after")
    def _ladder_names_tiers(self) -> Settings:
        for name in self.policy.ladder:
            if name not in self.tiers:
                near = difflib.get_close_matches(name, self.tiers, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"policy.ladder names tier {name!r}, which is not declared{hint}")
        if not self.tiers:
            raise ValueError("no tier is declared: give at least one [tiers.NAME] table")
        return self

    @property
    def ladder(self) -> tuple[str, ...]:
        """Tier names from cheap to strong."""
        return self.policy.ladder or tuple(self.tiers)

    def digest(self) -> str:
        """SHA-256 hex over all that decides the result (so not over ``workers``)."""
        return digest_of(self.model_dump(mode="json", exclude={"workers"}))


def load(
    preset: str, *, files: Iterable[Path] = (), sets: Sequence[str] = (), **flags: Any
) -> Settings:
    """Settings from a preset (name or path), overlaid by ``files``, ``sets`` and ``flags``.

    ``flags`` that are None are not given. Raises ``UsageError`` that names the key and, for a
    key that does not exist, the nearest right one.
    """
    tree = read_toml(assets.find("eval/presets", preset, ".toml"))
    for file in files:
        tree = merge(tree, read_toml(file))
    for text in sets:
        tree = merge(tree, parse_set(text))
    for key, value in flags.items():
        if value is not None:
            tree = merge(tree, _nested(key.split("__"), value))
    return build(tree)


def build(tree: Mapping[str, Any]) -> Settings:
    """Settings from a plain tree. Raises ``UsageError`` with one line per fault."""
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(fault, tree) for fault in error.errors() if not _other_branch(fault)]
        raise UsageError("bad settings: " + "; ".join(dict.fromkeys(lines))) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The tree of a TOML file. Raises ``UsageError`` that names the file and the place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read settings {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def parse_set(text: str) -> dict[str, Any]:
    """``a.b=value`` as a tree; the value is TOML where it parses as such, else the bare text."""
    key, equals, raw = text.partition("=")
    try:
        if not equals:
            raise ValueError("there is no =")
        # A key as in TOML: a name that holds a dot goes in quotes.
        keys = _keys_of(tomllib.loads(f"{key} = 0"))
    except ValueError:
        raise UsageError(f"--set {text!r}: write it as a.b=value") from None
    return _nested(keys, toml_value(raw.strip()))


def _keys_of(tree: Any) -> list[str]:
    """The keys on the one way down a tree. Raises ``ValueError`` where there are several."""
    if not isinstance(tree, dict):
        return []
    (key,) = tree
    return [key, *_keys_of(tree[key])]


def toml_value(raw: str) -> Any:
    """A TOML value, or the text itself when it is none."""
    try:
        return tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        return raw


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on top, table by table; other values are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return out


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _other_branch(fault: Any) -> bool:
    """The fault is about the form of a price (table or word) that was not meant."""
    table = isinstance(fault["input"], Mapping)
    wrong = "literal_error" if table else "model_type"
    return "price" in fault["loc"] and fault["type"] == wrong


def _explain(fault: Any, tree: Mapping[str, Any]) -> str:
    # pydantic names the branch of a union, which is no key of ours.
    branches = ("Price", "literal['free','table','gpu-hour']")
    where = [str(part) for part in fault["loc"] if part not in branches]
    if fault["type"] == "missing" and len(where) == 3 and where[0] == "tiers":
        others = [n for n, t in tree["tiers"].items() if isinstance(t, Mapping) and "dialect" in t]
        near = difflib.get_close_matches(where[1], others, n=1)
        if near and where[1] not in others:
            return f"there is no tier {where[1]!r}; did you mean 'tiers.{near[0]}'?"
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(where[-1], _keys_beside(where), n=1)
        hint = f"; did you mean {'.'.join([*where[:-1], near[0]])!r}?" if near else ""
        return f"there is no setting {'.'.join(where)!r}{hint}"
    if fault["type"] == "missing":
        return f"{'.'.join(where)} is missing"
    what = fault["msg"].removeprefix("Value error, ")
    given = (
        f" (given: {fault['input']!r})" if where and not isinstance(fault["input"], Mapping) else ""
    )
    return f"{'.'.join(where)}: {what}{given}" if where else what


def _keys_beside(where: Sequence[str]) -> list[str]:
    if where[0] == "tiers":
        return list((Price if len(where) > 3 else Tier).model_fields)
    table: type[BaseModel] = Settings
    for part in where[:-1]:
        kind = table.model_fields[part].annotation if part in table.model_fields else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        table = kind
    return list(table.model_fields)
