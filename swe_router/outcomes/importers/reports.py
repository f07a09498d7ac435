"""Official verdicts out of the reports that harnesses write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.outcomes.importers.base import INSTANCE_ID, list_of, load_json

WON = ("resolved_ids", "resolved")
LOST = ("unresolved_ids", "empty_patch_ids", "unresolved", "no_generation", "no_logs", "applied",
        "with_logs", "generated")  # fmt: skip
"""Lists of ids in the closing reports of swebench 2 to 5, sb-cli and the experiments folders.

``error_ids``, ``infra_failure_ids`` and ``incomplete_ids`` are no verdicts.
"""


def verdicts(path: Path) -> dict[str, bool]:
    """Instance id -> resolved, of what a report says for certain.

    ``path`` is a closing report (``resolved_ids`` and the like), an object of
    ``{id: {"resolved": bool}}`` or ``{id: bool}``, or a folder of ``report.json`` or
    ``ID.report.json`` files, as swebench leaves under logs/run_evaluation. Raises
    ``UsageError``: nothing there, no such form, or two reports that contradict each other.
    """
    if path.is_dir():
        names = sorted({*path.rglob("report.json"), *path.rglob("*.report.json")})
        if not names:
            raise UsageError(f"{path} holds no report.json")
        found: dict[str, bool] = {}
        for name in names:
            for key, value in _of_file(name):
                if found.setdefault(key, value) != value:
                    raise UsageError(f"{name} contradicts another report on {key}")
        return found
    found = dict(_of_file(path))
    if not found:
        raise UsageError(f"{path} holds no verdicts (resolved_ids, or resolved by instance id)")
    return found


def _of_file(path: Path) -> Iterator[tuple[str, bool]]:
    tree = load_json(path)
    if isinstance(tree, list):
        tree = {"resolved": tree}
    if not isinstance(tree, Mapping):
        raise UsageError(f"{path} is no report: it holds no object")
    if isinstance(tree.get("resolved"), bool):
        yield _named(path), tree["resolved"]
    elif any(isinstance(tree.get(key), list) for key in WON):
        yield from _lists(tree)
    else:
        for key, entry in tree.items():
            value = entry.get("resolved") if isinstance(entry, Mapping) else entry
            if isinstance(value, bool) or value in (0, 1):
                yield str(key), bool(value)


def _lists(tree: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    won = {str(name) for key in WON for name in list_of(tree.get(key))}
    unknown = {str(n) for key in ("error_ids", "infra_failure_ids", "incomplete_ids")
               for n in list_of(tree.get(key))}  # fmt: skip
    lost = {str(name) for key in LOST for name in list_of(tree.get(key))} - won - unknown
    yield from ((name, True) for name in sorted(won))
    yield from ((name, False) for name in sorted(lost))


def _named(path: Path) -> str:
    """The instance of a bare report: from its name, else from its folder."""
    own = path.name.removesuffix(".json").removesuffix("report").rstrip(".")
    for name in (own, path.parent.name):
        if INSTANCE_ID.fullmatch(name):
            return name
    raise UsageError(f"{path} does not say of which instance it is: name it ID.report.json")
