"""Names as sources write them, brought to one form: parts with dots between, ``?`` if unknown."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

_GENERIC = re.compile(r"<[^<>]*>")
_JOINTS = re.compile(r"\s*(?:::|\?\.|->|&\.|\\|\.)\s*")
_SELF = re.compile(r"^(?:this|\$this|self|Self|static|@self)\.")
_SUPER = re.compile(r"^(?:super(?:\(\))?|parent)\.")
_LAST = re.compile(r"[^\W\d]\w*[?!]?$")
_FOREIGN_PART = re.compile(r"[^\W\d]\w*[?!]?(?:\.[^\W\d]\w*[?!]?)*$")


def plain_name(text: str) -> str:
    r"""A defined or inherited name: ``A::B`` and ``A\B`` as ``A.B``, without type arguments."""
    if text.isidentifier():
        return text
    bare = _GENERIC.sub("", text).strip()
    return _JOINTS.sub(".", bare).strip(".") or text


def last_identifier(text: str) -> str:
    """The identifier at the end of a text."""
    found = _LAST.search(text.rstrip())
    return found.group() if found else ""


def dotted_form(language: str) -> Callable[[str], str]:
    """The function that brings a called name of a language to one form."""
    return _python if language == "python" else _foreign


def _python(text: str) -> str:
    if text.replace(".", "").isidentifier():
        return text
    head, _, end = text.rpartition(".")
    if head.startswith("super(") and head.endswith(")") and head.count("(") == 1:
        return f"super().{end.strip()}"
    return f"?.{end.strip()}"


def _foreign(text: str) -> str:
    bare = text
    while "<" in bare and bare != (bare := _GENERIC.sub("", bare)):
        pass
    bare = _JOINTS.sub(".", bare.strip()).lstrip(".")
    bare = _SELF.sub("self.", _SUPER.sub("super().", bare))
    if _FOREIGN_PART.match(bare.removeprefix("super().")):
        return bare
    return f"?.{last_identifier(bare)}"


def is_bound_locally(name: str, assigned: set[str], parameters: str) -> bool:
    """The head of a called name is a local variable or a parameter (by its text) of a function.

    ``self`` and ``cls`` are parameters too, but their class is known.
    """
    head = name.partition(".")[0]
    if head in ("self", "cls", "?", "super()"):
        return False
    if head in assigned:
        return True
    return head in parameters and _parameter(head).search(parameters) is not None


@cache
def _parameter(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[(,*]|^)\s*{re.escape(name)}\s*(?:[,:=)]|$)")
