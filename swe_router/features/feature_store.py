"""Features that were made before, by the key of their inputs: a folder of small files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import ValidationError

from swe_router.records import Features, Instance


class FeatureStore:
    """Unscored features on disk. What cannot be read or written is made again, never an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, instance: Instance) -> Features | None:
        """The features that were kept under ``key``, as those of ``instance``."""
        try:
            text = self._file(key).read_text(encoding="utf-8")
            found = Features.model_validate_json(text)
        except (OSError, UnicodeDecodeError, ValidationError):
            return None
        return found.model_copy(update={"instance_id": instance.id, "text": instance.problem})

    def put(self, key: str, features: Features) -> None:
        """Keep features, without their text."""
        file = self._file(key)
        fresh = file.with_name(f".{file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(features.model_dump_json(exclude={"text"}), encoding="utf-8")
            fresh.replace(file)

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
