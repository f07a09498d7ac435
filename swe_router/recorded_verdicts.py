"""What recorded verdicts show, by asking the verifier of their name; an absent one shows nothing.

Selectors, reports, calibrations and replays see verdicts without the objects that made them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import ValidationError

from swe_router import plugins
from swe_router.errors import UsageError, VerifierError
from swe_router.records import Verdict
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import (
    EvidenceRecord,
    FillsMatrix,
    GivesSignals,
    GivesSignalsAmong,
    JudgesText,
    ModelRole,
    RescoresVerdicts,
    ShowsRuns,
    SummarisesVerdicts,
    TestCell,
    TypesEvidence,
    VerdictSummary,
    VerifierTraits,
    traits_of,
)

Record = TypeVar("Record", bound=EvidenceRecord)

EMPTY_SUMMARY = VerdictSummary()


def verifier_named(name: str) -> Any:
    """The verifier under the default settings; None where no package here offers the name.

    Code that a run folder names as ``module:Class`` is not imported here: what loads it asks
    first whether the folder is trusted.
    """
    if ":" in name and name.partition(":")[0] not in sys.modules:
        return None
    return _verifier_instance(name)


@lru_cache(maxsize=64)
def _verifier_instance(name: str) -> Any:
    try:
        return plugins.load_plugin("verifiers", name)(VerifySettings())
    except UsageError:
        return None


def traits_named(name: str) -> VerifierTraits:
    """Traits of the verifier of that name; the defaults where it is absent."""
    return traits_of(verifier_named(name))


def evidence_of(verdict: Verdict) -> EvidenceRecord:
    """The evidence as the typed record of its verifier; a plain one where that has none.

    Raises ``VerifierError`` for evidence that does not fit, of a newer version for example.
    """
    verifier = verifier_named(verdict.verifier)
    kind = verifier.evidence_type if isinstance(verifier, TypesEvidence) else EvidenceRecord
    return read_evidence(kind, verdict)


def read_evidence(evidence_type: type[Record], verdict: Verdict) -> Record:
    """The evidence as a record of this type. Raises ``VerifierError`` where it does not fit."""
    try:
        return evidence_type.model_validate(verdict.evidence)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise VerifierError(
            f"evidence of {verdict.verifier!r} is no {evidence_type.__name__}: {where}:"
            f" {first['msg']}"
        ) from error


def is_decisive_fail(verdict: Verdict) -> bool:
    """A fact that no further look can outweigh."""
    return verdict.outcome == "fail" and traits_named(verdict.verifier).decisive


def cells_of(verdict: Verdict) -> tuple[TestCell, ...]:
    """The runs of a verdict that enter the matrix."""
    verifier = verifier_named(verdict.verifier)
    return tuple(verifier.cells(verdict)) if isinstance(verifier, FillsMatrix) else ()


def summary_of(verdict: Verdict) -> VerdictSummary:
    """What the verdict's evidence shows."""
    verifier = verifier_named(verdict.verifier)
    return verifier.summary(verdict) if isinstance(verifier, SummarisesVerdicts) else EMPTY_SUMMARY


def signals_of(verdict: Verdict, verdicts: Sequence[Verdict], author: str) -> dict[str, float]:
    """The signals that a verdict gives, those apart that are no finite number.

    Raises ``VerifierError`` that names the verifier when it fails over its own verdict.
    """
    verifier = verifier_named(verdict.verifier)
    found: Mapping[str, float]
    try:
        if isinstance(verifier, GivesSignalsAmong):
            found = verifier.signals_among(verdict, verdicts, author)
        elif isinstance(verifier, GivesSignals):
            found = verifier.signals(verdict)
        else:
            return {}
        return {str(n): float(v) for n, v in found.items() if math.isfinite(float(v))}
    except Exception as error:  # a third party's code may raise anything
        reported = f"{type(error).__name__}: {error}"
        raise VerifierError(
            f"verifier {verdict.verifier!r} gives no signals: {reported}"
        ) from error


def shows_a_run(verdict: Verdict, author: str) -> bool:
    """Whether the verdict shows that something ran, the author's own tests apart."""
    verifier = verifier_named(verdict.verifier)
    if isinstance(verifier, ShowsRuns):
        return verifier.ran(verdict, author)
    return traits_of(verifier).runs_tests and verdict.outcome in ("pass", "fail")


def rescored_verdict(verdict: Verdict, author: str, repo: str, calibration: Any) -> Verdict:
    """The verdict under another calibration; as it is where that changes nothing."""
    verifier = verifier_named(verdict.verifier)
    if isinstance(verifier, RescoresVerdicts):
        return verifier.rescored(verdict, author, repo, calibration)
    return verdict


def asked_tiers(verify: VerifySettings) -> dict[str, tuple[str, ...]]:
    """Verifier -> the tiers that it asks, where the settings name one for a role of its."""
    found: dict[str, tuple[str, ...]] = {}
    for name, _, tier, _ in _asked_roles(verify):
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), tier)))
    return found


def asked_prompts(verify: VerifySettings) -> list[str]:
    """Prompts that the verifiers give to the models that the settings name."""
    found: dict[str, None] = {}
    for _, _, _, prompts in _asked_roles(verify):
        found |= dict.fromkeys([prompts] if isinstance(prompts, str) else prompts)
    return [prompt for prompt in found if prompt]


def own_tiers(verify: VerifySettings) -> dict[tuple[str, ModelRole], str]:
    """Verifier and role -> the tier that ``verify.tiers`` names for them."""
    return {
        (name, role): tier
        for name, role, tier, _ in _asked_roles(verify)
        if verify.tiers.get(name, {}).get(role)
    }


def any_asks_role(names: Iterable[str], role: ModelRole) -> bool:
    """Whether one of the verifiers asks the model of this role."""
    return any(role in (traits_named(name).asks or {}) for name in names)


def any_trait(names: Iterable[str], trait: Callable[[VerifierTraits], bool]) -> bool:
    """Whether one of the verifiers has a trait."""
    return any(trait(traits_named(name)) for name in names)


def fails_by_text(patch: str, names: Iterable[str]) -> bool:
    """Whether one of the verifiers refuses a patch for its text alone."""
    verifiers = (verifier_named(name) for name in names)
    return any(isinstance(one, JudgesText) and one.fails_by_text(patch) for one in verifiers)


def _asked_roles(
    verify: VerifySettings,
) -> Iterator[tuple[str, ModelRole, str, str | Sequence[str]]]:
    """Verifier, role, tier and prompts of each role that a tier is named for; roles in order."""
    roles: tuple[ModelRole, ...] = ("writer", "judge")
    for role in roles:
        for name in verify.names:
            asks = traits_named(name).asks or {}
            tier = verify.tier_of(name, role)
            if role in asks and tier:
                yield name, role, tier, asks[role]
