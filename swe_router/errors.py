"""One tree of errors: every failure is attributed to the boundary that broke, once.

SweRouterError
├─ UsageError          the caller's settings or arguments      exit 2, no traceback
│  └─ MissingExtra     an optional package is not installed
└─ BoundaryError       something outside broke                 recorded on the Attempt
   ├─ ModelError       NoConnection · Unauthorised · NoCredit · ModelUnknown · SettingRefused
   │                   RateLimited · Overloaded · NoAnswer · Refused · BadReply · ContextTooLong
   │                   NotProcessed · BatchGone (of calls that were sent in a batch)
   ├─ SandboxError     EngineGone · NoImageStore · DiskFull · ImageMissing · WouldNotStart · Lost
   ├─ ServerFailed     a model server of our own did not start, or crashed too often
   ├─ LedgerRefused    the money is not there: a limit, turned into an exit by the loop
   ├─ StillAway        what the run waited for was given up, or the run stopped: the work is owed
   └─ ScaffoldError · VerifierError · GradingError · JournalError

Each class says three things of itself: ``retry`` (may the whole attempt be run again?),
``counts`` (does the failure say something of the arm, or only an infrastructure fault?) and
``says_nothing_of_instance`` (would every instance meet it? then the attempt waits, see
``breaker``).
A fourth, ``for_people``, says that time alone does not mend it.
"""

from __future__ import annotations

from typing import ClassVar


class SweRouterError(Exception):
    """Root of the tree; catching it catches everything this package raises on purpose."""

    retry: ClassVar[bool] = False
    counts: ClassVar[bool] = False
    says_nothing_of_instance: ClassVar[bool] = False
    """A service is away as a whole, for any instance: none is escalated because of it."""
    for_people: ClassVar[bool] = False
    """Somebody has to do something about it (a key, an account, a name): waiting is not enough."""
    cause: ClassVar[str] = ""
    """The failure in two or three words, for people; empty: the name of the class says it."""


class UsageError(SweRouterError):
    """The caller asked for something impossible; the message names the thing and the fix."""


class MissingExtra(UsageError):
    """An optional dependency is absent; the message holds the pip command."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'swe-router[{extra}]'")


class BoundaryError(SweRouterError):
    """Something outside this process broke; recorded as data, never shown as command output."""

    retry = True


class ModelError(BoundaryError):
    """A model could not answer.

    ``billed`` tells the ledger what an unanswered call may have cost: False (the provider
    rejected it before any work) or True (it may have been worked on: the reservation stays
    charged). ``after`` is the provider's Retry-After in seconds, if it gave one; ``status``
    the HTTP status that the answer had or named, 0 where there was none.
    """

    billed: bool = False
    """Of the class; of one error where it is known better."""
    refusal: str = ""
    """The whole refusal without the key: for a client to learn from, not for people."""

    def __init__(
        self,
        message: str,
        *,
        after: float | None = None,
        status: int = 0,
        billed: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.after, self.status = after, status
        if billed is not None:
            self.billed = billed


class NoConnection(ModelError):
    """Nobody could be reached: refused, name not known, no route, no TLS."""

    says_nothing_of_instance = True
    cause = "no connection"


class RateLimited(ModelError):
    """HTTP 429: slow down."""

    cause = "rate limit"


class Overloaded(ModelError):
    """HTTP 5xx or 529: the provider is down or full."""

    cause = "overloaded"


class NoAnswer(ModelError):
    """The request was sent and no complete answer came back; it may have been billed."""

    cause = "no answer"
    billed = True


class Unauthorised(ModelError):
    """HTTP 401 or 403: the key is missing, wrong or not allowed to use this model."""

    retry = False
    says_nothing_of_instance = True
    for_people = True
    cause = "key refused"


class NoCredit(ModelError):
    """The account has no money left with the provider or gateway, whatever the HTTP status."""

    retry = False
    says_nothing_of_instance = True
    for_people = True
    cause = "no credit"


class ModelUnknown(ModelError):
    """The provider serves no model of this name to this account."""

    retry = False
    says_nothing_of_instance = True
    for_people = True
    cause = "model unknown"


class SettingRefused(ModelError):
    """A setting of the tier is one that this server or model cannot serve; the text names it."""

    retry = False
    says_nothing_of_instance = True
    for_people = True
    cause = "setting refused"


class Refused(ModelError):
    """The provider refused this conversation (HTTP 400, 422, or a safety refusal)."""

    retry = False
    counts = True


class BadReply(ModelError):
    """The answer came back and is not what the dialect promises; it was billed."""

    billed = True
    counts = True


class ContextTooLong(ModelError):
    """The conversation does not fit the model's window."""

    retry = False
    counts = True


class NotProcessed(ModelError):
    """A batch ended before this call of it was worked on: it expired, or was cancelled."""

    cause = "not processed"


class BatchGone(ModelError):
    """The provider has no such batch, or deleted its results; its calls may have been billed."""

    retry = False
    billed = True
    cause = "batch gone"


class SandboxError(BoundaryError):
    """The sandbox, not the command inside it, failed."""


class ImageMissing(SandboxError):
    """The image is neither on this engine nor to be had from its registry."""

    retry = False
    cause = "image missing"


class NoImageStore(ImageMissing):
    """The image is not on this engine, and the registry could not be asked for it."""

    says_nothing_of_instance = True
    cause = "no image store"


class WouldNotStart(SandboxError):
    """The sandbox could not be brought up."""


class Lost(SandboxError):
    """A running sandbox went away: container killed, daemon stopped, channel closed."""


class EngineGone(Lost):
    """The engine that runs the sandboxes does not answer."""

    says_nothing_of_instance = True
    cause = "no sandbox engine"


class DiskFull(SandboxError):
    """No space left on the device that holds sandboxes or the run folder."""

    retry = False
    says_nothing_of_instance = True
    cause = "disk full"


class ServerFailed(BoundaryError):
    """A model server that ``serve`` started did not become healthy, or crashed too often."""

    retry = False


class LedgerRefused(BoundaryError):
    """The reservation does not fit and nothing that is held could make it fit."""

    retry = False


class StillAway(BoundaryError):
    """A service stayed away until the run gave it up or was stopped; the attempt is owed."""

    says_nothing_of_instance = True


class ScaffoldError(BoundaryError):
    """A scaffold broke in a way that is not the model's doing."""


class VerifierError(BoundaryError):
    """A verifier broke; its verdict is ``unknown``."""


class GradingError(BoundaryError):
    """A data set's own evaluation could not give a verdict; the grade is ``ungraded``."""


class JournalError(BoundaryError):
    """A run folder is damaged in a way that cannot be repaired by owing work again."""

    retry = False
