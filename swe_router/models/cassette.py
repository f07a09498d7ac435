"""Answers recorded to a file and served from it, by attempt, request and occurrence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_router import errors, jsonl, plugins
from swe_router.errors import JournalError, ModelError, Refused, UsageError
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.records.requests import RequestDigests
from swe_router.seams import Model
from swe_router.settings import Tier


class CassetteMiss(Refused):
    """The request was never recorded for this attempt."""


class RecordingModel:
    """Passes calls on and appends each answer, or error, to the cassette file."""

    def __init__(self, model: Model, path: Path, *, session: str) -> None:
        self._model, self._path, self._session = model, path, session
        known = _load(path, session) if path.exists() else {}
        self._seen = Counter(request for request, _ in known)
        self._digests = RequestDigests()

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        request = self._digests.of(messages, tools, limits)
        try:
            answer = self._model.complete(messages, tools, limits=limits)
        except ModelError as error:
            self._write(request, {"error": type(error).__name__, "message": str(error)})
            raise
        self._write(request, {"completion": answer.model_dump(mode="json")})
        return answer

    def _write(self, request: str, what: dict[str, Any]) -> None:
        occurrence = self._seen[request]
        self._seen[request] += 1
        entry = {"session": self._session, "request": request, "occurrence": occurrence, **what}
        jsonl.append_value(self._path, entry, durable=False)


class ReplayingModel:
    """Serves the answers of a cassette file; no network, no key, no model."""

    def __init__(self, path: Path, *, session: str) -> None:
        self._path, self._session = path, session
        self._answers = _load(path, session)
        self._seen: Counter[str] = Counter()
        self._digests = RequestDigests()

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``. ``CassetteMiss`` when the request differs from all recorded."""
        request = self._digests.of(messages, tools, limits)
        occurrence = self._seen[request]
        self._seen[request] += 1
        entry = self._answers.get((request, occurrence))
        if entry is None:
            recorded = len({known for known, _ in self._answers})
            raise CassetteMiss(
                f"{self._path.name}: attempt {self._session} has no answer to request"
                f" {request[:12]} ({len(messages)} messages), occurrence {occurrence + 1}:"
                f" {recorded} other requests are recorded"
            )
        if "error" in entry:
            raise _error(entry)
        return Completion.model_validate(entry["completion"])


class CassetteModel:
    """The dialect ``cassette``: records another dialect, or replays what it recorded.

    Options: ``file``, the cassette; ``record``, the dialect to record (unset: replay). All
    other options are those of the recorded dialect.
    """

    def __init__(self, tier: Tier, *, session: str, key: str = "") -> None:
        options = dict(tier.options)
        path = Path(str(options.pop("file", ""))).expanduser()
        dialect = str(options.pop("record", ""))
        self._model: Model
        if dialect:
            inner = tier.model_copy(update={"dialect": dialect, "options": options})
            bare = plugins.load_plugin("models", dialect)(inner, session=session, key=key)
            self._model = RecordingModel(bare, path, session=session)
        elif path.is_file():
            self._model = ReplayingModel(path, session=session)
        else:
            raise UsageError(f"model {tier.model!r}: there is no cassette {str(path)!r} to replay")

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        return self._model.complete(messages, tools, limits=limits)


def _end_of_lines(path: Path) -> int:
    """Bytes up to the end of the last whole line: one torn by a crash is not served."""
    return path.read_bytes().rfind(b"\n") + 1


def _load(path: Path, session: str) -> dict[tuple[str, int], dict[str, Any]]:
    answers = {}
    try:
        lines = path.read_bytes()[: _end_of_lines(path)].splitlines()
    except OSError as error:
        raise JournalError(f"cannot read the cassette {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if entry["session"] == session:
                answers[entry["request"], int(entry["occurrence"])] = entry
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path} line {number} is corrupt: {error!r}") from None
    return answers


def _error(entry: dict[str, Any]) -> ModelError:
    kind = getattr(errors, entry["error"], None)
    if isinstance(kind, type) and issubclass(kind, ModelError):
        return kind(entry["message"])
    return ModelError(entry["message"])
