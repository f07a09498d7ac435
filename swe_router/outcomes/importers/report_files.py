"""Official verdicts out of the reports that harnesses write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.outcomes.importers.gathering import (
    INSTANCE_ID,
    list_or_empty,
    load_json,
    require_unique_names,
)

RESOLVED_KEYS = ("resolved_ids", "resolved")
UNRESOLVED_KEYS = (
    "unresolved_ids",
    "empty_patch_ids",
    "unresolved",
    "no_generation",
    "no_logs",
    "applied",
    "with_logs",
    "generated",
)
"""Lists of ids in the closing reports of swebench 2 to 5, sb-cli and the experiments folders.

``error_ids``, ``infra_failure_ids`` and ``incomplete_ids`` are no verdicts.
"""
NO_VERDICT_KEYS = ("error_ids", "infra_failure_ids", "incomplete_ids")
NESTED_KEYS = ("verdicts", "results", "instances", "eval_results", "per_instance")
"""Keys under which a report may keep its verdicts on instances, next to a summary."""
_APART = re.compile(r"__|[-/:@.#]|\A\d+\Z")


@dataclass(frozen=True)
class ReportedVerdicts:
    """The certain verdicts of reports."""

    resolved_by_id: Mapping[str, bool]
    winners_only: bool = False
    """They list resolved instances only: no instance is reported as not resolved."""
    undecided: frozenset[str] = frozenset()
    """Instances that they list without a verdict."""

    def lists_only_winners(self, silent: Collection[str]) -> bool:
        """Whether none of these failed although some are missing: a table of winners."""
        bare = self.winners_only or all(self.resolved_by_id.values())
        return bool(set(silent) - self.undecided) and bool(self.resolved_by_id) and bare


def looks_like_an_id(name: str) -> bool:
    """Whether a key may name an instance, of any benchmark, and not a figure of a summary."""
    if INSTANCE_ID.fullmatch(name):
        return True
    return any(map(str.isdecimal, name)) and bool(_APART.search(name)) and "pass@" not in name


def verdict_of_entry(value: object) -> bool | None:
    """The verdict that a value is: of its own, or under ``resolved``; None for no verdict.

    Where the infrastructure failed there is none, whatever else the entry holds.
    """
    if isinstance(value, Mapping):
        value = None if value.get("infra_failure") else value.get("resolved")
    return bool(value) if isinstance(value, bool) or value in (0, 1) else None


def reported_verdicts(path: Path) -> dict[str, bool]:
    """Instance id -> resolved; see ``read``."""
    return dict(read_reports(path).resolved_by_id)


def read_reports(path: Path) -> ReportedVerdicts:
    """What a report says for certain.

    ``path`` is a closing report (``resolved_ids`` and the like), an object of
    ``{id: {"resolved": bool}}`` or ``{id: bool}``, or a folder of ``report.json`` or
    ``ID.report.json`` files, as swebench leaves under logs/run_evaluation. Raises
    ``UsageError``: nothing there, no such form, or two reports that contradict each other.
    """
    if not path.is_dir():
        verdicts = _verdicts_of_file(path)
        if not verdicts.resolved_by_id:
            raise UsageError(
                f"{path} holds no verdicts (resolved_ids, or resolved by instance id; a summary"
                " in figures is none)"
            )
        return verdicts
    names = sorted({*path.rglob("report.json"), *path.rglob("*.report.json")})
    if not names:
        raise UsageError(f"{path} holds no report.json")
    whole: dict[str, bool] = {}
    bares = []
    for name in names:
        one = _verdicts_of_file(name)
        bares.append(one.winners_only)
        for key, value in one.resolved_by_id.items():
            if whole.setdefault(key, value) != value:
                raise UsageError(f"{name} contradicts another report on {key}")
    return ReportedVerdicts(whole, all(bares))


def lists_failures(path: Path) -> bool:
    """Whether a report holds any verdict."""
    return bool(_verdicts_of_file(path).resolved_by_id)


def _verdicts_of_file(path: Path) -> ReportedVerdicts:
    """Verdicts of one report."""
    tree = load_json(path, hook=require_unique_names)
    if isinstance(tree, list):
        tree = _ids_listed(tree)
    if not isinstance(tree, Mapping):
        raise UsageError(f"{path} is no report: it holds no object")
    if isinstance(tree.get("resolved"), bool):
        resolved = verdict_of_entry(tree)
        return ReportedVerdicts({} if resolved is None else {_instance_from_path(path): resolved})
    if (lists := verdicts_of_lists(tree)) is not None:
        return lists
    inner = next(
        (tree[key] for key in NESTED_KEYS if isinstance(tree.get(key), Mapping | list)), tree
    )
    inner = _ids_listed(inner) if isinstance(inner, list) else inner
    found = {
        str(key): resolved
        for key, value in inner.items()
        if looks_like_an_id(str(key)) and (resolved := verdict_of_entry(value)) is not None
    }
    return ReportedVerdicts(found)


def verdicts_of_lists(tree: Mapping[str, Any]) -> ReportedVerdicts | None:
    """The verdicts of a report that lists ids (``resolved_ids``); None where it lists none."""
    if not any(isinstance(tree.get(key), list) for key in RESOLVED_KEYS):
        return None
    bare = not any(isinstance(tree.get(key), list) for key in UNRESOLVED_KEYS)
    undecided = frozenset(
        str(one) for key in NO_VERDICT_KEYS for one in list_or_empty(tree.get(key))
    )
    return ReportedVerdicts(dict(_lists(tree)), bare, undecided)


def _ids_listed(entries: Sequence[Any]) -> Mapping[str, Any]:
    """A list of ids are those resolved; of objects each tells of the instance that it names."""
    if not any(isinstance(one, Mapping) for one in entries):
        return {"resolved": entries}
    return {str(one.get("instance_id")): one for one in entries if isinstance(one, Mapping)}


def _lists(tree: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    won = {str(name) for key in RESOLVED_KEYS for name in list_or_empty(tree.get(key))}
    unknown = {str(n) for key in NO_VERDICT_KEYS for n in list_or_empty(tree.get(key))}
    lost = (
        {str(name) for key in UNRESOLVED_KEYS for name in list_or_empty(tree.get(key))}
        - won
        - unknown
    )
    yield from ((name, True) for name in sorted(won))
    yield from ((name, False) for name in sorted(lost))


def _instance_from_path(path: Path) -> str:
    """The instance of a bare report: from its name, else from its folder."""
    own = path.name.removesuffix(".json").removesuffix("report").rstrip(".")
    for name in (own, path.parent.name):
        if INSTANCE_ID.fullmatch(name):
            return name
    raise UsageError(f"{path} does not say of which instance it is: name it ID.report.json")
