"""Python text of a data set or of its package, called in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

from swe_router.errors import GradingError

SECONDS = 120
"""CPU seconds that a call may take; twice as many may pass."""
BYTES = 4 << 30
"""Address space that a call may take."""
_CHILD = """
import json, resource, sys
order = json.load(sys.stdin)
for kind, most in ((resource.RLIMIT_CPU, order["seconds"]), (resource.RLIMIT_AS, order["bytes"])):
    resource.setrlimit(kind, (most, most))
sys.path[:0] = order["path"]
answer, sys.stdout = sys.stdout, sys.stderr
space = {"__name__": "isolated"}
exec(compile(order["code"], "isolated", "exec"), space)
json.dump(space[order["function"]](*order["arguments"]), answer, default=lambda v: v.value)
"""


def call_isolated(code: str, function: str, *arguments: Any, path: str = "") -> Any:
    """What ``function``, which ``code`` defines, returns for the arguments; all of it JSON.

    The process has no environment and an empty work folder, and limits of time and memory: the
    text is trusted no further than the data set's tests are. ``path`` is a folder that it may
    import from. Raises ``GradingError`` when the call fails.
    """
    order: dict[str, Any] = {"code": code, "function": function, "arguments": arguments}
    order |= {"path": [path] if path else [], "seconds": SECONDS, "bytes": BYTES}
    with tempfile.TemporaryDirectory(prefix="swe-router-isolated-") as folder:
        try:
            child = subprocess.run(
                [sys.executable, "-I", "-c", _CHILD],
                input=json.dumps(order),
                cwd=folder,
                env={"PYTHONIOENCODING": "utf-8", "HOME": folder},
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=SECONDS * 2,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GradingError(f"{function}() of the data set gave no answer in time") from None
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit {child.returncode}"])[-1]
        raise GradingError(f"{function}() of the data set failed: {last[:300]}")
    try:
        return json.loads(child.stdout)
    except ValueError:
        raise GradingError(f"{function}() of the data set wrote no JSON") from None
