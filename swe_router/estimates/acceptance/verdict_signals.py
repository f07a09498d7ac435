"""What the verdicts on a patch come to as numbers, each with the way it may move a probability.

Every signal is 0 where nothing is known, so that a verifier that was not asked, or could not say,
moves nothing. Tests that the patch's own run or its own model wrote can lower a probability and
never raise it: an author's opinion of its own work is in the work already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from swe_router import recorded_verdicts
from swe_router.records import Verdict
from swe_router.stats.logistic import SignedPrior

WEAK, STRONG, UNKNOWN = "weak", "strong", "unknown"
CLASSES = (WEAK, STRONG, UNKNOWN)
MAX_TEST_SIGNAL = 2.0
"""Cap of a signal of n tests: log2(1 + 3) where they speak of the issue, 1 + log10(10) where
existing ones broke. More tests of one source say the same thing."""
MAX_LIFT = 3.0
"""Nats that a score of another verifier may bring."""


class Prior(NamedTuple):
    """A signal, its sign, and the weight it has before any verdict was graded."""

    name: str
    way: int
    weak: float
    strong: float
    source: str
    """The published figure that the weights are the log likelihood ratio of."""


_PILOT = "pilot on real images, existing and harvested tests: accepts .88 right, .23 wrong (weak)"
_HERE = (
    "; Sonnet 4.5 and Gemini 3 on real instances: .56 right, .15 wrong pass (191 patches of 36),"
    " measured again on more: .49 and .36 (204 of 74); between the two"
)
_IDEAL = "official PASS_TO_PASS of 16 weaker models: .58 to .95 of wrong patches break none"
_GEMINI = "; Gemini 3 Pro: 105 of 129 wrong patches break none"
_CONDUCT = "AUC .64 held out on the model that it was fitted on, .51 on another: half its word"
_AGREED = (
    "350 patches with peers: right ones mean .57, wrong .45, deviation .19: 1.7; inside issues more"
)
_ASSUMED = "no figure: half a nat"
PRIORS = (
    Prior("refused", -1, -4.0, -4.0, "does not apply, or does not parse: a fact"),
    Prior("tests_broken", -1, -1.8, -0.6, _IDEAL + _GEMINI),
    Prior("tests_contested", -1, -0.3, -0.1, "no figure: a test that most candidates break"),
    Prior("tests_kept", +1, 0.3, 0.1, _IDEAL + _GEMINI),
    Prior("written_passed", +1, 1.0, 1.0, _PILOT + "; for strong authors assumed, not measured"),
    Prior("written_failed", -1, -2.2, -2.2, _PILOT + "; for strong authors assumed, not measured"),
    Prior("harvested_passed", +1, 1.0, 0.5, _PILOT + _HERE),
    Prior("harvested_failed", -1, -2.2, -0.9, _PILOT + _HERE),
    Prior("own_failed", -1, -0.5, -0.1, _ASSUMED + ", less for strong authors"),
    Prior("behaviour", +1, 0.3, 0.3, _CONDUCT),
    Prior("agreement", +1, 1.0, 2.5, _AGREED),
    Prior("judge", +1, 0.5, 0.5, _ASSUMED + " a nat"),
)
KNOWN = frozenset(one.name for one in PRIORS)
"""Any other signal has weight 0 until a calibration was fitted with it."""
BIAS = {WEAK: -0.7, STRONG: 1.0, UNKNOWN: 0.15}
"""Log odds of a right patch: 5 of 15 of SWE-agent GPT-4, Devin and aider, and 210 of 287 of
Gemini 3 Pro; between the two where the author is not known."""
STRENGTH = 4.0
"""Inverse variance of each prior: a standard deviation of half a nat."""
FIRM = {"behaviour": 64.0, "agreement": 32.0, "harvested_passed": 16.0, "harvested_failed": 16.0}
"""Of those priors that rest on more patches than a fit will see for long, of strong authors all but
``behaviour``: for weak ones the others are as loose as the rest (``strength``). All were settled
with the candidates of the development share in sight, other authors' among them. What a harvested
script says of strong authors is disputed: nothing in the pilot (.75 right, .72 wrong pass)."""


def signs(author: str, new: Sequence[str] = ()) -> list[SignedPrior]:
    """Sign and prior of every signal for a class of authors; unknown stands between the two.

    ``new`` are signals without a published figure: either sign, from 0.
    """
    share = {WEAK: 1.0, STRONG: 0.0}.get(author, 0.5)
    known = [
        SignedPrior(
            one.name,
            one.way,
            round(share * one.weak + (1 - share) * one.strong, 4),
            strength(one.name, author),
        )
        for one in PRIORS
    ]
    return [*known, *(SignedPrior(name, 0, 0.0, STRENGTH) for name in new)]


def strength(name: str, author: str) -> float:
    """Inverse variance of a signal's prior for a class of authors."""
    firm = name == "behaviour" or author != WEAK
    return FIRM.get(name, STRENGTH) if firm else STRENGTH


def signals(verdicts: Sequence[Verdict], author: str = "") -> dict[str, float]:
    """What the verdicts give in numbers; absent is unknown.

    ``author`` names the model that made the patch: a test that it wrote is its own. Of a name that
    two verifiers give, the first counts. Raises ``VerifierError`` for a verifier that fails.
    """
    found: dict[str, float] = {}
    for one in verdicts:
        if recorded_verdicts.is_decisive_fail(one):
            found["refused"] = 1.0
        for name, value in recorded_verdicts.signals_of(one, verdicts, author).items():
            found.setdefault(name, value if name in KNOWN else clipped(value))
    return found


def new_names(found: Iterable[Mapping[str, float]]) -> list[str]:
    """Signals that no prior is published of, sorted."""
    return sorted({name for one in found for name in one} - KNOWN)


def grounded(verdicts: Sequence[Verdict], author: str = "") -> bool:
    """Something ran: an existing test, or a reproduction test that the author did not write."""
    return any(recorded_verdicts.shows_a_run(one, author) for one in verdicts)


def log_odds(p: float) -> float:
    """Log odds of a probability, finite."""
    p = min(1 - 1e-6, max(1e-6, p))
    return math.log(p / (1 - p))


def clipped(lift: float) -> float:
    """Nats within ``MAX_LIFT``, to four digits."""
    return round(min(MAX_LIFT, max(-MAX_LIFT, lift)), 4)


def class_of(author: str, known: Mapping[str, str]) -> str:
    """Class (weak | strong | unknown) by the longest known fragment of the author's names.

    However a name is spelled: ``Claude Sonnet 4.5`` and ``claude_sonnet_4.5`` are one model.
    """
    text = _spelled(author)
    for fragment in sorted(known, key=lambda name: (-len(name), name)):
        if _spelled(fragment) in text:
            return known[fragment]
    return UNKNOWN


def _spelled(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.lower())
