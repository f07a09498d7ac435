"""What is known of a tier before a cent is spent: its key, price, window and retirement."""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Mapping

from swe_router import gateways, model_facts, prices, served_endpoints
from swe_router.errors import UsageError
from swe_router.estimates import local_cost
from swe_router.models import cache_lifetime, fallback_rates
from swe_router.prices import PriceRate
from swe_router.settings import Price, PriceSettings, Tier

NOTICE_DAYS = 30
STEP_TOKENS = 10_000
"""One step of an attempt: an observation at its cap (32 kB) and its call."""
MAKERS = (".anthropic.com", ".openai.com", ".deepseek.com", ".moonshot.ai", ".z.ai")
_CLOUDS = ("anthropic", "openai")


def key_of(name: str, tier: Tier, environ: Mapping[str, str]) -> str:
    """The key of a tier, empty where it needs none.

    A server that ``swe-router serve`` keeps up on this machine has a key of its own, which is
    taken where the environment has none. Raises ``UsageError`` that names the tier and the
    variable, for a missing key and for a tier that cannot be reached as it is declared.
    """
    if tier.base_url and not tier.base_url.startswith(("http://", "https://")):
        raise UsageError(
            f"tiers.{name}.base_url must begin with http:// or https://:"
            f" {tier.base_url.rpartition('@')[2]!r}"
        )
    if tier.dialect == "vllm" and not tier.base_url:
        raise UsageError(f"tiers.{name}.base_url is missing: where does the vLLM server listen?")
    try:
        gateways.header_values(tier.headers, environ)
    except UsageError as error:
        raise UsageError(f"tier {name!r}: {error}") from None
    if not tier.api_key_env:
        if tier.dialect in _CLOUDS and not tier.base_url:
            raise UsageError(f"tiers.{name}.api_key_env is missing: which variable holds the key?")
        return served_endpoints.key_at(tier.base_url, served_endpoints.endpoints_folder(environ))
    key = environ.get(tier.api_key_env, "").strip() or served_endpoints.key_at(
        tier.base_url, served_endpoints.endpoints_folder(environ)
    )
    if not key:
        raise UsageError(
            f"tier {name!r} needs a key: set the environment variable {tier.api_key_env}"
        )
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"tier {name!r}: {tier.api_key_env} holds characters that no key has")
    return key


CALL_PATHS = ("/chat/completions", "/completions", "/responses", "/messages", "/models")


def address_of(name: str, tier: Tier) -> str:
    """A tier's ``base_url`` as it may stand in a run folder and be called.

    Raises ``UsageError`` for one that holds a password, which every message and the settings of
    the run would show, and for the address of one kind of call.
    """
    try:
        parts = urllib.parse.urlsplit(tier.base_url)
        secret = "@" in parts.netloc
    except ValueError as error:
        raise UsageError(f"tiers.{name}.base_url is no address: {error}") from None
    if secret:
        raise UsageError(
            f"tiers.{name}.base_url holds a user or a password, which would be kept in the run"
            " folder: leave it out, and name the variable of a key in api_key_env"
        )
    path = parts.path.rstrip("/")
    if called := next((one for one in CALL_PATHS if path.endswith(one)), ""):
        home = tier.base_url[: tier.base_url.rindex(called)]
        if tier.dialect == "anthropic":
            home = home.removesuffix("/v1")
        raise UsageError(
            f"tiers.{name}.base_url is the address of a call ({called}): give what stands before"
            f" it, {home}"
        )
    return tier.base_url


def rate_of(name: str, tier: Tier, given: PriceSettings, on: datetime.date) -> PriceRate:
    """The rate of a tier on a day. Raises ``UsageError`` for a model without a price."""
    if isinstance(tier.price, Price):
        return prices.flat_rate(
            tier.price.input,
            tier.price.output,
            cache_read=tier.price.cache_read,
            cache_write=tier.price.cache_write,
            source=f"tiers.{name}.price",
            on=on,
        )
    if tier.price == "free":
        return prices.free_rate(on)
    if tier.price == "gpu-hour":
        what = "GPU-hour" if tier.cards == 1 else f"hour of {tier.cards} GPUs"
        return prices.gpu_hour_rate(given.usd_per_gpu_hour * tier.cards, tier.concurrency, on, what)
    if tier.price == "owned":
        if given.hardware is None:
            raise UsageError(
                f'tiers.{name}.price = "owned" needs your hardware: say prices.hardware ='
                " { usd = 2000, months = 24, energy_usd = 20 }"
            )
        hour = local_cost.usd_per_gpu_hour(given.hardware)
        return prices.gpu_hour_rate(hour, tier.concurrency, on, "GPU-hour of your own")
    rates = [
        prices.rate_for(
            model,
            dialect=tier.dialect,
            base_url=tier.base_url,
            on=on,
            hour=cache_lifetime.may_take_an_hour(tier),
            tier=name,
        )
        for model in (tier.model, *tier.fallbacks)
    ]
    return fallback_rates.dearest_rate(rates)


def retirement_notice(name: str, tier: Tier, today: datetime.date) -> str | None:
    """What to tell the user of a model that is retired, or will be within 30 days."""
    retires, successor = _retirement(tier)
    if retires is None or (retires - today).days > NOTICE_DAYS:
        return None
    if tier.model == successor:
        # The user took the advice; the date is that of the model before.
        return None
    days = (retires - today).days
    when = f"was retired on {retires}" if days <= 0 else f"retires on {retires} (in {days} days)"
    hint = f"set tiers.{name}.model = {successor!r}" if successor else "choose another model"
    return f"tier {name!r}: {tier.model} {when}: {hint}"


def tier_notices(name: str, tier: Tier, today: datetime.date) -> list[str]:
    """What the user should know of a tier's model: retirement, options, what was assumed."""
    found = [retirement_notice(name, tier, today) or ""]
    if tier.dialect != "vllm":
        found += [
            f"tier {name!r}: {line}" for line in model_facts.notices(tier.model, tier.options)
        ]
    assumed = {"window": f"a window of {tier.window} tokens", "tools": "calls as text"}
    if tier.assumed:
        what = " and ".join(assumed[field] for field in tier.assumed)
        keys = " and ".join(f"tiers.{name}.{field}" for field in tier.assumed)
        found.append(f"tier {name!r}: {tier.model} is not known: {what} assumed; see {keys}")
    return [line for line in found if line]


def _retirement(tier: Tier) -> tuple[datetime.date | None, str]:
    """The day of retirement and the successor: the tier's own, else those of its maker's model."""
    if tier.retires is not None:
        return tier.retires, tier.successor
    row = model_facts.facts_of(tier.model)
    if row is None or tier.dialect not in _CLOUDS or not _is_makers_own(tier):
        return None, ""
    return row.retires, tier.successor or row.successor


def _is_makers_own(tier: Tier) -> bool:
    """Whether a tier's address is that of a model's maker: gateways have days of their own."""
    host = urllib.parse.urlsplit(tier.base_url).hostname or ""
    return not tier.base_url or host.endswith(MAKERS)


def window_gap(name: str, tier: Tier, prompt_tokens: int, step_tokens: int = STEP_TOKENS) -> str:
    """Why a tier's window is too small for prompt, one step and output; empty when it is not."""
    need = prompt_tokens + step_tokens + tier.max_output_tokens
    if need <= tier.window:
        return ""
    return (
        f"tier {name!r}: its window of {tier.window} tokens cannot hold the prompt"
        f" ({prompt_tokens}), one step ({step_tokens}) and the output"
        f" ({tier.max_output_tokens}): {need} tokens"
    )
