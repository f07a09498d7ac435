"""Predictions files: every known form is read, and the one that all harnesses take is written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from swe_router.candidates.prediction_files import entries, patch_of
from swe_router.errors import UsageError
from swe_router.records import FrozenRecord, Name, patch_bytes, patch_digest

__all__ = ["Prediction", "patch_bytes", "read_predictions", "write_predictions"]


class Prediction(FrozenRecord):
    """A patch that is handed in for an instance; the empty patch is a legal one."""

    instance_id: Name
    patch: str = ""
    model: str = "swe-router"
    """What the file names as its maker."""

    @property
    def digest(self) -> str:
        """SHA-256 of the patch text."""
        return patch_digest(self.patch)


def read_predictions(path: Path) -> list[Prediction]:
    """Predictions of a ``.json`` file (dict by id, or list) or a ``.jsonl`` file.

    Raises ``UsageError``: unreadable or malformed file, an entry without an id or a patch, a
    duplicate id, a patch that is not a diff.
    """
    seen: dict[str, str] = {}
    found = []
    for where, entry in entries(path):
        name, patch, fields = patch_of(where, entry)
        if name in seen:
            raise UsageError(f"{name!r} is predicted twice: {seen[name]} and {where}")
        seen[name] = where
        model = str(fields.get("model_name_or_path") or "unnamed")
        found.append(Prediction(instance_id=name, patch=patch, model=model))
    if not found:
        raise UsageError(f"{path} holds no predictions")
    return found


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions as swebench's ``run_evaluation -p`` and sb-cli take them, in one piece.

    A ``.jsonl`` has one per line, anything else is an object by id (``preds.json``).
    """
    tree = {
        one.instance_id: {
            "model_name_or_path": one.model,
            "instance_id": one.instance_id,
            "model_patch": one.patch,
        }
        for one in predictions
    }
    text = json.dumps(tree, indent=2) + "\n"
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(entry) + "\n" for entry in tree.values())
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
