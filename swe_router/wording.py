"""Every word said to a model lies in ``prompts/NAME.md.j2``; an unset variable is an error."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError

from swe_router import assets
from swe_router.errors import UsageError

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


def fingerprint(name: str) -> str:
    """SHA-256 hex of a prompt's file. Raises ``UsageError`` for an absent one."""
    return hashlib.sha256(assets.find("prompts", name, SUFFIX).read_bytes()).hexdigest()


@functools.cache
def _template(path: Path) -> Template:
    return _ENVIRONMENT.from_string(path.read_text(encoding="utf-8"))
