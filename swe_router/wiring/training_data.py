"""Training data of a learning policy in a live run: recorded outcomes, named in its knobs.

``--policy-set outcomes=FILE features=FILE systems.TIER=SYSTEM verifier=PRESET`` are settings of the
fit, not knobs of the policy. No policy is fitted on the repository of an issue that it decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import suggest
from swe_router.errors import UsageError
from swe_router.features import feature_files
from swe_router.features.extraction_steps import extract_features
from swe_router.instances import splits
from swe_router.lazy_imports import deferred_module
from swe_router.outcomes.tables.issue_data import repository_of
from swe_router.policy_abilities import HasLadder, HasName, Learner, needs_of
from swe_router.records import Example, Features, Instance, RecordedRun
from swe_router.records.known_features import require_values
from swe_router.seams import Policy

if TYPE_CHECKING:
    import swe_router.outcomes.tables.table as tables
    from swe_router.estimates.prediction import training
    from swe_router.outcomes.importers import forms
    from swe_router.outcomes.simulation import cross_fitting, verifier_model
    from swe_router.outcomes.tables import shipped
else:
    training = deferred_module("swe_router.estimates.prediction.training")
    verifier_model = deferred_module("swe_router.outcomes.simulation.verifier_model")
    cross_fitting = deferred_module("swe_router.outcomes.simulation.cross_fitting")
    shipped = deferred_module("swe_router.outcomes.tables.shipped")
    forms = deferred_module("swe_router.outcomes.importers.forms")
    tables = deferred_module("swe_router.outcomes.tables.table")

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainingSources:
    """The reserved settings."""

    outcomes: str = ""
    """Outcome table; empty is the one that ships."""
    features: str = ""
    """Features file, split or instances file of the table's issues; several with commas."""
    systems: Mapping[str, str] = field(default_factory=dict)
    """Tier -> system of the table."""
    verifier: str = "hybrid"
    """Preset or rates of the verifier whose verdicts the live run will see."""

    @property
    def given_names(self) -> list[str]:
        """Names of what was asked for."""
        return [name for name in ("outcomes", "features", "systems", "verifier")
                if getattr(self, name) != getattr(TrainingSources(), name)]  # fmt: skip


def split_knobs(knobs: Mapping[str, Any]) -> tuple[dict[str, Any], TrainingSources]:
    """A policy's own knobs, and what its fit is asked to read."""
    own, systems = dict(knobs), {}
    nested = own.pop("systems", {})
    if not isinstance(nested, Mapping):
        raise UsageError("write systems.TIER=SYSTEM: which system of the outcomes a tier is like")
    systems.update({str(tier): str(name) for tier, name in nested.items()})
    for key in [key for key in own if key.startswith("systems.")]:
        systems[key.removeprefix("systems.")] = str(own.pop(key))
    texts = {name: str(own.pop(name)) for name in ("outcomes", "features", "verifier")
             if name in own}  # fmt: skip
    return own, TrainingSources(systems=systems, **texts)


def fit_policy(
    policy: Any, sources: TrainingSources, issues: Sequence[Instance], say: Say
) -> Policy:
    """The policy, fitted when it learns. Raises ``UsageError`` that says what is missing.

    With issues of the table's repositories in the run, one fit for each of these repositories,
    made without it.
    """
    name = policy.name if isinstance(policy, HasName) else type(policy).__name__
    if not isinstance(policy, Learner):
        rest = [one for one in sources.given_names if one != "features" or not needs_of(policy)]
        if rest:
            raise UsageError(
                f"policy {name!r} learns from no outcomes: it has no knob"
                f" {', '.join(map(repr, rest))}"
            )
        made: Policy = policy
        return made
    if not isinstance(policy, HasLadder):
        raise UsageError(f"policy {name!r} learns: its class must keep its plans as `ladder`")
    arms = tuple(str(plan.arm) for plan in policy.ladder)
    examples, notice = _training_examples(
        sources.outcomes,
        sources.features,
        tuple(sources.systems.items()),
        sources.verifier,
        arms,
        _modified_times(sources),
    )
    say(f"policy {name}: {notice}")
    known = {example.group for example in examples}
    mine = sorted({one.repo for one in issues})
    try:
        if known.isdisjoint(mine):
            alone: Policy = policy.fitted(examples)
            return alone
        return cross_fitting.by_fold(policy, examples, cross_fitting.by_repository, mine)
    except UsageError as error:
        message = str(error)
        raise UsageError(
            f"policy {name!r} {message}" if message.startswith("needs") else message
        ) from None


def training_of_ladder(
    sources: TrainingSources, arms: Sequence[str], issues: Sequence[Instance]
) -> tuple[training.Training, str]:
    """The training examples for a ladder without the repositories of ``issues``, and a notice."""
    examples, notice = _training_examples(
        sources.outcomes,
        sources.features,
        tuple(sources.systems.items()),
        sources.verifier,
        tuple(arms),
        _modified_times(sources),
    )
    mine = {one.repo for one in issues}
    return training.make_training([one for one in examples if one.group not in mine], arms), notice


def with_ratings(features: Features, knobs: Mapping[str, Any]) -> Features:
    """With a judge's ratings of the issue (``judge.…``) from the policy's features file."""
    sources = str(knobs.get("features", ""))
    modified_times = _modified_times(TrainingSources(features=sources))
    known = (
        _issue_features(sources, modified_times[1:]).get(features.instance_id) if sources else None
    )
    ratings = (
        {k: v for k, v in require_values(known).items() if k.startswith("judge.")} if known else {}
    )
    if not ratings:
        return features
    origin = {**features.provenance, **dict.fromkeys(ratings, "judge")}
    return features.model_copy(
        update={"values": {**require_values(features), **ratings}, "provenance": origin}
    )


@lru_cache(maxsize=8)
def _training_examples(
    outcomes: str, features: str, systems: tuple[tuple[str, str], ...], verifier: str,
    arms: tuple[str, ...], modified_times: tuple[int, ...],
) -> tuple[tuple[Example, ...], str]:  # fmt: skip
    """Read once for the same files; ``modified_times`` tell when they were changed."""
    known = forms.read_table(Path(outcomes)) if outcomes else shipped.shipped_table()
    stand = systems_of_arms(known, dict(systems), arms)
    verifier_rates = verifier_model.parse_verifier_model(verifier)
    features_of = _issue_features(features, modified_times[1:]) if features else {}
    ids = [one for one in known.instances
           if all((one, system) in known.runs for system in stand.values())]  # fmt: skip
    chosen = [one for one in ids if one in features_of] if features else ids
    if not chosen:
        where = outcomes or "the shipped table"
        missing = f"; {features} has none of its issues" if features and ids else ""
        raise UsageError(f"{where} has no issue with a run of each system"
                         f" ({', '.join(stand.values())}){missing}")  # fmt: skip
    made = tuple(
        Example(
            features=features_of.get(one) or Features(instance_id=one, repo=repository_of(one)),
            runs={arm: tuple(_arm_result(row, verifier_rates) for row in known.runs[(one, system)])
                  for arm, system in stand.items()},
        )
        for one in chosen
    )  # fmt: skip
    stands = ", ".join(f"{arm} = {system}" for arm, system in stand.items())
    bare = "" if features else "; no features=FILE, so it knows means, nothing of an issue"
    where = Path(outcomes).name if outcomes else "the shipped outcomes"
    return made, f"fitted on {len(made)} issues of {where}, {stands}{bare}"


def _modified_times(sources: TrainingSources) -> tuple[int, ...]:
    paths = [Path(part.strip()) for part in (sources.outcomes, *sources.features.split(","))]
    return tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)


def _arm_result(row: tables.OutcomeRow, verifier: verifier_model.VerifierModel) -> RecordedRun:
    return RecordedRun(resolved=row.resolved, usd=row.usd, steps=row.steps, seconds=row.seconds,
                 passes=verifier.passes(row), probability=verifier.probability(row))  # fmt: skip


def systems_of_arms(
    known_outcomes: tables.OutcomeTable, named: Mapping[str, str], arms: Sequence[str]
) -> dict[str, str]:
    """Arm -> system; arms without a named one by rank of resolve rate, the cheapest first."""
    for tier in named:
        if tier not in arms:
            hint = suggest.did_you_mean_hint(tier, arms)
            raise UsageError(f"systems.{tier}: the ladder is {', '.join(arms)}{hint}")
    rates: dict[str, list[bool]] = {}
    for row in known_outcomes.rows:
        if row.usd is not None:
            rates.setdefault(row.system, []).append(row.resolved)
    ranked = sorted(rates, key=lambda name: (sum(rates[name]) / len(rates[name]), name))
    if not ranked:
        raise UsageError(f"no run of {known_outcomes.source} has a cost")
    step = (len(ranked) - 1) / max(1, len(arms) - 1)
    places = [round(n * step) if len(arms) > 1 else len(ranked) - 1 for n in range(len(arms))]
    return {arm: known_outcomes.system_named(named[arm]) if arm in named else ranked[place]
            for arm, place in zip(arms, places, strict=True)}  # fmt: skip


@lru_cache(maxsize=4)
def _issue_features(sources: str, modified_times: tuple[int, ...]) -> Mapping[str, Features]:
    """Features by issue: values from features files, texts from splits and instance files."""
    found: dict[str, Features] = {}
    for source in filter(None, (part.strip() for part in sources.split(","))):
        for new in _read_features(source):
            old = found.get(new.instance_id, new)
            values, text = {**require_values(new), **require_values(old)}, old.text or new.text
            found[new.instance_id] = old.model_copy(update={"values": values, "text": text})
    return found


def _read_features(source: str) -> list[Features]:
    path = Path(source)
    if path.is_file() and path.suffix == ".jsonl":
        with path.open(encoding="utf-8-sig") as file:
            if '"values"' in file.readline():
                return feature_files.read_features(path)
    return [extract_features(one, None) for one in splits.load_instances(source)]
