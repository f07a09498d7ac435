"""Name -> class: a table of our own, then entry points; the only dynamic import of the package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from swe_router import suggest
from swe_router.errors import UsageError

BUILT_IN: dict[str, dict[str, str]] = {
    "policies": {
        "arch-router": "swe_router.policies.rules.arch:ArchRouter",
        "automix": "swe_router.policies.cascades.automix:AutoMix",
        "avengers-pro": "swe_router.policies.predicted.utility:Avengers",
        "best-of-k": "swe_router.policies.ensembles.best_of:BestOf",
        "cascade": "swe_router.policies.cascade:Cascade",
        "cascade-routing": "swe_router.policies.cascades.cascade_routing:CascadeRouting",
        "chain": "swe_router.policies.rules.abstaining:Chain",
        "conformal": "swe_router.policies.cascades.gate:Gate",
        "doc-6.2": "swe_router.policies.rules.thresholds:Document62",
        "doc-6.5": "swe_router.policies.baselines.random_mix:Document65",
        "doc-6.6": "swe_router.policies.cascades.retry:Document66",
        "doc-a3": "swe_router.policies.rules.abstaining:DocumentA3",
        "doc-a4": "swe_router.policies.rules.thresholds:A4",
        "fastc": "swe_router.policies.rules.abstaining:Centroid",
        "fasttext": "swe_router.policies.predicted.threshold:FastText",
        "fixed": "swe_router.policies.fixed:Fixed",
        "frugalgpt": "swe_router.policies.cascades.frugal:Frugal",
        "hybrid-llm-det": "swe_router.policies.predicted.hybrid_llm:Deterministic",
        "hybrid-llm-prob": "swe_router.policies.predicted.hybrid_llm:Probabilistic",
        "hybrid-llm-trans": "swe_router.policies.predicted.hybrid_llm:Transformed",
        "ipr": "swe_router.policies.predicted.utility:Ipr",
        "knn": "swe_router.policies.predicted.utility:Neighbours",
        "llm-blender": "swe_router.policies.ensembles.best_of:Blender",
        "llmrank": "swe_router.policies.predicted.llmrank:LlmRank",
        "mixllm": "swe_router.policies.bandits.mixllm:MixLlm",
        "mlp": "swe_router.policies.predicted.utility:Network",
        "ori": "swe_router.policies.predicted.utility:Ori",
        "pickllm-automaton": "swe_router.policies.bandits.pickllm:Automaton",
        "pickllm-q": "swe_router.policies.bandits.pickllm:QLearner",
        "plug-in": "swe_router.policies.predicted.utility:PlugIn",
        "qc-opt": "swe_router.policies.bandits.qcopt:QcOpt",
        "random-mix": "swe_router.policies.baselines.random_mix:RandomMix",
        "ration": "swe_router.policies.ration:Ration",
        "retry": "swe_router.policies.cascades.retry:Retry",
        "routellm-bert": "swe_router.policies.predicted.routellm:ThreeClasses",
        "routellm-causal": "swe_router.policies.predicted.routellm:CausalRating",
        "routellm-mf": "swe_router.policies.predicted.routellm:MatrixFactorisation",
        "routellm-sw": "swe_router.policies.predicted.routellm:SimilarityWeighted",
        "routerbench-cascade": "swe_router.policies.cascades.evaluated:Evaluated",
        "rules": "swe_router.policies.rules.thresholds:RulesPolicy",
        "semantic-router": "swe_router.policies.rules.abstaining:SemanticRouter",
        "strong-retry": "swe_router.policies.cascades.retry:StrongRetry",
        "threshold": "swe_router.policies.predicted.threshold:ThresholdPolicy",
        "wide-mlp": "swe_router.policies.rules.abstaining:WideMlp",
        "zero-router": "swe_router.policies.baselines.zero_router:ZeroRouter",
    },
    "datasets": {
        "swe-bench": "swe_router.instances.swebench:SweBench",
        "harbor": "swe_router.instances.harbor:HarborFolder",
        "multi-swe-bench": "swe_router.instances.multi_swe_bench:MultiSwebench",
        "swe-bench-live": "swe_router.instances.swebench_live:SwebenchLive",
        "swe-bench-multimodal": "swe_router.instances.swebench_multimodal:SwebenchMultimodal",
        "swe-bench-pro": "swe_router.instances.swebench_pro:SwebenchPro",
        "swe-gym": "swe_router.instances.swe_gym:SweGym",
        "swe-rebench": "swe_router.instances.swe_rebench:SweRebench",
        "swe-smith": "swe_router.instances.swe_smith:SweSmith",
    },
    "graders": {},  # in ``grading.graders``: nothing outside of that room can load one by name
    "models": {
        "anthropic": "swe_router.models.anthropic:AnthropicModel",
        "openai": "swe_router.models.openai:OpenAIModel",
        "vllm": "swe_router.models.openai:VllmModel",
        "cassette": "swe_router.models.cassette:CassetteModel",
        "scripted": "swe_router.models.scripted:ScriptedModel",
    },
    "scaffolds": {"tool-loop": "swe_router.agents.tool_loop:ToolLoop"},
    "verifiers": {
        "acceptance": "swe_router.verifiers.acceptance:AcceptanceVerifier",
        "agreement": "swe_router.verifiers.agreement:AgreementVerifier",
        "applies": "swe_router.verifiers.applies:AppliesVerifier",
        "behaviour": "swe_router.verifiers.behaviour:BehaviourVerifier",
        "judge": "swe_router.verifiers.judge:JudgeVerifier",
        "repo-tests": "swe_router.verifiers.repo_tests:RepoTestsVerifier",
        "reproduction": "swe_router.verifiers.reproduction.reproduction:ReproductionVerifier",
        "syntax": "swe_router.verifiers.syntax:SyntaxVerifier",
    },
    "selectors": {
        "agentless": "swe_router.selectors.agentless:Agentless",
        "majority": "swe_router.selectors.majority:Majority",
        "oracle": "swe_router.selectors.oracle:Oracle",
        "pairwise": "swe_router.selectors.pairwise:Pairwise",
        "random": "swe_router.selectors.random_choice:RandomPick",
        "test-pass-rate": "swe_router.selectors.test_pass_rate:TestPassRate",
    },
    "sandboxes": {
        "docker": "swe_router.sandboxes.docker:DockerSandboxes",
        "local": "swe_router.sandboxes.local:LocalSandboxes",
    },
}
"""Seam -> name -> ``module:Class``."""
FEW_NAMES = 12
"""Most names that an error lists."""


def names(seam: str, own: Mapping[str, str] | None = None) -> list[str]:
    """Every name that ``load`` knows for a seam, sorted."""
    outside = (point.name for point in entry_points(group=f"swe_router.{seam}"))
    return sorted({*(BUILT_IN[seam] if own is None else own), *outside})


def _instead(seam: str, name: str, own: Mapping[str, str]) -> str:
    """What there is in the place of a wrong name: the near ones, all where they are few."""
    known = names(seam, own)
    hint = suggest.hint(name, known, count=3, likeness=0.5)
    if len(known) <= FEW_NAMES or seam != "policies":  # the one seam with a command of its own
        return f": there is {', '.join(known)}{hint}"
    return f"{hint or f' among the {len(known)} there are'} (`swe-router {seam}` lists all)"


def load(seam: str, name: str, own: Mapping[str, str] | None = None) -> Any:
    """The class behind a name, or behind ``module:Class``; ``own`` in the place of ``BUILT_IN``.

    Raises ``UsageError`` with the nearest right name.
    """
    own = BUILT_IN[seam] if own is None else own
    target = own.get(name)
    if target is None:
        points = [point for point in entry_points(group=f"swe_router.{seam}") if point.name == name]
        if points:
            return points[0].load()
        target = name if ":" in name else None
    if target is None:
        raise UsageError(f"no {seam} plugin named {name!r}{_instead(seam, name, own)}")
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UsageError(
            f"{seam} plugin {name!r} cannot be loaded from {target}: {error}"
        ) from None
