"""Name -> class: a table of our own, then entry points; the only dynamic import of the package."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from swe_router import moved, suggest
from swe_router.errors import UsageError

BUILT_IN: dict[str, dict[str, str]] = {
    "policies": {
        "advisor": "swe_router.policies.phased:Advisor",
        "arch-router": "swe_router.policies.rules.arch:ArchRouter",
        "automix": "swe_router.policies.cascades.automix:AutoMix",
        "avengers-pro": "swe_router.policies.predicted.utility:AvengersPro",
        "best-of-k": "swe_router.policies.ensembles.best_of:BestOf",
        "cascade": "swe_router.policies.cascade:Cascade",
        "cascade-routing": "swe_router.policies.cascades.cascade_routing:CascadeRouting",
        "chain": "swe_router.policies.rules.abstaining:ChainRouter",
        "conformal": "swe_router.policies.cascades.gate:ConformalGate",
        "doc-6.2": "swe_router.policies.rules.thresholds:FirstDesignRules",
        "doc-6.5": "swe_router.policies.baselines.random_mix:FirstDesignMix",
        "doc-6.6": "swe_router.policies.cascades.retry:FirstDesignCascade",
        "doc-a3": "swe_router.policies.rules.abstaining:FirstDesignAbstaining",
        "doc-a4": "swe_router.policies.rules.thresholds:FirstDesignScale",
        "fastc": "swe_router.policies.rules.abstaining:CentroidRouter",
        "fasttext": "swe_router.policies.predicted.threshold:FastTextPolicy",
        "finish-strong": "swe_router.policies.phased:FinishStrong",
        "fixed": "swe_router.policies.fixed:Fixed",
        "frugalgpt": "swe_router.policies.cascades.frugal:FrugalGpt",
        "hybrid-llm-det": "swe_router.policies.predicted.hybrid_llm:HybridLlmDeterministic",
        "hybrid-llm-prob": "swe_router.policies.predicted.hybrid_llm:HybridLlmProbabilistic",
        "hybrid-llm-trans": "swe_router.policies.predicted.hybrid_llm:HybridLlmTransformed",
        "ipr": "swe_router.policies.predicted.utility:IprRouter",
        "knn": "swe_router.policies.predicted.utility:KnnRouter",
        "llm-blender": "swe_router.policies.ensembles.best_of:LlmBlender",
        "llmrank": "swe_router.policies.predicted.llmrank:LlmRank",
        "mixllm": "swe_router.policies.bandits.mixllm:MixLlm",
        "mlp": "swe_router.policies.predicted.utility:MlpRouter",
        "ori": "swe_router.policies.predicted.utility:OriRouter",
        "pickllm-automaton": "swe_router.policies.bandits.pickllm:PickLlmAutomaton",
        "pickllm-q": "swe_router.policies.bandits.pickllm:PickLlmQ",
        "plan-execute": "swe_router.policies.phased:PlanExecute",
        "plug-in": "swe_router.policies.predicted.utility:PlugInRouter",
        "qc-opt": "swe_router.policies.bandits.qcopt:QcOpt",
        "random-mix": "swe_router.policies.baselines.random_mix:RandomMix",
        "ration": "swe_router.policies.ration:Ration",
        "retry": "swe_router.policies.cascades.retry:Retry",
        "routellm-bert": "swe_router.policies.predicted.routellm:RouteLlmBert",
        "routellm-causal": "swe_router.policies.predicted.routellm:RouteLlmCausal",
        "routellm-mf": "swe_router.policies.predicted.routellm:RouteLlmMatrix",
        "routellm-sw": "swe_router.policies.predicted.routellm:RouteLlmSimilarity",
        "routerbench-cascade": "swe_router.policies.cascades.evaluated:RouterBenchCascade",
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
        "own-issue": "swe_router.instances.own_issue:OwnIssue",
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
        "rubric": "swe_router.verifiers.rubric_check:RubricVerifier",
        "summary-bracket": "swe_router.verifiers.summary_bracket:SummaryBracketVerifier",
        "syntax": "swe_router.verifiers.syntax:SyntaxVerifier",
        "tournament": "swe_router.verifiers.tournament:TournamentVerifier",
    },
    "selectors": {
        "agentless": "swe_router.selectors.agentless:Agentless",
        "majority": "swe_router.selectors.majority:Majority",
        "oracle": "swe_router.selectors.oracle:Oracle",
        "pairwise": "swe_router.selectors.pairwise:Pairwise",
        "random": "swe_router.selectors.random_choice:RandomChoice",
        "test-pass-rate": "swe_router.selectors.test_pass_rate:TestPassRate",
    },
    "sandboxes": {
        "docker": "swe_router.sandboxes.docker:DockerSandboxes",
        "local": "swe_router.sandboxes.local:LocalSandboxes",
    },
}
"""Seam -> name -> ``module:Class``."""


class Seam(NamedTuple):
    """How a class of a seam is made, and the Protocol (``module:Class``) that it fits."""

    protocol: str
    positional_arguments: tuple[str, ...] = ()
    keyword_arguments: tuple[str, ...] = ()
    optional_keywords: tuple[str, ...] = ()
    """Keywords that only a class which names them is given."""


SEAMS = {
    "datasets": Seam("swe_router.datasets:Dataset"),
    "graders": Seam("swe_router.datasets:Grader", ("context",)),
    "models": Seam("swe_router.seams:Model", ("tier",), ("session", "key")),
    "policies": Seam("swe_router.seams:Policy", ("ladder",)),  # and its knobs
    "sandboxes": Seam(
        "swe_router.seams:SandboxFactory",
        ("settings",),
        ("run", "lock", "stopping"),
        ("start", "progress"),
    ),
    "scaffolds": Seam(
        "swe_router.seams:Scaffold", ("manifest",), ("command_timeout", "command_timeout_max")
    ),
    "selectors": Seam("swe_router.seams:Selector"),  # with its knobs alone
    "verifiers": Seam("swe_router.seams:Verifier", ("settings",)),
}
"""Seam -> what ``load_plugin`` holds a class from outside this package against."""
MAX_LISTED_NAMES = 12
"""Most names that an error lists."""


def plugin_names(seam: str, extra_classes: Mapping[str, str] | None = None) -> list[str]:
    """Every name that ``load_plugin`` knows for a seam, sorted."""
    outside = (point.name for point in entry_points(group=f"swe_router.{seam}"))
    return sorted({*(BUILT_IN[seam] if extra_classes is None else extra_classes), *outside})


def _suggestion(seam: str, name: str, known_classes: Mapping[str, str]) -> str:
    """What there is in the place of a wrong name: the near ones, all where they are few."""
    known = plugin_names(seam, known_classes)
    hint = suggest.did_you_mean_hint(name, known, count=3, min_ratio=0.5)
    if (
        len(known) <= MAX_LISTED_NAMES or seam != "policies"
    ):  # the one seam with a command of its own
        return f": there is {', '.join(known)}{hint}"
    return f"{hint or f' among the {len(known)} there are'} (`swe-router {seam}` lists all)"


def load_plugin(seam: str, name: str, extra_classes: Mapping[str, str] | None = None) -> Any:
    """The class behind a name, or behind ``module:Class``.

    ``extra_classes`` are looked up in the place of ``BUILT_IN``.

    Raises ``UsageError``: for an unknown name with the nearest right one, for a class that cannot
    be loaded or does not fit its Protocol with its package and what to mend.
    """
    extra_classes = BUILT_IN[seam] if extra_classes is None else extra_classes
    target = extra_classes.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    points = [point for point in entry_points(group=f"swe_router.{seam}") if point.name == name]
    if len({_package_of(point) for point in points}) > 1:
        packages = " and ".join(sorted(map(_package_of, points)))
        raise UsageError(f"{seam} plugin {name!r} is offered by {packages}: uninstall one of them")
    if not points and ":" not in name:
        raise UsageError(f"no {seam} plugin named {name!r}{_suggestion(seam, name, extra_classes)}")
    point = points[0] if points else EntryPoint(name, name, f"swe_router.{seam}")
    origin = f"{seam} plugin {name!r}" + (f" of {_package_of(point)}" if points else "")
    fix = "mend or uninstall the package" if points else "name another"
    try:
        kind = point.load()
    except Exception as error:  # the module of a stranger may raise anything when it is imported
        new = moved.new_place_of_import(error)
        raised = f"{type(error).__name__}: {error}" + (f"; it is now {new}" if new else "")
        raise UsageError(
            f"{origin} cannot be loaded from {point.value} ({raised}): {fix}"
        ) from error
    if faults := _protocol_faults(seam, kind):
        protocol = SEAMS[seam].protocol.replace(":", ".")
        raise UsageError(
            f"{origin} ({point.value}) does not fit {protocol}: {'; '.join(faults)}; {fix}"
        )
    return kind


def accepted_keywords(plugin_class: Any, optional_keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the optional keywords that the class takes when it is made."""
    parameters = _parameters(plugin_class)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return {
        key: value for key, value in optional_keywords.items() if takes_any or key in parameters
    }


def fault_owner(error: BaseException) -> str:
    """Whose code raised: ``swe-router's own``, or ``the package NAME VERSION`` of a plugin."""
    packages = {
        point.module.partition(".")[0]: _package_of(point)
        for seam in BUILT_IN
        for point in entry_points(group=f"swe_router.{seam}")
    }
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module in packages:
            return f"the package {packages[module]}"
        if module == __name__.partition(".")[0]:
            break
    return "swe-router's own"


def _parameters(called: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(called).parameters
    except (TypeError, ValueError):  # made in C: it does not tell
        return {}


def _package_of(entry_point: EntryPoint) -> str:
    """The package that registers an entry point, with its version."""
    return (
        f"{entry_point.dist.name} {entry_point.dist.version}"
        if entry_point.dist
        else "an unknown package"
    )


@lru_cache(maxsize=64)
def _protocol_faults(seam: str, plugin_class: Any) -> tuple[str, ...]:
    """What keeps a class of somebody else from being used as its seam says; empty for nothing."""
    if seam not in SEAMS:
        return ()
    if not isinstance(plugin_class, type):
        return (f"it is a {type(plugin_class).__name__} and no class",)
    wanted = SEAMS[seam]
    module, _, attribute = wanted.protocol.partition(":")
    protocol = getattr(importlib.import_module(module), attribute)
    found = []
    keywords = (
        *wanted.keyword_arguments,
        *accepted_keywords(plugin_class, dict.fromkeys(wanted.optional_keywords)),
    )
    if not _accepts_call(plugin_class, wanted.positional_arguments, keywords):
        call = ", ".join((*wanted.positional_arguments, *(f"{one}=…" for one in keywords)))
        found.append(f"it is made as {plugin_class.__name__}({call}) and does not take that")
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            found += _method_faults(plugin_class, name, inspect.signature(method))
    return tuple(found)


def _method_faults(
    plugin_class: type, method_name: str, protocol_signature: inspect.Signature
) -> list[str]:
    """What is amiss with one method of a class."""
    parameters = list(protocol_signature.parameters.values())[1:]
    keywords = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    call = f"{method_name}({', '.join((*positional, *(f'{one}=…' for one in keywords)))})"
    own = getattr(plugin_class, method_name, None)
    if not callable(own):
        return [f"it has no method {call}"]
    if inspect.iscoroutinefunction(own):
        return [f"{call} is async, and is called without await"]
    bound = isinstance(
        inspect.getattr_static(plugin_class, method_name), staticmethod | classmethod
    )
    if not _accepts_call(own, positional if bound else ["self", *positional], keywords):
        return [f"{call} is called, and it takes {inspect.signature(own)}"]
    return []


def _accepts_call(called: Any, positional: Sequence[str], keywords: Sequence[str]) -> bool:
    """Whether something can be called with so many arguments and these keywords."""
    try:
        inspect.signature(called).bind(*positional, **dict.fromkeys(keywords))
    except TypeError:
        return False
    except ValueError:  # made in C: it does not tell
        return True
    return True
