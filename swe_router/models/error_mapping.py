"""What a provider's error says, wherever it stands: a status, a reply, a page, a stream's event.

An error is read by its content first: the numbers and names that it calls itself, in whatever
it is wrapped, then its words, and the HTTP status last. So a gateway that says "overloaded" in
a 200 is overloaded, and an account without credit is that in a 400 as in a 402.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from swe_router.errors import (
    ContextTooLong,
    ModelError,
    ModelUnknown,
    NoAnswer,
    NoCredit,
    Overloaded,
    RateLimited,
    Refused,
    SettingRefused,
    Unauthorised,
)
from swe_router.models import error_causes

PAGE = "a page in HTML, not an answer"
"""What the text of an error that stood in a proxy's page begins with."""
_DEEP = 6
"""Levels of wrapping that are looked into."""
_GIVEN_UP = frozenset({504, 520, 524})
"""A gateway stopped waiting for the model, which may have worked on, and been billed."""
_VAGUE = frozenset({400, 422})
"""Statuses under which gateways pass on any other one."""
_NOWHERE = frozenset({404, 405, 410})
"""Nothing is at this address: no conversation is to blame."""
_UPSTREAM = frozenset({500, 502, 503})
_NUMBERED = ("code", "status", "status_code", "statusCode", "http_code", "error_code", "type")
_OUTER = ("code", "status", "status_code", "statusCode", "message")
_NAMED = ("code", "type", "status", "reason", "error_code", "name", "__type")
TURN = re.compile(r"""\b(?:messages|input|contents)['"]?(?:[.\[]|, ?)\d""")
"""A text that speaks of one turn, and may quote it: what it says is not taken for a cause."""
_CONVERSATION = frozenset({"messages", "input", "system", "instructions", "prompt", "content"})
_NO_SETTING = _CONVERSATION | {"model"}


@dataclass
class ProviderError:
    """An error object taken apart, the outermost things first."""

    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What it calls itself, in lower case: ``overloaded_error``."""
    statuses: list[int] = field(default_factory=list)
    param: str = ""

    @property
    def text(self) -> str:
        """All its words."""
        return " ".join(self.texts)

    @classmethod
    def of(cls, value: Any) -> ProviderError:
        """Of an error body, parsed or as text."""
        fault = cls()
        fault._take(value, 0)
        return fault

    def _take(self, value: Any, depth: int) -> None:
        if depth > _DEEP:
            return
        if isinstance(value, str):
            inner = _parsed(value)
            if inner is None:
                self.texts.append(value[:4000])
            else:
                self._take(inner, depth + 1)
        elif isinstance(value, list):
            for item in value[:8]:
                self._take(item, depth + 1)
        elif isinstance(value, Mapping):
            self._table(value, depth)

    def _table(self, table: Mapping[str, Any], depth: int) -> None:
        for name in _NUMBERED:
            if (number := _status(table.get(name))) is not None:
                self.statuses.append(number)
        for name in _NAMED:
            text_found = table.get(name)
            if isinstance(text_found, str) and text_found and _status(text_found) is None:
                self.names.append(text_found.rpartition("#")[2].lower())
        if isinstance(table.get("param"), str):
            self.param = self.param or table["param"]
        for name, item in table.items():
            if isinstance(item, Mapping | list) or (
                isinstance(item, str) and name not in {"param", "type", "request_id", "id"}
            ):
                self._take(item, depth + 1)


def _status(value: Any) -> int | None:
    """A number, or digits, that is an HTTP status of an error."""
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 400 <= value <= 599 else None


def _parsed(text: str) -> Any:
    """The JSON table or list that a text is, as gateways wrap the error below them; else None."""
    at = text.find("{")
    if not 0 <= at <= 200 or not text.rstrip().endswith(("}", "]")):
        return None
    start = at - 1 if text[:at].rstrip().endswith("[") else at
    try:
        value = json.loads(text[start:].strip())
    except (ValueError, RecursionError):
        return None
    return [text[:at], value] if text[:start].strip() else value


def to_model_error(
    fault: ProviderError, status: int, what: str, *, after: float | None = None,
    cap: int = 0, sent: Collection[str] = (), billed: bool | None = None,
) -> ModelError:  # fmt: skip
    """The ``ModelError`` that a fault amounts to.

    ``status`` is that of the HTTP reply, 200 for an error in a good one; ``what`` is the message
    of the error; ``cap`` the most output tokens that were asked for and ``sent`` the names of the
    request's parameters, to tell a setting from a conversation that is refused.
    """
    kind, own = _kind(fault, status, cap, sent)
    if kind is NoAnswer:
        what = f"the answer broke off: {what}"
    error = kind(what, after=after, status=own, billed=billed)
    error.refusal = f"'{fault.param}' {fault.text}" if fault.param else fault.text
    return error


def _kind(
    fault: ProviderError, status: int, cap: int, sent: Collection[str]
) -> tuple[type[ModelError], int]:
    own = _own_status(fault, status)
    # A setting is looked for first: "temperature is not supported with this model".
    setting = own in _VAGUE and _setting(fault, sent)
    account = error_causes.account_error(fault.names, "" if _of_a_turn(fault) else fault.text, own)
    if account and not (setting and account is ModelUnknown):
        return account, own
    if (window := _window(fault, own, cap)) is not None:
        return window, own
    return (SettingRefused if setting else _of_status(own, fault)), own


def _of_a_turn(fault: ProviderError) -> bool:
    return fault.param.startswith(tuple(_CONVERSATION)) or bool(TURN.search(fault.text))


def _own_status(fault: ProviderError, status: int) -> int:
    """The status that the error gives itself; else that of the reply."""
    called = [n for name in fault.names if (n := error_causes.STATUS.get(name)) is not None]
    clear = [n for n in (*fault.statuses, *called) if n not in _VAGUE]
    if status in _UPSTREAM:
        passed_on = [n for n in clear if n in {401, 402, 403, 429} or n >= 500]
        return passed_on[0] if passed_on else status
    if status >= 400 and status not in _VAGUE:
        return status
    if clear:
        return clear[0]
    vague = [*fault.statuses, *called, *([status] if status >= 400 else [])]
    by_words = error_causes.status_of_words(fault.text[:300])
    telling = by_words in error_causes.BUSY or (by_words and not vague)
    if telling and not (vague and _of_a_turn(fault)):
        return by_words
    return vague[0] if vague else 502


def _window(fault: ProviderError, status: int, cap: int) -> type[ModelError] | None:
    """Whether prompt or output cap is longer than the server takes."""
    text = fault.text
    if status not in {400, 413, 422, 500}:
        return None
    too_long = error_causes.TOO_LONG.search(text) or error_causes.TOO_LONG_NAMES.intersection(
        fault.names
    )
    text_found = error_causes.WINDOW.search(text)
    if cap and too_long and text_found and int(text_found[1].replace(",", "")) <= cap:
        return SettingRefused
    if error_causes.NO_ROOM.search(text) or (too_long and status != 500):
        return ContextTooLong
    return SettingRefused if error_causes.CAP.search(text) and status != 500 else None


def _setting(fault: ProviderError, sent: Collection[str]) -> bool:
    """Whether a parameter other than the conversation is what is refused."""
    leading = re.match(r"(?:body\.)?([a-z_]+)(?:\.|\[|: )", fault.text.lstrip("`'\""))
    quoted = [] if _of_a_turn(fault) else re.findall(r"""["'`](\w+)["'`]""", fault.text)
    quoted = [name for name in quoted if name != "tools"]
    for name in (fault.param, leading[1] if leading else "", *quoted):
        first = re.split(r"[.\[]", name)[0]
        if first in sent and first not in _NO_SETTING:
            return True
    return False


def _of_status(status: int, fault: ProviderError) -> type[ModelError]:
    kinds: tuple[tuple[bool, type[ModelError]], ...] = (
        (status in _GIVEN_UP or status < 400, NoAnswer),
        (status == 402, NoCredit),
        (status == 403 and bool(error_causes.FLAGGED.search(fault.text)), Refused),
        (status in {401, 403, 407, 451}, Unauthorised),
        (status == 429, RateLimited),
        (status in {408, 409, 425} or status >= 500, Overloaded),
        (status == 413, ContextTooLong),
        (status in _NOWHERE and bool(error_causes.LOST_ITEM.search(fault.text)), Refused),
        (status in _NOWHERE and bool(error_causes.SERVED.search(fault.text)), ModelUnknown),
        (status in _NOWHERE, SettingRefused),
    )
    return next((kind for holds, kind in kinds if holds), Refused)


def error_in_reply(reply: Any) -> Any | None:
    """The error that stands in the JSON of a good reply, of any dialect; None if there is none."""
    if isinstance(reply, list):
        return next(
            (error for item in reply[:4] if (error := error_in_reply(item)) is not None), None
        )
    if not isinstance(reply, Mapping):
        return None
    place = next((place for place in _places(reply) if _tells(place)), None)
    if place is not None:
        return {**{name: reply[name] for name in _OUTER if name in reply}, "error": place}
    answered = any(reply.get(name) is not None for name in ("choices", "content", "output"))
    if "error" in (reply.get("type"), reply.get("object")) or (not answered and _envelope(reply)):
        return reply
    ends = (_first(reply).get("finish_reason"), reply.get("stop_reason"), reply.get("status"))
    ended = next(
        (end for end in ends if isinstance(end, str) and end in error_causes.BROKEN_OFF), None
    )
    return None if ended is None else {"type": ended, "message": f"the answer ended as {ended!r}"}


def _places(reply: Mapping[str, Any]) -> Iterator[Any]:
    first = _first(reply)
    yield reply.get("error")
    yield first.get("error")
    for name in ("message", "delta"):
        inner = first.get(name)
        yield inner.get("error") if isinstance(inner, Mapping) else None


def _first(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else {}


def _tells(error: Any) -> bool:
    """Whether an ``error`` field holds one: not null, empty, or "code 0"."""
    if isinstance(error, Mapping):
        return any(
            value not in (None, "", 0, "0", 200, "200", False, [], {}) and name != "param"
            for name, value in error.items()
        )
    return isinstance(error, list | str) and bool(error) and str(error).lower() not in {"ok", "0"}


def _envelope(reply: Mapping[str, Any]) -> bool:
    """Whether a reply without an answer has the form of some gateway's error."""
    fields = {str(name).lower() for name, value in reply.items() if value not in (None, "", [], {})}
    if fields & {"detail", "errors", "error_msg", "error_message", "fault", "base_resp", "__type"}:
        return True
    numbered = fields & {"code", "status", "statuscode", "status_code", "error_code", "success"}
    return bool(fields & {"message", "msg"} and (numbered or fields == {"message"}))


def error_in_text(text: str) -> ProviderError | None:
    """The error of a reply that is no JSON: a proxy's page, an event stream, a short word."""
    start = text.lstrip()[:200].lower()
    if start.startswith(("<!doctype", "<html", "<head", "<body", "<?xml", "<center", "<h1")):
        return _of_page(text[:20_000])
    if start.startswith(("event:", "data:", ":")):
        return _of_events(text)
    short = text.strip()[:500]
    if short and len(text) < 2000 and (status := error_causes.status_of_words(short)):
        return ProviderError(texts=[short], statuses=[status])
    return None


def _of_page(page: str) -> ProviderError:
    heads = re.findall(r"(?is)<(?:title|h1|h2)[^>]*>(.*?)</", page)
    words = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", page)
    text_found = " ".join(" ".join(heads or [words]).split())[:200]
    number = re.search(r"\b([45]\d\d)\b", text_found)
    status = int(number[1]) if number else error_causes.status_of_words(text_found) or 502
    return ProviderError(texts=[f"{PAGE}: {text_found}"], statuses=[status])


def _of_events(text: str) -> ProviderError | None:
    for line in text.splitlines():
        if not line.startswith("data:"):
            continue
        try:
            error = error_in_reply(json.loads(line.removeprefix("data:")))
        except (ValueError, RecursionError):
            continue
        if error is not None:
            return ProviderError.of(error)
    return None
