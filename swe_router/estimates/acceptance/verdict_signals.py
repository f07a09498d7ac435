"""What the verdicts on a patch come to as numbers, each with the way it may move a probability.

Every signal is 0 where nothing is known, so that a verifier that was not asked, or could not say,
moves nothing. Tests that the patch's own run or its own model wrote can lower a probability and
never raise it: an author's opinion of its own work is in the work already.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from swe_router.records import Verdict
from swe_router.stats.logistic import Sign

WEAK, STRONG, UNKNOWN = "weak", "strong", "unknown"
CLASSES = (WEAK, STRONG, UNKNOWN)
MAX_VOTES = 2.0
"""log2(1 + n) of at most three tests of a kind: more of one source's tests say the same thing."""
MAX_LIFT = 3.0
"""Nats that a score of another verifier may bring."""
FACTS = ("applies", "syntax")
"""Verifiers whose fail is a fact."""


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


def signs(author: str) -> list[Sign]:
    """Sign and prior of every signal for a class of authors; unknown stands between the two."""
    share = {WEAK: 1.0, STRONG: 0.0}.get(author, 0.5)
    return [
        Sign(
            one.name,
            one.way,
            round(share * one.weak + (1 - share) * one.strong, 4),
            strength(one.name, author),
        )
        for one in PRIORS
    ]


def strength(name: str, author: str) -> float:
    """Inverse variance of a signal's prior for a class of authors."""
    firm = name == "behaviour" or author != WEAK
    return FIRM.get(name, STRENGTH) if firm else STRENGTH


def signals(verdicts: Sequence[Verdict], author: str = "") -> dict[str, float]:
    """The signals of ``PRIORS`` that the verdicts speak to; absent is unknown.

    ``author`` names the model that made the patch: a test that it wrote is its own.
    """
    found: dict[str, float] = {}
    contested = {
        str(test)
        for one in verdicts
        if one.verifier == "agreement"
        for test in one.evidence.get("contested", ())
    }
    for one in verdicts:
        if one.verifier in FACTS and one.outcome == "fail":
            found["refused"] = 1.0
        elif one.verifier == "repo-tests":
            found |= _repo_tests(one, contested)
        elif one.verifier == "reproduction":
            found |= votes(one.evidence, author)
        elif one.verifier == "behaviour" and "lift" in one.evidence:
            found["behaviour"] = _cut(float(one.evidence["lift"]))
        elif one.verifier == "agreement" and one.score is not None:
            found["agreement"] = round(2 * one.score - 1, 4)
        elif one.verifier == "judge" and "probability" in one.evidence:
            # As the judge said it, not as it was scaled: refits must not depend on each other.
            found["judge"] = _cut(log_odds(float(one.evidence["probability"])))
    return found


def _repo_tests(verdict: Verdict, contested: Set[str]) -> dict[str, float]:
    counts: Mapping[str, Any] = verdict.evidence.get("counts", {})
    broken = int(counts.get("broken", 0)) or len(verdict.evidence.get("deleted_tests", ()))
    shared = len(contested & verdict.evidence.get("tests", {}).keys())
    if broken > shared:
        # One broken test counts once, ten twice: they mostly break for one reason.
        return {"tests_broken": round(min(MAX_VOTES, 1 + math.log10(broken - shared)), 4)}
    if broken:
        return {"tests_contested": 1.0}
    return {"tests_kept": 1.0} if verdict.outcome == "pass" else {}


def votes(evidence: Mapping[str, Any], author: str = "") -> dict[str, float]:
    """Passed and failed reproduction tests by where they came from.

    What one attempt left has one vote together, by its majority; a written test has its own.
    """
    ballots: dict[tuple[str, str], Counter[str]] = {}
    for name, test in evidence.get("tests", {}).items():
        by, source = str(test.get("by", "")), str(test.get("source", ""))
        own_model = source == "written" and by and by.lower() in author.lower()
        kind = "own" if test.get("own") or own_model else source
        voter = name if source == "written" else by
        ballots.setdefault((kind, voter), Counter())[str(test.get("after"))] += 1
    tally: Counter[str] = Counter()
    for (kind, _), said in ballots.items():
        for result in ("passed", "failed"):
            tally[f"{kind}_{result}"] += 2 * said[result] > said.total()
    known = {one.name for one in PRIORS}
    return {
        name: round(min(MAX_VOTES, math.log2(1 + count)), 4)
        for name, count in sorted(tally.items())
        if count and name in known
    }


def grounded(verdicts: Sequence[Verdict], author: str = "") -> bool:
    """Something ran: an existing test, or a reproduction test that the author did not write."""
    for one in verdicts:
        if one.verifier == "repo-tests" and one.outcome in ("pass", "fail"):
            return True
        if one.verifier == "reproduction" and _others(votes(one.evidence, author)):
            return True
    return False


def _others(found: Mapping[str, float]) -> bool:
    return any(not name.startswith("own") for name in found)


def log_odds(p: float) -> float:
    """Log odds of a probability, finite."""
    p = min(1 - 1e-6, max(1e-6, p))
    return math.log(p / (1 - p))


def _cut(lift: float) -> float:
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
