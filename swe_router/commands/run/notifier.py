"""The hook of ``--notify``: a command or a URL gets one JSON value; its faults break nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    from urllib import request
else:
    request = deferred_module("urllib.request")

NOTIFIED_BUDGET_SHARE = Decimal("0.8")
"""Share of the cap; when so much is spent, the hook is called."""
HOOK_TIMEOUT_SECONDS = 20.0
"""Time limit of a hook, in seconds."""
HOOK_VARIABLE = "SWE_ROUTER_NOTIFY"
URL_SCHEMES = ("http", "https")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s]*)\S*$")


def hook_of(hook: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The hook that is given, else the environment's; "" for none.

    Raises ``UsageError`` for a URL that nothing can be sent to.
    """
    given = (hook if hook is not None else environment.get(HOOK_VARIABLE, "")).strip()
    place = _URL.match(given)
    if place and not (place[1].lower() in URL_SCHEMES and place[2]):
        raise UsageError(
            f"--notify {place[1]}://…: give an http:// or https:// URL with a host, or a command"
        )
    return given


class Notifier:
    """The hook of one launch; empty does nothing.

    ``hook``: an ``http(s)://`` URL, which is sent the JSON by POST, or a command for the shell,
    which has it on its standard input. The JSON holds names, counts and USD, no setting and no key.
    """

    def __init__(
        self,
        hook: str | None,
        say: Callable[[str], None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._hook, self._say = hook_of(hook, environment), say
        self._notified_cap: Decimal | None = None
        self._threads: list[threading.Thread] = []

    def notify_spending(self, run_name: str, spent_usd: Decimal, budget_usd: Decimal) -> None:
        """Call the hook once per cap when that share of it is spent, in a thread of its own."""
        if (
            not self._hook
            or self._notified_cap == budget_usd
            or spent_usd < NOTIFIED_BUDGET_SHARE * budget_usd
        ):
            return
        self._notified_cap = budget_usd
        event = {
            "event": "spent",
            "run": run_name,
            "usd": float(spent_usd),
            "budget": float(budget_usd),
        }
        one = threading.Thread(target=self._call_hook, args=(event,), daemon=True)
        self._threads.append(one)
        one.start()

    def notify_end(self, facts: Mapping[str, Any], exit_code: int) -> None:
        """Say how the launch ended; returns when the hook has."""
        if not self._hook:
            return
        for one in self._threads:
            one.join(HOOK_TIMEOUT_SECONDS)
        names = ("run", "split", "policy", "instances", "resolved", "unresolved", "ungraded",
                 "empty", "usd", "budget", "escalated", "seconds", "ended")  # fmt: skip
        self._call_hook(
            {"event": "end", **{n: facts[n] for n in names if n in facts}, "code": exit_code}
        )

    @contextmanager
    def notifying_faults(self, run_name: str) -> Iterator[None]:
        """Say that the launch ended without a result, by the kind of its error alone."""
        try:
            yield
        except BaseException as error:
            if self._hook:
                self._call_hook({"event": "end", "run": run_name, "error": type(error).__name__})
            raise

    def _call_hook(self, event: Mapping[str, Any]) -> None:
        text = json.dumps(event)
        place = urllib.parse.urlsplit(self._hook)
        try:
            if place.scheme in {"http", "https"}:
                _post_json(self._hook, text)
            else:
                _run_command(self._hook, text)
        except Exception as error:
            # Of a URL only the host is named: its path is often the key to a channel.
            where = place.hostname if place.scheme in {"http", "https"} else self._hook.split()[0]
            self._say(f"--notify {where} did not take it: {type(error).__name__}")


def _post_json(url: str, json_text: str) -> None:
    asked = request.Request(
        url, data=json_text.encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with request.urlopen(asked, timeout=HOOK_TIMEOUT_SECONDS):
        pass


def _run_command(command: str, json_text: str) -> None:
    """Its output goes nowhere: stdout carries our own result."""
    subprocess.run(
        ["/bin/sh", "-c", command],
        input=json_text.encode(),
        timeout=HOOK_TIMEOUT_SECONDS,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
