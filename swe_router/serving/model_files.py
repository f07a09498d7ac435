"""What the Hugging Face hub says of a model before it is downloaded, and what is here already."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import huggingface_hub
    import huggingface_hub.constants as hub_constants
    import huggingface_hub.errors as hub_errors
else:
    huggingface_hub = deferred_module("huggingface_hub")
    hub_constants = deferred_module("huggingface_hub.constants")
    hub_errors = deferred_module("huggingface_hub.errors")

SECONDS = 20.0
WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")


@dataclass(frozen=True)
class ModelFiles:
    """A model as its files describe it."""

    config: Mapping[str, Any]
    weight_bytes: int
    """Of the weight files; 0 where the hub does not say."""
    download_bytes: int
    """What is still to be downloaded."""


def facts_of_folder(folder: Path) -> ModelFiles:
    """A model in a folder. Raises ``UsageError`` that names what is missing."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} has no config.json: is it a model's folder?") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / 'config.json'} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise UsageError(f"{folder / 'config.json'} is no JSON object")
    sizes = {path.suffix: 0 for path in folder.iterdir()}
    for path in folder.iterdir():
        sizes[path.suffix] += path.stat().st_size
    weights = next((sizes[kind] for kind in WEIGHTS if sizes.get(kind)), 0)
    if not weights:
        raise UsageError(f"{folder} holds no weights ({', '.join(WEIGHTS)})")
    return ModelFiles(config, weights, 0)


def cached_folder(model: str) -> Path | None:
    """Where a model of the hub lies on this machine, whole; None when it does not."""
    try:
        found = huggingface_hub.snapshot_download(model, local_files_only=True)
    except (OSError, ValueError, hub_errors.HFValidationError):
        return None
    folder = Path(found)
    complete = any(path.suffix in WEIGHTS for path in folder.iterdir())
    return folder if complete and (folder / "config.json").exists() else None


def facts_of_hub(model: str) -> ModelFiles:
    """A model of the hub, of which nothing but ``config.json`` is fetched.

    Raises ``UsageError`` for a model that is unknown, gated, or a hub that cannot be reached.
    """
    if (folder := cached_folder(model)) is not None:
        return facts_of_folder(folder)
    try:
        about = huggingface_hub.HfApi().model_info(model, files_metadata=True, timeout=SECONDS)
        path = huggingface_hub.hf_hub_download(model, "config.json", etag_timeout=SECONDS)
    except Exception as error:
        raise UsageError(_refusal(model, error)) from None
    sizes = {file.rfilename: file.size or 0 for file in about.siblings or ()}
    kind = next((kind for kind in WEIGHTS if any(name.endswith(kind) for name in sizes)), "")
    weights = sum(size for name, size in sizes.items() if kind and name.endswith(kind))
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    return ModelFiles(config, weights, weights)


def check_access(model: str) -> bool:
    """Whether a model is here already, else raise ``UsageError`` when it cannot be downloaded."""
    if cached_folder(model) is not None:
        return True
    try:
        huggingface_hub.hf_hub_download(model, "config.json", etag_timeout=SECONDS)
    except Exception as error:
        raise UsageError(_refusal(model, error)) from None
    return False


def free_disk_bytes() -> tuple[int, Path]:
    """Bytes free where the hub's files are kept, and that place."""
    place = Path(hub_constants.HF_HUB_CACHE)
    there = next(one for one in (place, *place.parents) if one.exists())
    found = os.statvfs(there)
    return found.f_bavail * found.f_frsize, place


def _refusal(model: str, error: Exception) -> str:
    """Why a model cannot be had from the hub, and what to do."""
    response = error.response if isinstance(error, hub_errors.HfHubHTTPError) else None
    status = response.status_code if response is not None else 0
    if isinstance(error, hub_errors.GatedRepoError) or status in {401, 403}:
        return (
            f"{model} is gated, private or unknown (HTTP {status or 401}): accept its licence at"
            f" https://huggingface.co/{model} and set HF_TOKEN to a token that may read it"
        )
    if isinstance(error, hub_errors.RepositoryNotFoundError) or status == 404:
        return f"the hub has no model {model} with a config.json: check the name"
    if isinstance(error, hub_errors.OfflineModeIsEnabled | hub_errors.LocalEntryNotFoundError):
        return (
            f"{model} is not on this machine and the hub was not asked or did not answer: connect,"
            " unset HF_HUB_OFFLINE, or give the folder that holds it"
        )
    words = " ".join(str(error).split())[:200]
    return f"the hub could not be asked for {model}: {type(error).__name__}: {words}"
