"""What a server's refusals teach of its parameters: remembered for each tier, as long as we run.

Servers that speak one dialect differ in the names and the parameters that they take. An option
of the tier says so beforehand; otherwise the server's own refusal does, and the request goes
again. A refused request is not billed, so nothing is charged for it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from swe_router import model_facts
from swe_router.errors import ModelError, ModelUnknown, Refused, SettingRefused
from swe_router.models import error_mapping
from swe_router.models.call_options import CAPS
from swe_router.settings import Tier

T = TypeVar("T")
NEVER = frozenset({"model", "messages", "input", "tools", "system", "instructions", "stream",
                   "max_output_tokens", *CAPS})  # fmt: skip
"""Parameters without which it is another request, or one without a bound on its price."""
IN_MESSAGES = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks",
               "extra_content", "cache_control", "prompt_cache_breakpoint")  # fmt: skip
IN_TOOLS = ("strict",)
_PLAIN_WORDS = frozenset({"text", "store", "include", "reasoning", "seed", "strict"})
"""Names that are also words: taken for a name only in quotation marks or as a path."""
_REFUSES = re.compile(
    r"un(?:supported|known|recogni[sz]ed|expected)|not (?:be )?(?:supported|permitted|allowed"
    r"|available|accepted|valid)|(?:does|do)(?: not|n't) (?:support|accept|allow)|extra (?:inputs?"
    r"|fields?)|no longer|deprecated|can(?:not|'t) (?:both )?be|may (?:only|not) be"
    r"|additional propert|instead|no such (?:param|field)|invalid (?:param|field|argument)"
    r"|no endpoints",
    re.IGNORECASE,
)
_WANTED = re.compile(
    r"missing|must be (?:passed|provided|included|sent)|is required", re.IGNORECASE
)
_log = logging.getLogger(__name__)


class ServerQuirks:
    """What one server is known to want. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left_out: set[str] = set()
        self._refused_caps: set[str] = set()
        self._wants_reasoning = False

    def fitted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request as the server is known to take it; ``body`` stays as it is."""
        out = {name: value for name, value in body.items() if name not in self._left_out}
        for cap in CAPS:
            if cap in out and (other := self._other_cap(cap)):
                out[other] = out.pop(cap)
        if self._left_out.intersection(IN_MESSAGES):
            for name in ("messages", "input", "system"):
                if name in out:
                    out[name] = _without(out[name], self._left_out.intersection(IN_MESSAGES))
        if self._left_out.intersection(IN_TOOLS) and "tools" in out:
            out["tools"] = [_without_strict(tool) for tool in out["tools"]]
        if self._wants_reasoning and "messages" in out:
            out["messages"] = [_with_reasoning(message) for message in out["messages"]]
        return out

    def learn(self, refusal: ModelError, body: Mapping[str, Any]) -> str:
        """What a refusal of ``body`` teaches, in words; empty when it teaches nothing."""
        if refusal.billed or not isinstance(refusal, Refused | SettingRefused | ModelUnknown):
            return ""
        text = refusal.refusal
        with self._lock:
            if "reasoning_content" in text and _WANTED.search(text):
                new, self._wants_reasoning = not self._wants_reasoning, True
                return "reasoning_content is sent with each call" if new else ""
            if not _REFUSES.search(text):
                return ""
            # A refusal of one turn may quote it: what is quoted there teaches nothing.
            turn = bool(error_mapping.TURN.search(text))
            return ("" if turn else self._of_caps(text, body)) or self._of_name(text, body, turn)

    def leave_out(self, name: str) -> None:
        """Never send a parameter."""
        self._left_out.add(name)

    def send_reasoning(self) -> None:
        """Send ``reasoning_content`` with each call that has none, empty."""
        self._wants_reasoning = True

    def call_cap(self, name: str) -> None:
        """Send the output cap under this name."""
        self._refused_caps.update(set(CAPS) - {name})

    def _other_cap(self, cap: str) -> str:
        if cap not in self._refused_caps:
            return ""
        return next((other for other in CAPS if other not in self._refused_caps), "")

    def _of_caps(self, text: str, body: Mapping[str, Any]) -> str:
        sent = next((cap for cap in CAPS if cap in body), "")
        first = re.search(r"max_(?:completion_)?tokens", text)
        if not sent or first is None:
            return ""
        other = CAPS[1 - CAPS.index(sent)]
        asked = re.search(rf"use\W{{1,4}}{other}\b", text, re.IGNORECASE)
        if (first[0] != sent and not asked) or re.search(r"too large|greater than|at most", text):
            return ""
        self._refused_caps.add(sent)
        return f"{other} in the place of {sent}" if self._other_cap(sent) else ""

    def _of_name(self, text: str, body: Mapping[str, Any], turn: bool) -> str:
        inside = [name for name in (*IN_MESSAGES, *IN_TOOLS) if _holds(body, name)]
        known = [*(name for name in body if name not in NEVER and not turn), *inside]
        places = {name: at for name in known if (at := _place(name, text)) >= 0}
        if not places:
            return ""
        name = min(places, key=lambda one: places[one])
        self._left_out.add(name)
        return f"{name} is left out"


def _place(name: str, text: str) -> int:
    """Where a text speaks of a parameter; -1: nowhere."""
    quoted = (
        rf"""["'`./\[]{re.escape(name)}["'`.\]]|["'`./]{re.escape(name)}\b|^{re.escape(name)}: """
    )
    found = re.search(quoted, text)
    if found is None and name not in _PLAIN_WORDS:
        found = re.search(rf"\b{re.escape(name)}\b", text)
    return found.start() if found else -1


def _holds(body: Mapping[str, Any], name: str) -> bool:
    if name in IN_TOOLS:
        return any(
            name in tool or name in tool.get("function", ()) for tool in body.get("tools", ())
        )
    messages = (*body.get("messages", ()), *body.get("input", ()))
    return any(name in m or any(name in b for b in _blocks(m)) for m in messages)


def _blocks(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content")
    inside = content if isinstance(content, list) else []
    return [block for block in (*inside, *message.get("tool_calls", ())) if isinstance(block, dict)]


def _without(value: Any, names: set[str]) -> Any:
    """Messages without some fields, of theirs or of their blocks and calls."""
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: item for name, item in value.items() if name not in names}
    for name in ("content", "tool_calls"):
        if isinstance(kept.get(name), list):
            kept[name] = _without(kept[name], names)
    return kept


def _without_strict(tool: Mapping[str, Any]) -> dict[str, Any]:
    bare = {name: value for name, value in tool.items() if name not in IN_TOOLS}
    return {**bare, "function": _without_strict(bare["function"])} if "function" in bare else bare


def _with_reasoning(message: Mapping[str, Any]) -> Mapping[str, Any]:
    if not message.get("tool_calls") or "reasoning_content" in message:
        return message
    return {**message, "reasoning_content": message.get("reasoning") or ""}


_known: dict[str, ServerQuirks] = {}
_known_lock = threading.Lock()


def quirks_of(tier: Tier) -> ServerQuirks:
    """The lessons of a tier, with what its options say; one for all its attempts."""
    key = f"{tier.dialect} {tier.base_url} {tier.model} {sorted(tier.options.items(), key=str)}"
    with _known_lock:
        if key not in _known:
            made = _known[key] = ServerQuirks()
            for name in tier.options.get("leave_out", ()):
                made.leave_out(str(name))
            row = model_facts.facts_of(tier.model) if tier.dialect != "vllm" else None
            for name in row.never_send if row else ():
                made.leave_out(name)
            if row is not None and "reasoning_content" in row.send_back:
                made.send_reasoning()
            if "output_cap" in tier.options:
                made.call_cap(str(tier.options["output_cap"]))
        return _known[key]


def send_with_quirks(tier: Tier, body: Mapping[str, Any], send: Callable[[dict[str, Any]], T]) -> T:
    """``send`` of the request as the server takes it, again after each refusal that teaches."""
    lessons = quirks_of(tier)
    while True:
        fit = lessons.fitted(body)
        try:
            return send(fit)
        except ModelError as refusal:
            lesson = lessons.learn(refusal, fit)
            if not lesson or lessons.fitted(body) == fit:
                raise
            _log.warning("%s: %s, as the server asks", tier.model, lesson)
