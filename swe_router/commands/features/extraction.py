"""``swe-router features``: the features of a split in a file, each row written as it is made."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swe_router import jsonl
from swe_router.codegraph.repo_cache import RepoCache
from swe_router.commands.features.judge_ratings import IssueRater
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.features import feature_files
from swe_router.features.extraction_steps import (
    extract_features,
    features_version,
    input_key,
    with_score,
)
from swe_router.features.feature_store import FeatureStore
from swe_router.instances import splits
from swe_router.records import Features, Instance
from swe_router.reports.view_parts import text_view
from swe_router.wiring.repositories import graph_of, past_commits_of, repo_cache

Say = Callable[[str], None]


@dataclass
class _FeatureMaker:
    """Makes features and counts how it came by them."""

    repository_cache: RepoCache
    feature_store: FeatureStore
    say: Say
    origin_counts: Counter[str] = field(default_factory=Counter)

    def features(self, instance: Instance) -> tuple[Features, str]:
        """The scored features, and in a word how they came to be."""
        key = input_key(instance)
        found = self.feature_store.get(key, instance)
        if found is not None:
            self.origin_counts["cached"] += 1
            return with_score(found), "from the cache"
        graph = graph_of(self.repository_cache, instance, self.say)
        if graph is None:
            self.origin_counts["text_only"] += 1
            return extract_features(instance, None), "text only"
        past = past_commits_of(self.repository_cache, instance, self.say)
        self.origin_counts["made"] += 1
        self.origin_counts["without_history"] += not past
        found = extract_features(instance, graph, past, scored=False)
        if past:
            self.feature_store.put(key, found)
        return with_score(found), f"{len(graph.files)} files, {len(past)} past commits"


def make_features(
    split: str,
    output_file: Path,
    *,
    dataset_reader: str = "",
    repos: str,
    instance_ids: Sequence[str],
    id_pattern: str,
    id_slice: str,
    say: Say,
    cache: Path | None = None,
    repository_url: str | None = None,
    judge: IssueRater | None = None,
) -> CommandResult:
    """Bring ``output_file`` to hold the features of the chosen instances.

    ``judge`` adds its ratings once all rows are there. Rows that it holds of the same version and
    inputs are kept; those made from text alone are tried again. Rows of other instances stay.
    ``cache`` and ``repository_url`` stand in for the user's repository cache and the place to clone
    from. Raises ``UsageError``.
    """
    chosen = splits.load_instances(
        split, dataset_reader=dataset_reader, ids=instance_ids, filter=id_pattern, slice=id_slice
    )
    known_repos = _repository_cache(repos, say, cache, repository_url)
    if not output_file.name or output_file.is_dir():
        raise UsageError(f"--out {output_file} is a folder: name the file to write")
    before = feature_files.known_rows(output_file)
    kept = {one.id: before[one.id][0] for one in chosen if _is_current(one, before)}
    began = time.monotonic()
    _begin_file(output_file, before, chosen, kept)
    maker = _FeatureMaker(known_repos, FeatureStore(known_repos.folder / "features"), say)
    owed = [one for one in chosen if one.id not in kept]
    for number, instance in enumerate(owed, 1):
        features, how = maker.features(instance)
        line = feature_files.feature_line(features, input_key(instance))
        jsonl.append_line(output_file, line.rstrip("\n").encode(), durable=False)
        say(f"{number}/{len(owed)} {instance.id}: {how}")
    if judge is not None:
        _rate_issues(judge, chosen, output_file, say)
    counts = maker.origin_counts
    known = {
        "out": str(output_file),
        "version": features_version(),
        "instances": len(chosen),
        "kept": len(kept),
        **{name: counts[name] for name in ("made", "cached", "text_only", "without_history")},
        **(
            {} if judge is None else {"rated": judge.counts["rated"], "usd": float(judge.spent_usd)}
        ),
        "seconds": round(time.monotonic() - began, 1),
    }
    if counts["text_only"]:
        say(
            f"warning: {counts['text_only']} of {len(chosen)} instances have features of their"
            " text only, since their repository is missing; give it with --repos DIR and go on"
        )
    return CommandResult(
        facts=known, view=text_view("\n".join(f"{k}: {v}" for k, v in known.items()))
    )


def _repository_cache(
    repos: str, say: Say, folder: Path | None, repository_url: str | None
) -> RepoCache:
    """The user's repository cache, in another folder or cloning from elsewhere where asked."""
    cache = repo_cache(repos, say)
    if folder is not None:
        cache = replace(cache, folder=folder)
    if repository_url is not None:
        cache = replace(cache, sources=replace(cache.sources, url=repository_url))
    return cache


def _rate_issues(
    judge: IssueRater, instances: Sequence[Instance], output_file: Path, say: Say
) -> None:
    """Put a judge's ratings into the rows; its answers are durable, the file is replaced whole."""
    rows = feature_files.known_rows(output_file)
    if judge.in_batches:
        judge.rate_in_batches(instances)
    for number, instance in enumerate(instances, 1):
        row, key = rows[instance.id]
        rows[instance.id] = judge.with_ratings(instance, row.model_copy(update={"text": ""})), key
        say(f"{number}/{len(instances)} {instance.id}: ${judge.spent_usd:.4f} spent on ratings")
    feature_files.write_features(
        output_file, "".join(feature_files.feature_line(row, key) for row, key in rows.values())
    )
    if judge.counts["unrated"]:
        say(f"warning: {judge.counts['unrated']} of {len(instances)} instances are not rated")


def _is_current(instance: Instance, stored: Mapping[str, tuple[Features, str]]) -> bool:
    if instance.id not in stored:
        return False
    row, key = stored[instance.id]
    whole = "repo" in row.provenance.values()
    return whole and row.version == features_version() and key == input_key(instance)


def _begin_file(
    out: Path,
    stored: Mapping[str, tuple[Features, str]],
    instances: Sequence[Instance],
    kept: Mapping[str, Features],
) -> None:
    """The rows that stay, those asked for under the complexity that ships today."""
    asked = {one.id for one in instances}
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    lines = [
        feature_files.feature_line(with_score(row) if name in kept else row, key)
        for name, (row, key) in stored.items()
        if name in kept or name not in asked
    ]
    feature_files.write_features(out, "".join(lines))
