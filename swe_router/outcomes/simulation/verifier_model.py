"""A verifier as a channel from truth to verdict, of stated TPR and FPR, or as it was recorded.

The channel assumes that its errors are independent of how hard an issue is: real verifiers err
more where models err more, so a board made with a channel is optimistic, and says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from swe_router.errors import UsageError
from swe_router.outcomes.tables.table import OutcomeRow

KNOWN_FORMS = "perfect, existing-tests, hybrid, recorded, tpr=.9,fpr=.3 (0 to 1 each)"
ASSUMPTION = "verifier errors are drawn independently of how hard the issue is"


@dataclass(frozen=True)
class MeasuredVerifier:
    """Where the rates of a channel come from, when they were counted: 95% intervals, patches."""

    tpr_low: float
    tpr_high: float
    tpr_n: int
    """Right patches."""
    fpr_low: float
    fpr_high: float
    fpr_n: int
    """Wrong patches."""


@dataclass(frozen=True)
class VerifierModel:
    """What a verifier says of a run, given the truth."""

    tpr: float
    """Probability that a right patch is accepted."""
    fpr: float
    """Probability that a wrong patch is accepted."""
    name: str = ""
    recorded: bool = False
    """Take the table's own verdicts; a run without one is accepted with ``tpr`` or ``fpr``."""
    measured: MeasuredVerifier | None = None
    """Set where the rates were counted on graded runs."""

    def passes(self, row: OutcomeRow) -> float:
        """Probability that the verifier accepts this run's patch, in [0, 1]."""
        if self.recorded and row.verdict:
            return 1.0 if row.verdict == "pass" else 0.0
        return self.tpr if row.resolved else self.fpr

    def probability(self, row: OutcomeRow) -> float | None:
        """Calibrated P(right) as the verifiers gave it with their verdict; None is unknown.

        A channel that is given by its rates has verdicts and no probabilities.
        """
        return row.probability if self.recorded and row.verdict else None

    def draw(self, row: OutcomeRow, replicate: int) -> bool:
        """One verdict; the same for every policy that asks in the same replicate."""
        text = f"{row.instance_id}\x00{row.system}\x00{row.run}\x00{replicate}"
        part = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
        return part < self.passes(row)

    @property
    def description(self) -> str:
        """In words, for the board."""
        if self.recorded:
            return "verdicts as recorded in the table"
        counted = ""
        if (seen := self.measured) is not None:
            counted = (
                f"TPR [{seen.tpr_low:.2f}, {seen.tpr_high:.2f}] of {seen.tpr_n} right, FPR"
                f" [{seen.fpr_low:.2f}, {seen.fpr_high:.2f}] of {seen.fpr_n} wrong patches; "
            )
        rates = f"TPR {self.tpr:.3g}, FPR {self.fpr:.3g}"
        return f"{self.name or 'verifier'}: {rates} ({counted}{ASSUMPTION})"


PRESETS = {
    "perfect": VerifierModel(1.0, 0.0, "perfect"),
    "existing-tests": VerifierModel(1.0, 0.81, "official existing tests, optimistic"),
    "hybrid": VerifierModel(0.9, 0.3, "a good hybrid"),
    "recorded": VerifierModel(0.9, 0.3, "recorded", recorded=True),
}


def states_rates(text: str) -> bool:
    """Whether a text states its rates itself, and does not name a run."""
    return text in PRESETS or "=" in text


def parse_verifier_model(text: str) -> VerifierModel:
    """``perfect``, ``existing-tests``, ``hybrid``, ``recorded`` or ``tpr=.9,fpr=.3``.

    A graded run can be named as well, which the caller knows how to read (``stated`` tells).
    Raises ``UsageError`` that says what can be written.
    """
    if text in PRESETS:
        return PRESETS[text]
    try:
        cells = dict(part.split("=", 1) for part in text.split(","))
        channel = VerifierModel(float(cells.pop("tpr")), float(cells.pop("fpr")))
        if cells or not (0 <= channel.tpr <= 1 and 0 <= channel.fpr <= 1):
            raise ValueError
    except (ValueError, KeyError):
        raise UsageError(f"--verifier {text!r}: write {KNOWN_FORMS}, or a graded run") from None
    return channel
