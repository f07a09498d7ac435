"""What is weighed: patches, what the verifiers say of them, and a context that opens no sandbox."""

from __future__ import annotations

from swe_router.estimates.acceptance.calibration import load_calibration
from swe_router.records import Verdict
from swe_router.seams import VerificationContext
from tests.doubles.project import verdict

PATCH = "--- a/calc.py\n+++ b/calc.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
KIT = VerificationContext(open_sandbox=lambda instance: None, apply=lambda sandbox, patch: None)  # type: ignore[arg-type, return-value]
SHIPPED = load_calibration("shipped")
assert SHIPPED is not None


def diff(
    added: str, removed: str = "", path: str = "pkg/core.py", scope: str = "def run(x):"
) -> str:
    minus = [f"-{line}" for line in removed.splitlines()]
    plus = [f"+{line}" for line in added.splitlines()]
    head = f"--- a/{path}\n+++ b/{path}\n@@ -10,{len(minus)} +10,{len(plus)} @@ {scope}\n"
    return head + "\n".join([*minus, *plus]) + "\n"


def existing(broken: int = 0, kept: int = 5) -> Verdict:
    counts = {"broken": broken, "still_pass": kept, "passed_before": kept + broken}
    return verdict("fail" if broken else "pass" if kept else "unknown", "repo-tests", counts=counts)


def reproduction(*results: str, source: str = "written", own: bool = False) -> Verdict:
    tests = {
        f"t{n}": {"source": source, "by": f"m{n}", "own": own, "after": after}
        for n, after in enumerate(results)
    }
    return verdict("unknown", "reproduction", tests=tests)
