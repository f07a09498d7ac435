"""The verifier stack without a run: sandboxes, graph, verifiers and, if asked, a model."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import __version__, active_clock, plugins, recorded_verdicts, suggest
from swe_router.breaker import Breaker, Patience
from swe_router.candidates.joining import InstanceCase
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import calibration
from swe_router.grading import runner
from swe_router.journal.verifier_store import VerifierStore
from swe_router.lazy_imports import deferred_module
from swe_router.ledger import Ledger
from swe_router.models import tier_checks
from swe_router.rate_limits import RatePacer
from swe_router.records import Instance, Outcome, digest_of
from swe_router.sandboxes import patch_application
from swe_router.sandboxes.warm_pool import WarmSandboxes
from swe_router.seams import Model, VerificationContext, Verifier
from swe_router.settings import PACE_SETTINGS, Settings
from swe_router.solve.verification import VerificationSetup, verify_together
from swe_router.wiring import preflight
from swe_router.wiring.repositories import graph_of, repo_cache
from swe_router.wiring.sandboxes import sandbox_factory

if TYPE_CHECKING:
    import swe_router.wiring.models as model_wiring
else:
    model_wiring = deferred_module("swe_router.wiring.models")

Say = Callable[[str], None]


class StandaloneVerification:
    """What candidates are verified with, shared by the threads of one process.

    ``place``: a folder of this call alone; ``lock``: a file in it, held while the process lives;
    ``sandboxes`` replaces the factory of the settings; ``cores`` are what one instance may use.
    Raises ``UsageError`` for a verifier, a sandbox, a tier or a key that is not available.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run_name: str,
        folder: Path,
        lock_file: Path,
        say: Say,
        stopping: Callable[[], bool],
        sandboxes: Any = None,
        cores: int = 1,
    ) -> None:
        self.settings, self.run_name, self._say, self._stopping = settings, run_name, say, stopping
        self._place, self._lock, self._cores = folder, lock_file, cores
        for one in settings.verify.names:
            plugins.load_plugin("verifiers", one)
        self.sandbox = preflight.sandbox_kind(settings) if sandboxes is None else "given"
        self.repos = repo_cache(settings.repos, say, images=self.sandbox == "docker")
        self._sandboxes = sandboxes
        self.ledger = Ledger(folder / "ledger.jsonl", settings.budget, stopping=stopping)
        self._rates = {
            tier: tier_checks.rate_of(
                tier,
                require_tier(settings, tier),
                settings.prices,
                _price_date(settings),
            )
            for tier in _named_tiers(settings)
        }

    @cached_property
    def breaker(self) -> Breaker:
        """Waits once for an unreachable tier, then gives it up: its verdicts become ``unknown``.

        Verdicts made before are kept; each row shows which are missing.
        """
        usual = Patience(**self.settings.breaker.model_dump())
        made = Breaker(self._place, lambda name: usual, stopping=self._stopping, notify=self._say)
        made.forget()
        return made

    @cached_property
    def sandboxes(self) -> Any:
        """The factory of sandboxes."""
        if self._sandboxes is not None:
            return self._sandboxes
        return sandbox_factory(
            self.sandbox, self.settings.sandbox, self.repos, run=self.run_name, lock=self._lock,
            stopping=self._stopping, progress=self._say,
        )  # fmt: skip

    @cached_property
    def models(self) -> model_wiring.ModelFactory:
        """The factory of models, booked in this call's own ledger."""
        return model_wiring.ModelFactory(
            self.settings, self._rates, lambda: self.ledger, self._stopping, lambda: self.breaker,
            lambda: self.pacer,
        )  # fmt: skip

    @cached_property
    def pacer(self) -> RatePacer:
        """Keeps the calls to the rates of their tiers."""
        stop_clock = self.breaker.stop_limit_clock
        return RatePacer(self._place, stopping=self._stopping, stop_clock=stop_clock)

    @cached_property
    def warm_pool(self) -> WarmSandboxes | None:
        """Sandboxes that are started ahead, where that saves time."""
        ahead = self.settings.sandbox.warm
        if self.sandbox != "docker" or not ahead:
            return None
        return WarmSandboxes(self.sandboxes, ahead=ahead * self._cores, stopping=self._stopping)

    def close(self) -> None:
        """Remove every idle sandbox."""
        if self.warm_pool is not None:
            self.warm_pool.close()

    @cached_property
    def verifiers(self) -> list[tuple[str, Verifier]]:
        """The verifiers, in order."""
        verify = self.settings.verify
        return [(n, plugins.load_plugin("verifiers", n)(verify)) for n in verify.names]

    def digest(self) -> str:
        """SHA-256 over everything but the candidates that a verdict depends on."""
        verify = self.settings.verify
        models = {
            name: self.settings.tiers[name].model_dump(mode="json", exclude=set(PACE_SETTINGS))
            for name in sorted(_named_tiers(self.settings))
        }
        sandbox = self.settings.sandbox.model_dump(mode="json", exclude={"pull", "kind", "warm"})
        # By its content: a calibration is fitted anew under the same name.
        fitted = calibration.load_calibration(verify.calibration)
        weights = fitted.digest if fitted is not None else ""
        inputs = [
            __version__,
            verify.model_dump(mode="json"),
            weights,
            models,
            self.sandbox,
            sandbox,
        ]
        return digest_of(inputs)

    def verify_case(
        self,
        instance: Instance,
        case: InstanceCase,
        on_verifier_start: Callable[[str, str], None],
        on_candidate_verified: Callable[[Outcome], None] = lambda outcome: None,
    ) -> tuple[Outcome, ...]:
        """Every candidate of a case, verified; see ``verification.verify_together``."""
        verify = self.settings.verify
        shared = VerificationContext(
            open_sandbox=(self.warm_pool or self.sandboxes).open,
            apply=patch_application.apply_patch,
            graph=graph_of(self.repos, instance, self._say),
            clock=active_clock.now,
            steps=lambda attempt_id: case.steps.get(attempt_id, ()),
            notes=VerifierStore(self._place / "notes" / f"{instance.id}.jsonl"),
            runner_hint=lambda: runner.runner_hint(
                self.settings.split, instance.id, self.settings.dataset
            ),
        )
        made = VerificationSetup(
            context=shared,
            verifiers=self.verifiers,
            writer_for=self._verifier_model(verify.writer, instance),
            judge_for=self._verifier_model(verify.judge, instance),
            own_models={
                key: model
                for key, tier in recorded_verdicts.own_tiers(verify).items()
                if (model := self._verifier_model(tier, instance)) is not None
            },
            timeout_seconds=verify.seconds,
            stopping=self._stopping,
            max_sandboxes=self._cores,
            on_verifier_start=on_verifier_start,
            on_candidate_verified=on_candidate_verified,
        )
        try:
            return verify_together(made, instance, case.outcomes, case.peers)
        finally:
            if self.warm_pool is not None:
                self.warm_pool.rest(instance)

    @property
    def is_stopped(self) -> bool:
        """The user asked to stop."""
        return self._stopping()

    def _verifier_model(self, name: str, instance: Instance) -> Callable[[str], Model] | None:
        """Attempt id -> the tier as a writer or judge; its answers are kept in ``notes``."""
        return self.models.for_verifier(name, instance, lambda attempt_id: None, self._say)

    def spent_usd(self) -> Decimal:
        """USD that the verifiers' own calls cost so far."""
        figures = self.ledger.figures()
        return figures.settled + figures.lost


def _named_tiers(settings: Settings) -> set[str]:
    """Every tier that a verifier may ask."""
    verify = settings.verify
    own = recorded_verdicts.own_tiers(verify).values()
    return {verify.writer, verify.judge, *own} - {""}


def require_tier(settings: Settings, name: str) -> Any:
    """A tier by name. Raises ``UsageError`` with the nearest right one."""
    tiers: Mapping[str, Any] = settings.tiers
    if name not in tiers:
        hint = suggest.did_you_mean_hint(name, tiers)
        raise UsageError(f"there is no tier {name!r}: there is {', '.join(tiers)}{hint}")
    tier_checks.key_of(name, tiers[name], os.environ)
    return tiers[name]


def _price_date(settings: Settings) -> datetime.date:
    return settings.prices.date or datetime.datetime.now(datetime.UTC).date()
