"""The tables of the settings, each field documented where it is declared."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from swe_router import gateways, suggest
from swe_router.errors import UsageError
from swe_router.records import IMPORTED, digest_of
from swe_router.settings.batch_settings import BatchSettings
from swe_router.settings.price_tables import Price, PriceSettings
from swe_router.settings.settings_table import Table

HOW_NOT_WHAT = ("workers", "breaker", "batch")
"""Fields that change how a run is carried out, and no request of it."""
TIER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


PACE_SETTINGS = ("give_up_seconds", "rpm", "tpm", "adaptive")
"""Fields of a tier that say how fast and how long, not what: a resume may change them."""


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
    gateway: str = Field(default="", exclude_if=lambda gateway: not gateway)
    """A row of eval/gateways.toml that stands before the model; empty: as ``base_url`` says."""
    headers: Mapping[str, str] = Field(default_factory=dict, exclude_if=lambda headers: not headers)
    """Headers that its gateway takes; ``env:NAME`` is the value of that environment variable."""
    fallbacks: tuple[str, ...] = Field(default=(), exclude_if=lambda models: not models)
    """Models that its gateway may let answer instead; the dearest price of all is reserved."""
    window: int = Field(gt=0)
    """Tokens that prompt and answer share; left out: as the tables know the model, else 32768."""
    assumed: tuple[Literal["window", "tools"], ...] = Field(
        default=(), exclude_if=lambda assumed: not assumed
    )
    """Set by the loader: which of these were left out and no table knew."""
    max_output_tokens: int = Field(default=8192, gt=0)
    """Output cap of one step, reasoning included: what a reservation is made for."""
    tools: Literal["native", "text"] = "native"
    """``text``: the model has no tool calls; the text dialect is used."""
    image_tokens: int = Field(default=0, ge=0)
    """Most tokens of one picture of an issue; 0: no picture is sent, its address stays as text."""
    temperature: float | None = None
    """Sent only where set (some clouds refuse it)."""
    timeout: float = Field(default=600.0, gt=0)
    """Wall seconds for one answer."""
    retries: int = Field(default=5, ge=0)
    """Times one call is sent again after a rate limit or an overload."""
    give_up_seconds: float | None = Field(default=None, gt=0)
    """How long the tier may be away, for whatever cause, before it is given up; unset: as
    ``breaker`` says."""
    rpm: int | None = Field(default=None, gt=0, exclude_if=lambda rpm: rpm is None)
    """Most calls per minute, of all workers of the run together."""
    tpm: int | None = Field(default=None, gt=0, exclude_if=lambda tpm: tpm is None)
    """Most tokens per minute, prompts and answers together."""
    adaptive: bool = Field(default=False, exclude_if=lambda adaptive: not adaptive)
    """Find the calls per minute: fewer after a rate limit (HTTP 429), more again on success."""
    attempt_usd: Decimal = Field(gt=0)
    """Dollar limit of one attempt: an attempt starts only when this much is free."""
    attempt_steps: int = Field(default=100, gt=0)
    attempt_seconds: float = Field(default=3600.0, gt=0)
    price: Price | Literal["free", "table", "gpu-hour", "owned"] = "table"
    """``table``: genai-prices and eval/prices.toml; ``gpu-hour``: wall time of the calls times
    ``prices.usd_per_gpu_hour``; ``owned``: the same at what an hour of ``prices.hardware`` costs;
    ``free``: you say that it costs nothing; or a table of your own."""
    concurrency: int = Field(default=1, gt=0)
    """Calls that share the GPU, for ``price = "gpu-hour"`` and ``"owned"``."""
    cards: int = Field(default=1, gt=0, exclude_if=lambda cards: cards == 1)
    """GPUs that serve it together, each at ``prices.usd_per_gpu_hour``."""
    retires: datetime.date | None = None
    """Day on which the provider switches the model off."""
    successor: str = ""
    """Model id to move to when it does."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Extra arguments of the dialect, e.g. ``reasoning_effort`` or a cassette of ``scripted``; and
    what a server of it wants: ``output_cap``, ``leave_out``, ``strict``, ``extra``."""

    @model_validator(mode="after")
    def _gateway_takes_headers(self) -> Tier:
        try:
            row = gateways.gateway_of(self.gateway, self.base_url)
        except UsageError as error:
            raise ValueError(str(error)) from None
        if row is None and self.headers:
            raise ValueError("headers go to a gateway: name it, as gateway = 'litellm' or 'other'")
        if row is not None and (fault := row.fault_of_headers(self.headers)):
            raise ValueError(fault)
        if self.fallbacks and (row is None or not row.fallbacks or self.dialect != "openai"):
            able = ", ".join(name for name, one in gateways.all_gateways().items() if one.fallbacks)
            raise ValueError(f"fallbacks are for dialect openai at the gateways {able}")
        return self


class PolicySettings(Table):
    """Which routing policy, and its knobs."""

    name: str = "cascade"
    ladder: tuple[str, ...] = ()
    """Tier names from cheap to strong; empty is the order in which the tiers are declared."""
    knobs: Mapping[str, Any] = Field(default_factory=dict)
    """The policy's own parameters (``--policy-set k=v``)."""


class SandboxSettings(Table):
    """The sandbox in which commands run."""

    kind: str = "auto"
    """``auto``: local for the demo, docker for all else; ``docker``; ``local``."""
    unsafe: bool = False
    """With ``local``: a plain process when no isolation is available."""
    memory: str = "4g"
    """Memory limit of one sandbox, docker notation."""
    disk: str = "16g"
    """Largest file that a command may write, docker notation; in Docker also what the whole sandbox
    may write, where the engine's storage driver can limit that. /tmp of a local sandbox is
    memory."""
    pids: int = Field(default=1024, gt=0)
    cpus: float = Field(default=0.0, ge=0)
    """CPU limit of one sandbox; 0 is none."""
    command_timeout: float = Field(default=120.0, gt=0)
    """Seconds for one command of the agent, unless it asks for more."""
    command_timeout_max: float = Field(default=600.0, gt=0)
    """Most seconds that the agent may ask for."""
    output_bytes: int = Field(default=32_000, ge=1000)
    """Bytes of output kept of a command, head and tail together."""
    pull: bool = True
    """Pull images that are absent."""
    warm: int = Field(default=1, ge=0)
    """Docker sandboxes started before the next check of an instance needs them (for each
    candidate that is checked at a time), with the project's byte code made once for all; 0: each
    check waits for a plain one, as attempts do."""


class VerifySettings(Table):
    """How a candidate is checked before it is trusted."""

    names: tuple[str, ...] = (
        "applies",
        "syntax",
        "repo-tests",
        "reproduction",
        "behaviour",
        "agreement",
        "acceptance",
    )
    """In order; ``acceptance`` weighs the verdicts before it. ``judge`` needs ``judge``."""
    tiers: Mapping[str, Mapping[Literal["writer", "judge"], str]] = Field(
        default_factory=dict, exclude_if=lambda tiers: not tiers
    )
    """Verifier -> ``writer`` or ``judge`` -> the tier that it asks in the place of ``writer`` or
    ``judge``; empty is left out of digests, so that those of earlier versions stay."""
    knobs: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, exclude_if=lambda knobs: not knobs
    )
    """Verifier -> its own parameters (``--set verify.knobs.rubric.looks=4``)."""
    seconds: float = Field(default=600.0, gt=0)
    """Time limit of all verdicts on one candidate."""
    max_test_files: int = Field(default=12, gt=0)
    """Nearest test files that ``repo-tests`` runs."""
    writer: str = ""
    """Tier that writes reproduction tests from the issue alone; empty: none are written."""
    samples: int = Field(default=3, gt=0, le=16)
    """Reproduction tests asked of the writer; the majority of those that fail at base decides."""
    judge: str = ""
    """Tier that reads issue, diff and evidence; empty: the judge says unknown."""
    usd: Decimal = Field(default=Decimal("0.50"), ge=0)
    """Most that the verifiers' own calls may cost on one candidate."""
    calibration: str = "shipped"
    """Fitted weights of ``acceptance`` and ``behaviour``: ``shipped``, ``none`` (verdicts are
    counted, no probability is given), or a file that ``swe-router calibrate`` wrote."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Acceptance probability from which a patch is trusted; unset: as ``bar`` says."""
    bar: Literal["money", "bound"] = "money"
    """How the threshold is chosen: ``money``: the least expected cost of escalations and wrong
    patches on this ladder; ``bound``: ``false_accepts`` is kept."""
    wrong_usd: Decimal | None = Field(default=None, gt=0)
    """USD that a wrong patch handed in costs you, for ``bar = "money"``. Unset: the policy's
    ``value``, else twice the escalations that rescue one issue (expected price / ``rescue``)."""
    bars: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Tier -> threshold by ``bar = "money"``; found when a run begins, then recorded."""
    false_accepts: float = Field(default=0.28, gt=0, lt=1)
    """Share of wrong patches that may be accepted: the bound that the calibration must show."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the bound (Clopper-Pearson)."""

    @field_validator("names")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice: a verdict would count double")
        return names

    @model_validator(mode="after")
    def _tables_of_verifiers_that_run(self) -> VerifySettings:
        for field, table in (("tiers", self.tiers), ("knobs", self.knobs)):
            for name in table:
                if name not in self.names:
                    hint = suggest.did_you_mean_hint(name, self.names)
                    raise ValueError(
                        f"verify.{field}.{name}: {name!r} is not in verify.names{hint}"
                    )
        return self

    def tier_of(self, verifier: str, role: Literal["writer", "judge"]) -> str:
        """The tier that a verifier asks in a role; empty: none is named."""
        return self.tiers.get(verifier, {}).get(role) or (
            self.writer if role == "writer" else self.judge
        )


class EnsembleSettings(Table):
    """How the candidates of one move are made to differ, beyond their seeds; cycled through."""

    variants: tuple[str, ...] = ()
    """Prompt variants of the scaffold; ``""`` is its own prompt."""
    temperatures: tuple[Annotated[float, Field(ge=0, le=2)], ...] = ()
    """Sent only to tiers that have a temperature of their own: some providers refuse one."""
    tiers: tuple[str, ...] = ()
    """Further tiers of the ladder that make candidates in addition to the chosen one."""
    early_stop: bool = True
    """Leave out candidates that cannot change the choice any more."""
    cross: bool = True
    """Run the tests that later candidates brought on the earlier ones too."""
    knobs: Mapping[str, Any] = Field(default_factory=dict)
    """The selector's own parameters, e.g. the weights of ``test-pass-rate``."""


class BreakerSettings(Table):
    """What is done while a provider, the sandbox engine or the image store is away."""

    failures: int = Field(default=3, gt=0)
    """Equal failures in a row after which a tier, or the sandbox, is paused for all instances."""
    first_wait: float = Field(default=2.0, gt=0)
    """Seconds before it is knocked at again; doubled each time."""
    longest_wait: float = Field(default=20.0, gt=0)
    """Most seconds between two knocks."""
    give_up_seconds: float = Field(default=240.0, gt=0)
    """Seconds without one success after which a tier, or the sandbox, is given up: what needs it is
    owed, the rest goes on. 14400 waits four hours. A served model needs 45 to 100 s to start."""
    refused_seconds: float = Field(default=120.0, gt=0)
    """The same where the user must mend it: key refused, no credit, model or setting unknown. An
    account that is topped up by itself, a deployment or a gateway that comes up takes a minute or
    two; more only keeps you from hearing of it. Never more than ``give_up_seconds``."""


class LimitSettings(Table):
    """Limits besides the run's (``budget``) and an attempt's (``tiers.NAME.attempt_usd``)."""

    instance_usd: Decimal | None = Field(default=None, gt=0)
    """USD that one instance may cost, over all its attempts and the calls of its verifiers."""


class GradeSettings(Table):
    """The official harness."""

    enabled: bool = True
    candidates: bool = True
    """Grade every distinct patch and not only those handed in: what the verifiers' own error
    rates are computed from."""
    timeout: float = Field(default=1800.0, gt=0)
    """Seconds for one evaluation."""
    workers: int = Field(default=2, gt=0)
    network: tuple[str, ...] = ()
    """Hosts that evaluations which need the network may reach; ``*`` is any host."""
    code: str = ""
    """Copy of the data set's own repository, where its scripts or log parsers are read from."""


class Settings(Table):
    """Everything a run depends on."""

    split: str = "demo"
    """Name of a split, a file, a folder, or ``ORG/NAME[:CONFIG][@SPLIT]`` of the hub."""
    dataset: str = ""
    """Data set that reads the split; empty: found by its name or its columns."""
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
    ensemble: EnsembleSettings = EnsembleSettings()
    stop_loss: str = ""
    """File of per-tier profiles that ``swe-router calibrate --stop-loss`` wrote; empty is off."""
    source: str = ""
    """``--from``: predictions to begin with, each verified as attempt 0; empty is none."""
    source_digest: str = ""
    """SHA-256 of what ``source`` and its trajectories held when the run began."""
    trajectories: str = ""
    """Folder with the trajectories of ``source``; empty is none."""
    rest: bool = False
    """With ``source``: also solve the instances of the split that it has no candidate for."""
    sandbox: SandboxSettings = SandboxSettings()
    verify: VerifySettings = VerifySettings()
    breaker: BreakerSettings = BreakerSettings()
    batch: BatchSettings = BatchSettings()
    prices: PriceSettings = PriceSettings()
    limits: LimitSettings = LimitSettings()
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
            if name == IMPORTED:
                raise ValueError(f"{name!r} is what candidates made elsewhere are booked under")
        return tiers

    @model_validator(mode="after")
    def _ladder_names_tiers(self) -> Settings:
        places = (
            ("policy.ladder", self.policy.ladder, self.tiers, "declared"),
            ("verify.writer", (self.verify.writer,), self.tiers, "declared"),
            ("verify.judge", (self.verify.judge,), self.tiers, "declared"),
            *(
                (f"verify.tiers.{verifier}.{role}", (tier,), self.tiers, "declared")
                for verifier, table in self.verify.tiers.items()
                for role, tier in table.items()
            ),
            ("ensemble.tiers", self.ensemble.tiers, self.ladder, "on the ladder"),
        )
        for place, named, known, there in places:
            for name in named:
                if name and name not in known:
                    hint = suggest.did_you_mean_hint(name, known)
                    raise ValueError(f"{place} names tier {name!r}, which is not {there}{hint}")
        if not self.tiers:
            raise ValueError("no tier is declared: give at least one [tiers.NAME] table")
        return self

    @property
    def ladder(self) -> tuple[str, ...]:
        """Tier names from cheap to strong."""
        return self.policy.ladder or tuple(self.tiers)

    def digest(self) -> str:
        """SHA-256 hex over all that decides the result (so not ``HOW_NOT_WHAT`` and patience)."""
        return name_of(self.model_dump(mode="json"))


def name_of(tree: Mapping[str, Any]) -> str:
    """``Settings.digest`` of settings as JSON: they may be of an older or a newer version."""
    named = {key: value for key, value in tree.items() if key not in HOW_NOT_WHAT}
    named["tiers"] = {
        tier: {key: value for key, value in table.items() if key not in PACE_SETTINGS}
        for tier, table in tree["tiers"].items()
    }
    return digest_of(named)
