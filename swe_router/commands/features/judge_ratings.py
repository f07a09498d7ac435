"""``features --judge``: a model rates issues by a fixed rubric, each call reserved and settled."""

from __future__ import annotations

import datetime
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from swe_router import jsonl, templates
from swe_router.errors import LedgerRefused, ModelError, UsageError
from swe_router.features import rubric
from swe_router.ledger import Ledger
from swe_router.models import tier_checks
from swe_router.models.batches.batched_model import BatchSeat
from swe_router.rate_limits import RatePacer
from swe_router.records import CallLimits, Features, Instance, Message, digest_of
from swe_router.settings import Settings
from swe_router.wiring import batch_prices, batching
from swe_router.wiring.models import ModelFactory

Say = Callable[[str], None]
MAX_OUTPUT_TOKENS = 2048
"""Cap of one answer, reasoning included: the JSON itself is about 100 tokens."""
MAX_ASKED_AT_ONCE = 256
"""Issues in one batch: each waits in a thread."""
MAX_TRIES = 2
"""Tries per issue when the answer cannot be read."""


class IssueRater:
    """The rater of a features file; its answers and its ledger lie in ``folder``."""

    def __init__(
        self,
        settings: Settings,
        tier: str,
        *,
        budget: Decimal,
        folder: Path,
        model_routes: Mapping[str, str],
        say: Say,
        in_batches: bool = False,
    ) -> None:
        """Raises ``UsageError``: unknown tier, missing key, no price, a ledger of other money."""
        if tier not in settings.tiers:
            raise UsageError(f"--judge {tier!r}: the preset has {', '.join(settings.tiers)}")
        self._name, self._tier, self._routes, self._say = (
            tier,
            settings.tiers[tier],
            model_routes,
            say,
        )
        today = datetime.datetime.now(datetime.UTC).date()
        on = settings.prices.date or today
        rate = tier_checks.rate_of(tier, self._tier, settings.prices, on)
        tier_checks.key_of(tier, self._tier, os.environ)  # refused before a cent is spent
        folder.mkdir(exist_ok=True)
        self._answers = folder / "answers.jsonl"
        self._known = {row["key"]: row["answer"] for row in jsonl.read_lines(self._answers)}
        self._ledger = Ledger(folder / "ledger.jsonl", budget)
        self._models = ModelFactory(
            settings, {tier: rate}, lambda: self._ledger, lambda: False,
            pacer=lambda: RatePacer(folder),
        )  # fmt: skip
        self.in_batches = in_batches
        self._settings, self._rates, self._folder = settings, {tier: rate}, folder
        self._writing = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._broke = ""

    @property
    def spent_usd(self) -> Decimal:
        """USD spent on ratings so far, earlier calls of the command included."""
        return self._ledger.view().spent

    def with_ratings(self, instance: Instance, features: Features) -> Features:
        """The features with the ratings of the issue, or unchanged when there is no rating."""
        key = self._rating_key(instance)
        if key not in self._known and not self._broke:
            self._request_rating(instance, key)
        answer = self._known.get(key)
        if answer is None:
            self.counts["unrated"] += 1
            return features
        self.counts["rated"] += 1
        return rubric.with_ratings(features, rubric.parse_ratings(answer, list(self._routes)))

    def rate_in_batches(self, instances: Sequence[Instance]) -> None:
        """Ask for all ratings that are not known yet, in as few batches as it takes.

        Raises ``UsageError`` where the tier takes no batches, or has no price in them.
        """
        rates = batch_prices.batch_rates(self._settings, self._rates)
        batching.require_batches(self._settings, rates, [self._name])
        owed = {self._rating_key(one): one for one in instances}
        owed = {key: one for key, one in owed.items() if key not in self._known}
        if not owed:
            return
        stopping = threading.Event()
        lane = batching.bare_lane(
            self._settings, self._ledger, self._folder, rates, stopping.is_set, self._say
        )
        lane.lockstep.expected = min(MAX_ASKED_AT_ONCE, len(owed))

        def ask(key: str, instance: Instance) -> None:
            with lane.lockstep.member() as member:
                seat = BatchSeat(lane, member)
                self._request_rating(instance, key, seat)

        with lane, ThreadPoolExecutor(MAX_ASKED_AT_ONCE) as hands:
            try:
                for asked in [hands.submit(ask, *one) for one in owed.items()]:
                    asked.result()
            except BaseException:
                stopping.set()  # what is out stays on the books: the same command collects it
                raise
        lane.require_sound()

    def _rating_key(self, instance: Instance) -> str:
        asked = [rubric.VERSION, self._tier.model, dict(self._routes), instance.repo]
        return digest_of([*asked, instance.problem])

    def _request_rating(self, instance: Instance, key: str, seat: BatchSeat | None = None) -> None:
        model = self._models.for_ratings(self._name, instance, seat)
        messages = [Message(role="user", content=self._prompt(instance))]
        limits = CallLimits(
            max_output_tokens=min(MAX_OUTPUT_TOKENS, self._tier.max_output_tokens),
            timeout=self._tier.timeout,
            temperature=self._tier.temperature,
        )
        for _ in range(MAX_TRIES):
            try:
                answer = model.complete(messages, limits=limits)
            except LedgerRefused as error:
                self._broke = str(error)
                self._say(f"no more issues are rated: {error}")
                return
            except ModelError as error:
                self._say(f"{instance.id} is not rated: {type(error).__name__}: {error}")
                return
            text = answer.message.content
            try:
                rubric.parse_ratings(text, list(self._routes))
            except ValueError as error:
                self._say(f"{instance.id}: {error}")
                messages += [answer.message, Message(role="user", content=f"{error}. Once more.")]
                continue
            row = {"key": key, "instance_id": instance.id, "answer": text, "usd": str(answer.usd)}
            with self._writing:
                jsonl.append_value(self._answers, {**row, "model": answer.model})
                self._known[key] = text
            return

    def _prompt(self, instance: Instance) -> str:
        return templates.render(
            "judge-issue",
            repo=instance.repo,
            problem=instance.problem,
            criteria=rubric.CRITERIA,
            routes=self._routes,
            example=rubric.example_answer(list(self._routes)),
        )
