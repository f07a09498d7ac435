"""Calls that a model meant and that no reader takes: another form, another place, broken JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


def first_missed_call(before: Sequence[str], names: Sequence[str]) -> tuple[int, str]:
    """Which call must not be carried out, for one before it went unread, and what to say of that.

    ``before`` is the text before each call that was read. -1 and nothing where all is well.
    """
    if not names:
        return -1, ""
    pattern = _pattern(tuple(names))
    for number, text in enumerate(before):
        if (found := pattern.search(text)) is not None:
            line = text[found.start() :].lstrip().partition("\n")[0][:120]
            return number, (
                f"Before this a call was begun that could not be read: {line!r}. Write each call"
                f" in the form that was shown, on lines of its own; the tools are"
                f" {', '.join(names)}."
            )
    return -1, ""


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    one = "|".join(map(re.escape, names))
    json_call = (
        r'^[ \t]*+(?:\[\s*+)?\{\s*+"(?:name|tool|function)"\s*+:\s*+'
        rf'(?:"(?:{one})"|(?=[^{{}}]{{0,200}}"(?:arguments|parameters)"\s*:))'
    )
    inline = rf'(?<![`"\'])<call[ \t:]+(?:name[ \t]*=[ \t]*)?"?(?:{one})"?[ \t]*/?>[ \t]*$'
    foreign = (
        r'^[ \t]*+<(?:(?:invoke|tool|function)[ \t]+name[ \t]*=[ \t]*"?|function[ \t]*=[ \t]*"?)'
        rf"(?:{one})\b"
    )
    return re.compile("|".join((json_call, inline, foreign)), re.MULTILINE)
