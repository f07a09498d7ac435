"""Gateways as data: what each wants of a request, and where its reply tells what happened.

The rows are eval/gateways.toml. A tier names its gateway, or its address does.
"""

from __future__ import annotations

import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from swe_router import assets, suggest
from swe_router.errors import UsageError
from swe_router.records import FrozenRecord

FROM_ENVIRONMENT = "env:"
"""How the value of a header begins that is read from an environment variable."""
BEARER = "bearer"
_SECRET = re.compile(r"(?i)api_?key|secret|password|bearer |\bsk-")
"""In a header of any name, such as a whole configuration as JSON."""


class Gateway(FrozenRecord):
    """One row of eval/gateways.toml; its head explains the fields."""

    name: str
    hosts: tuple[str, ...] = ()
    base_url: str
    model: str
    auth: str = BEARER
    headers: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    cost: str = ""
    cost_added: str = ""
    cost_added_if: str = ""
    cost_header: str = ""
    model_header: str = ""
    by: str = ""
    by_header: str = ""
    fallback_header: str = ""
    first: tuple[str, ...] = ()
    fallbacks: str = ""
    lists: bool = True
    api: Literal["", "chat", "responses"] = ""
    tried: Literal["run", "fake"]
    source: str

    def fault_of_headers(self, headers: Mapping[str, str]) -> str:
        """Why a tier may not send these headers; empty when it may."""
        for given, value in headers.items():
            name = given.lower()
            if not any(fnmatch(name, allowed) for allowed in self.headers):
                there = ", ".join(self.headers) or "none"
                return f"gateway {self.name!r} takes no header {given!r}: there is {there}"
            if not (value and value.isascii() and value.isprintable()):
                return f"header {given!r} must be one line of ASCII text"
            secret = any(fnmatch(name, kind) for kind in self.secrets) or _SECRET.search(value)
            if secret and not value.startswith(FROM_ENVIRONMENT):
                return (
                    f"header {given!r} may hold a secret, which the run folder would keep: write"
                    f' "{FROM_ENVIRONMENT}NAME" and set that environment variable'
                )
        if self.one_of and not {name.lower() for name in headers} & set(self.one_of):
            return f"gateway {self.name!r} needs one of the headers {', '.join(self.one_of)}"
        return ""


@cache
def all_gateways(path: Path | None = None) -> Mapping[str, Gateway]:
    """Name -> gateway. Raises ``UsageError`` for a table that cannot be read."""
    file = path or assets.assets_root() / "eval" / "gateways.toml"
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
        return {name: Gateway(name=name, **row) for name, row in tree.items()}
    except OSError as error:
        raise UsageError(f"cannot read the gateways {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, TypeError) as error:
        raise UsageError(f"{file} is not a table of gateways: {error}") from None


def gateway_of(name: str, base_url: str) -> Gateway | None:
    """The gateway of that name; without a name the one at the address; None where it is none.

    Raises ``UsageError`` for a name that there is not.
    """
    known = all_gateways()
    if name:
        if name not in known:
            hint = suggest.did_you_mean_hint(name, known)
            raise UsageError(
                f"there is no gateway {name!r}{hint or ': there is ' + ', '.join(known)}"
            )
        return known[name]
    try:
        host = (urllib.parse.urlsplit(base_url).hostname or "") if base_url else ""
    except ValueError:
        return None
    found = (one for one in known.values() if any(fnmatch(host, kind) for kind in one.hosts))
    return next(found, None) if host else None


def header_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """Header -> the environment variable that holds its value; of those that come from one."""
    return {
        name: value.removeprefix(FROM_ENVIRONMENT)
        for name, value in headers.items()
        if value.startswith(FROM_ENVIRONMENT)
    }


def header_values(headers: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Header -> its value. Raises ``UsageError`` that names a variable that is not set."""
    found = dict(headers)
    for header, variable in header_variables(headers).items():
        value = environ.get(variable, "").strip()
        if not value:
            raise UsageError(f"header {header!r}: set the environment variable {variable}")
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"header {header!r}: {variable} holds characters that no header has")
        found[header] = value
    return found
