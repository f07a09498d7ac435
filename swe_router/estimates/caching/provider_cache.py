"""A provider's prompt cache as its documentation describes it: what a request reads and writes.

A prompt is a row of blocks (the system text, each message, each call); the cache holds prefixes
that end where a block ends. Rules differ in where prefixes are kept, how a request finds them, for
how long, and from how many tokens on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from swe_router.records import Usage

Keeps = Literal["marks", "ends", "everything"]
"""Where prefixes are kept: at marked blocks alone; at marked blocks and at the end of every request
and answer; at every block."""


@dataclass(frozen=True)
class CacheRules:
    """One provider's rules."""

    keeps: Keeps
    min_tokens: int = 0
    """Shorter prefixes are neither kept nor read."""
    granule: int = 1
    """Reads are rounded down to a multiple of so many tokens."""
    seconds: float = 300.0
    """How long a prefix lives unread, where its mark does not say."""
    look_back: int = 0
    """Blocks before each mark in which a kept prefix is looked for, the marked one included; 0:
    every block is looked at."""
    writes: bool = False
    """What is kept is billed as written; else as input."""


@dataclass(frozen=True)
class PromptBlock:
    """One piece of a prompt."""

    key: str
    """Equal for equal content."""
    tokens: int


@dataclass
class _Prefix:
    until: float
    """Unix seconds at which it is forgotten."""
    seconds: float


@dataclass
class ProviderCache:
    """The cache of one account; ``call`` must be asked in the order of time."""

    rules: CacheRules
    _kept: dict[str, _Prefix] = field(default_factory=dict)

    def call(
        self,
        at: float,
        blocks: Sequence[PromptBlock],
        marks: Mapping[int, float] | None = None,
        answer: PromptBlock | None = None,
    ) -> Usage:
        """What a request at ``at`` (Unix seconds) is billed, without its output.

        ``marks`` has the places of marked blocks, with the seconds for which each asks. ``answer``
        is the block that the model added, where the next request sends it back as it came.
        """
        marks = dict(marks or {})
        names, ends = _prefixes(blocks)
        found = self._found(at, names, ends, marks)
        read = 0 if found < 0 else ends[found] // self.rules.granule * self.rules.granule
        self._refresh(at, names[: found + 1])
        last = self._keep(at, names, ends, marks)
        self._keep_answer(at, names, ends, answer)
        whole = ends[-1] if ends else 0
        written = max(0, last - read) if self.rules.writes else 0
        hour = max((ends[n] for n, secs in marks.items() if secs > self.rules.seconds), default=0)
        return Usage(
            input_tokens=whole - read - written,
            cache_read_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=min(written, max(0, hour - read)),
        )

    def _found(
        self, at: float, names: Sequence[str], ends: Sequence[int], marks: Mapping[int, float]
    ) -> int:
        """The last block of the longest prefix that is read; -1: none."""
        places = range(len(names) - 1, -1, -1)
        if self.rules.look_back:
            seen = {n for mark in marks for n in range(mark - self.rules.look_back + 1, mark + 1)}
            places_seen = [n for n in places if n in seen]
        else:
            places_seen = list(places)
        return next((n for n in places_seen if self._is_read(at, names[n], ends[n])), -1)

    def _is_read(self, at: float, name: str, tokens: int) -> bool:
        kept = self._kept.get(name)
        return kept is not None and at <= kept.until and tokens >= self.rules.min_tokens

    def _refresh(self, at: float, names: Sequence[str]) -> None:
        """A read starts the time of the prefix anew, and of those within it."""
        for name in names:
            if (kept := self._kept.get(name)) is not None and at <= kept.until:
                kept.until = at + kept.seconds

    def _keep(
        self, at: float, names: Sequence[str], ends: Sequence[int], marks: Mapping[int, float]
    ) -> int:
        """Keep the prefixes of a request; the tokens of the longest that is kept."""
        wanted = dict(marks)
        if self.rules.keeps == "everything":
            wanted = dict.fromkeys(range(len(names)), self.rules.seconds)
        elif self.rules.keeps == "ends" and names:
            wanted.setdefault(len(names) - 1, self.rules.seconds)
        longest = 0
        for place, seconds in wanted.items():
            if ends[place] >= self.rules.min_tokens:
                self._put(at, names[place], seconds)
                longest = max(longest, ends[place])
        return longest

    def _keep_answer(
        self, at: float, names: Sequence[str], ends: Sequence[int], answer: PromptBlock | None
    ) -> None:
        if answer is None or self.rules.keeps == "marks" or not names:
            return
        if ends[-1] + answer.tokens >= self.rules.min_tokens:
            self._put(at, _chained(names[-1], answer.key), self.rules.seconds)

    def _put(self, at: float, name: str, seconds: float) -> None:
        known = self._kept.get(name)
        alive = known.seconds if known is not None and at <= known.until else 0.0
        seconds = max(seconds, alive)
        self._kept[name] = _Prefix(at + seconds, seconds)


def _prefixes(blocks: Sequence[PromptBlock]) -> tuple[list[str], list[int]]:
    """A name for each prefix, and its tokens."""
    names: list[str] = []
    ends: list[int] = []
    name, tokens = "", 0
    for block in blocks:
        name, tokens = _chained(name, block.key), tokens + block.tokens
        names.append(name)
        ends.append(tokens)
    return names, ends


def _chained(before: str, key: str) -> str:
    return hashlib.blake2b(f"{before}\n{key}".encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class SentPrompt:
    """A request of a recorded run."""

    at: float
    """Unix seconds."""
    blocks: tuple[PromptBlock, ...]


def least_usages(
    prompts: Sequence[SentPrompt], *, writes: bool, min_tokens: int = 0
) -> list[Usage]:
    """The floor: each token that an earlier prompt began with is read, whatever the time.

    With ``writes`` a new token is written where a later prompt begins with it too, else it is
    input. Nothing is too late or out of sight, nor too short but for ``min_tokens``.
    """
    rows = [_prefixes(prompt.blocks) for prompt in prompts]
    uses: dict[str, int] = {}
    for names, _ in rows:
        for name in names:
            uses[name] = uses.get(name, 0) + 1
    seen: set[str] = set()
    found = []
    for names, ends in rows:
        kept = [(name, end) for name, end in zip(names, ends, strict=True) if end >= min_tokens]
        read = max((end for name, end in kept if name in seen), default=0)
        again = max((end for name, end in kept if uses[name] > 1), default=0)
        written = max(0, again - read) if writes else 0
        whole = ends[-1] if ends else 0
        found.append(
            Usage(
                input_tokens=whole - read - written,
                cache_read_tokens=read,
                cache_write_tokens=written,
            )
        )
        seen.update(names)
    return found
