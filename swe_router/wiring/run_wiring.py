"""The objects of one run in one process, each made from its name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial

from swe_router import active_clock, plugins, recorded_verdicts
from swe_router.agents.manifest import Manifest
from swe_router.breaker import Breaker
from swe_router.codegraph.graph import CodeGraph
from swe_router.codegraph.repo_cache import RepoCache
from swe_router.codegraph.search import GraphSearch
from swe_router.grading import runner
from swe_router.journal import imported_candidates, run_inputs
from swe_router.journal.header import Header
from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.ledger import Hold, Ledger
from swe_router.models.batches.batched_model import BatchSeat
from swe_router.rate_limits import RatePacer
from swe_router.records import Arm, Features, Instance, Plan, digest_of
from swe_router.sandboxes import leak_audit, leak_guard, patch_application, patch_capture
from swe_router.seams import (
    AttemptContext,
    AttemptPhases,
    Model,
    Policy,
    SandboxFactory,
    Scaffold,
    Selector,
    VerificationContext,
    Verifier,
)
from swe_router.settings import Settings, Tier
from swe_router.solve.context import SolveContext
from swe_router.solve.verification import VerificationSetup
from swe_router.verifier_abilities import ModelRole
from swe_router.wiring import ensemble, phase_wiring, stop_loss, training_data
from swe_router.wiring.handover_limit import handover_limit
from swe_router.wiring.ledger_budget import LedgerBudget
from swe_router.wiring.models import ModelFactory
from swe_router.wiring.policy_wiring import build_policy, features_of
from swe_router.wiring.repositories import graph_of, repo_cache
from swe_router.wiring.sandbox_pools import SandboxPools
from swe_router.wiring.sandboxes import sandbox_factory
from swe_router.wiring.service_breaker import breaker_of, require_service, with_patience

Say = Callable[[str], None]


class RunWiring:
    """Everything that the instances of a run share in one process."""

    def __init__(self, run: RunFolder, header: Header, say: Say) -> None:
        self.run, self.header, self.say = run, header, say
        self.settings = header.settings
        self.seat: BatchSeat | None = None
        """The place in the lane of batches of the instance that is worked on."""

    def sleep(self, seconds: float) -> None:
        """Wait; where there is a lane, others may work meanwhile."""
        (self.seat.member.sleep if self.seat else time.sleep)(seconds)

    @cached_property
    def ledger(self) -> Ledger:
        """The run's only ledger."""
        return Ledger(
            self.run.ledger_file, self.settings.budget, run=self.run.seal(),
            stopping=self.run.stopping, sleep=self.sleep,
        )  # fmt: skip

    @cached_property
    def breaker(self) -> Breaker:
        """What is known of the services that are away, shared by all processes of the run."""
        return breaker_of(self.run, self.header, sleep=self.sleep)

    @cached_property
    def repos(self) -> RepoCache:
        """The bare repositories that routing, search and local sandboxes read."""
        images = self.header.sandbox == "docker"
        return repo_cache(self.settings.repos, self.say, images=images)

    @cached_property
    def sandboxes(self) -> SandboxFactory:
        """The factory of sandboxes."""
        return sandbox_factory(
            self.header.sandbox, self.settings.sandbox, self.repos, run=self.run.name,
            lock=self.run.lock_file, stopping=self.run.stopping, progress=self.say,
        )  # fmt: skip

    @cached_property
    def models(self) -> ModelFactory:
        """The factory of models, booked in the run's ledger."""
        return ModelFactory(
            self.settings, self.header.rates, lambda: self.ledger, self.run.stopping,
            lambda: self.breaker, lambda: self.pacer,
            lambda: with_patience(self.run, self.settings).tiers, lambda: self.seat,
        )  # fmt: skip

    @cached_property
    def pacer(self) -> RatePacer:
        """Keeps the calls of all workers to the rates of their tiers."""
        return RatePacer(
            self.run.path, stopping=self.run.stopping,
            stop_clock=self.breaker.stop_limit_clock, sleep=self.sleep,
        )  # fmt: skip

    @cached_property
    def sandbox_pools(self) -> SandboxPools:
        """The sandboxes of attempts and of verifiers."""
        return SandboxPools(self.run, self.header, lambda: self.sandboxes, self.breaker)

    @cached_property
    def verifiers(self) -> list[tuple[str, Verifier]]:
        """The verifier stack, in order."""
        verify = run_inputs.verify_settings(self.run, self.header)
        return [(n, plugins.load_plugin("verifiers", n)(verify)) for n in verify.names]

    @cached_property
    def manifest(self) -> Manifest:
        """The scaffold of the run, as it keeps it."""
        return run_inputs.stored_manifest(self.run, self.header)

    @cached_property
    def prompts(self) -> dict[str, str]:
        """The prompts of its verifiers, as the run folder keeps them."""
        assert self.verifiers is not None  # loaded first: their classes name the prompts
        asked = run_inputs.verifier_prompts(self.settings)
        found = run_inputs.stored_texts(self.run, self.header) if asked else {}
        return {name: found[f"prompt/{name}"] for name in asked}

    @cached_property
    def selector(self) -> Selector:
        """What chooses the candidate."""
        return ensemble.build_selector(self.settings)

    def policy(self) -> Policy:
        """The routing policy over the usable tiers, fitted when it learns."""
        return build_policy(self.header, self.run.instances())

    def features(self, instance: Instance, graph: CodeGraph | None) -> Features:
        """The features of an instance, with a judge's ratings where the policy uses them."""
        known = features_of(instance, graph, self.repos)
        return training_data.with_ratings(known, self.settings.policy.knobs)

    def graph(self, instance: Instance) -> CodeGraph | None:
        """The code graph at the base commit, or None when the repository cannot be read."""
        return graph_of(self.repos, instance, self.say)

    def log_of(self, instance: Instance) -> InstanceLog:
        """The durable log of an instance."""
        return InstanceLog(self.run.attempt_folder(instance.id))

    def settle_receipts(self, instance: Instance) -> None:
        """Settle calls whose answer is on disk but whose process died before settling them.

        To be called before the instance is continued.
        """
        receipts = list(self.log_of(instance).receipts())
        if receipts:
            self.ledger.figures()  # what dead processes left open is lost from here on
        lost = self.ledger.lost() if receipts else {}
        for receipt in receipts:
            if receipt.reservation in lost:
                self.ledger.reconcile(receipt.reservation, receipt.completion.usd)
            elif receipt.completion.service == "batch":
                self.ledger.batches.settle_kept(receipt.reservation, receipt.completion)

    def solve_context(
        self,
        instance: Instance,
        graph: CodeGraph | None,
        instances_left: int,
        progress: Callable[[str, str, int, str], None],
    ) -> SolveContext:
        """Everything for one instance."""
        search = None
        if graph is not None:
            repository = self.repos.path(instance)
            search = partial(GraphSearch, repository, graph, workdir=instance.workdir)
        came = imported_candidates.load_case(self.run.attempt_folder(instance.id))

        def held(tier: str) -> Callable[[str], None]:
            return lambda why: progress(instance.id, tier, 0, why)

        return SolveContext(
            imported=came.outcomes if came else (),
            foreign_peers=came.peers if came else (),
            budget=LedgerBudget(
                self.ledger,
                instances_left,
                instance.id,
                self.settings.limits.instance_usd,
                sleep=self.sleep,
            ),
            memory=self.log_of(instance),
            selector=self.selector,
            open_sandbox=self.sandbox_pools.for_attempts.open,
            verification=self._verification(instance, graph, held),
            before_verification=self.sandbox_pools.start_verifier_sandbox,
            guard_against_leaks=leak_guard.remove_leaks,
            snapshot=patch_capture.StartSnapshot.take,
            apply_patch=patch_application.apply_patch,
            audit_steps=leak_audit.audit_trajectory,
            scaffold_for=self._scaffold,
            model_for=partial(self._model, instance, held),
            phases_for=partial(self._phases, instance, held),
            require_reachable=self._require_reachable,
            attempt_context=lambda plan: replace(
                attempt_context_of(self.settings, plan),
                stop_loss=stop_loss.stop_loss_of_plan(self.header, plan),
            ),
            max_handover_bytes=partial(handover_limit, self.header),
            make_code_search=search,
            early_stop=self.settings.ensemble.early_stop,
            cross_evaluate=self.settings.ensemble.cross,
            clock=self.breaker.now,
            stopping=self.run.stopping,
            progress=progress,
        )

    def _verification(
        self,
        instance: Instance,
        graph: CodeGraph | None,
        report_wait: Callable[[str], Callable[[str], None]],
    ) -> VerificationSetup:
        """How the candidates of an instance are verified."""
        shared = VerificationContext(
            open_sandbox=(self.sandbox_pools.for_verifiers or self.sandbox_pools.for_attempts).open,
            apply=patch_application.apply_patch,
            graph=graph,
            clock=self.breaker.now,
            steps=self.log_of(instance).steps,
            notes=VerifierStore(self.run.attempt_folder(instance.id) / "notes.jsonl"),
            runner_hint=lambda: runner.runner_hint(
                self.settings.split, instance.id, self.settings.dataset
            ),
            prompts=self.prompts,
        )
        return VerificationSetup(
            context=shared,
            verifiers=self.verifiers,
            writer_for=self._verifier_model(instance, "writer", report_wait),
            judge_for=self._verifier_model(instance, "judge", report_wait),
            own_models=self._own_verifier_models(instance, report_wait),
            timeout_seconds=self.settings.verify.seconds,
            stopping=self.run.stopping,
            max_sandboxes=max(1, (os.cpu_count() or 1) // max(1, self.settings.workers)),
        )

    def _verifier_model(
        self,
        instance: Instance,
        role: ModelRole,
        report_wait: Callable[[str], Callable[[str], None]],
    ) -> Callable[[str], Model] | None:
        """Attempt id -> the model that verifiers ask in this role, if any of them does."""
        name = str(getattr(self.settings.verify, role))
        if not name or not recorded_verdicts.any_asks_role(self.settings.verify.names, role):
            return None

        def answers(attempt_id: str) -> Receipts:
            return Receipts(self.log_of(instance), f"{role}.{attempt_id}")

        return self.models.for_verifier(name, instance, answers, report_wait(name))

    def _own_verifier_models(
        self, instance: Instance, report_wait: Callable[[str], Callable[[str], None]]
    ) -> dict[tuple[str, ModelRole], Callable[[str], Model]]:
        """Verifier and role -> the same, for the tiers that ``verify.tiers`` names."""
        log, found = self.log_of(instance), {}
        for (verifier, role), tier in recorded_verdicts.own_tiers(self.settings.verify).items():
            # A verifier that a run names as ``module:Class`` is no file name.
            place = f"{role}-{digest_of(verifier)[:8]}"

            def answers(attempt_id: str, place: str = place) -> Receipts:
                return Receipts(log, f"{place}.{attempt_id}")

            model = self.models.for_verifier(tier, instance, answers, report_wait(tier))
            assert model is not None  # the tier has a name
            found[verifier, role] = model
        return found

    def _scaffold(self, arm: Arm) -> Scaffold:
        sheet, sandbox = self.manifest, self.settings.sandbox
        made: Scaffold = plugins.load_plugin("scaffolds", sheet.strategy)(
            sheet,
            command_timeout=sandbox.command_timeout,
            command_timeout_max=sandbox.command_timeout_max,
        )
        return made

    def _model(
        self,
        instance: Instance,
        report_wait: Callable[[str], Callable[[str], None]],
        plan: Plan,
        session: str,
        hold: Hold,
    ) -> Model:
        return self._model_of_tier(instance, report_wait, plan, session, hold, plan.arm.model)

    def _model_of_tier(
        self,
        instance: Instance,
        report_wait: Callable[[str], Callable[[str], None]],
        plan: Plan,
        session: str,
        hold: Hold,
        tier: str,
    ) -> Model:
        """The model of a tier that makes calls in an attempt: of its arm, or of a phase."""
        attempt_id = hold.key.removeprefix(f"{instance.id}/")
        return self.models.for_attempt(
            tier,
            instance,
            session,
            phase_wiring.share_of(self.ledger, hold, plan, tier),
            Receipts(self.log_of(instance), attempt_id, among_steps=True),
            report_wait(tier),
            plan.budget.seconds,
            of_phase=tier != plan.arm.model,
        )

    def _phases(
        self,
        instance: Instance,
        report_wait: Callable[[str], Callable[[str], None]],
        plan: Plan,
        session: str,
        hold: Hold,
        work_plan: str,
    ) -> AttemptPhases | None:
        model = partial(self._model_of_tier, instance, report_wait, plan, session, hold)
        return phase_wiring.phases_of_plan(
            self.header, plan, attempt_context_of, work_plan=work_plan, model=model
        )

    def _require_reachable(self, plan: Plan) -> None:
        first = [phase.tier for phase in plan.phases if phase.role == "planner"]
        for tier in (*first, plan.arm.model):
            require_service(self.breaker, tier)


def attempt_context_of(settings: Settings, plan: Plan) -> AttemptContext:
    """The part of an attempt's context that its tier sets; ``SolveContext`` adds the rest."""
    tier = settings.tiers[plan.arm.model]
    return AttemptContext(
        record=lambda step: None,
        clock=active_clock.now,
        window=tier.window,
        max_output_tokens=tier.max_output_tokens,
        timeout=tier.timeout,
        text_tools=tier.tools == "text",
        image_tokens=tier.image_tokens,
        temperature=_temperature_for(tier, plan),
    )


def _temperature_for(tier: Tier, plan: Plan) -> float | None:
    """The plan's own, only where the tier takes one: some providers refuse the parameter."""
    wished = tier.temperature is not None and plan.temperature is not None
    return plan.temperature if wished else tier.temperature
