"""A model for each side of ``peer_overhead.py``: the same commands, and a stamp a call.

``Stamped`` is a model of ours, loaded as ``peer_models:Stamped``. Run as a script, with the Python
of mini-swe-agent's own environment, this file is the other side: ``python peer_models.py PLAN``.
Before each answer a line goes to the stamps: CPU seconds of this process and of the children that
it waited for, wall seconds, resident bytes, bytes written; the first two are less what stamps took.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff"
EDIT = "echo '# looked at' >> confet/__init__.py"


def commands(steps: int) -> list[str]:
    """What the model asks for: ``steps`` commands, the first of which changes a file."""
    return [EDIT, *(f"echo step {number}; ls confet | head -3" for number in range(2, steps + 1))]


class Stamps:
    """The file of stamps."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii", buffering=1)
        self._cpu = self._wall = 0.0
        """Seconds that stamps took so far."""

    def add(self) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        self._write(cpu - self._cpu, wall - self._wall)
        self._cpu += time.process_time() - cpu
        self._wall += time.perf_counter() - wall

    def _write(self, cpu: float, wall: float) -> None:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        written = Path("/proc/self/io").read_text("ascii").split("wchar: ")[1].split()[0]
        row = [
            cpu + children.ru_utime + children.ru_stime,
            wall,
            pages * os.sysconf("SC_PAGE_SIZE"),
            int(written),
        ]
        self._file.write(json.dumps(row) + "\n")


class Stamped:
    """A model of swe-router: options ``steps`` and ``stamps`` come by the environment."""

    def __init__(self, tier: Any, *, session: str, key: str = "") -> None:
        self._commands = commands(int(os.environ["PEER_STEPS"]))
        self._stamps = Stamps(Path(os.environ["PEER_STAMPS"]))
        self._turn = 0

    def complete(self, messages: Any, tools: Any = (), *, limits: Any) -> Any:
        from swe_router.records import Completion, Message, ToolCall, Usage  # noqa: PLC0415  (not in the peer's environment)

        self._stamps.add()
        if self._turn < len(self._commands):
            words: dict[str, str] = {"command": self._commands[self._turn]}
            call = ToolCall(id=f"c{self._turn}", name="bash", arguments=words)
        else:
            call = ToolCall(id="end", name="submit")
        self._turn += 1
        return Completion(
            message=Message(role="assistant", content="Next.", tool_calls=(call,)),
            usage=Usage(input_tokens=100 + 60 * self._turn, output_tokens=20, seconds=1.0),
            stop="tool",
            model="stamped",
        )


def peer(plan: dict[str, Any]) -> None:
    """The whole of a mini-swe-agent process: its default agent, its Docker environment."""
    import yaml  # noqa: PLC0415
    from minisweagent.agents.default import DefaultAgent  # noqa: PLC0415
    from minisweagent.config import builtin_config_dir  # noqa: PLC0415
    from minisweagent.environments.docker import DockerEnvironment  # noqa: PLC0415
    from minisweagent.models.test_models import DeterministicModel, make_output  # noqa: PLC0415

    stamps = Stamps(Path(plan["stamps"]))

    class StampedPeer(DeterministicModel):  # type: ignore[misc]
        def query(self, messages: Any, **options: Any) -> Any:
            stamps.add()
            return super().query(messages, **options)

    outputs = [
        make_output("Next.", [{"command": command}], cost=0.001)
        for command in [*commands(plan["steps"]), SUBMIT]
    ]
    sheet = yaml.safe_load((builtin_config_dir / "benchmarks" / "swebench.yaml").read_text())
    agent = sheet["agent"] | {"step_limit": 0, "cost_limit": 0}
    # No network, as our sandboxes have none: making one takes the engine a while.
    shut = ["--rm", "--network", "none"]
    sandbox = DockerEnvironment(image=plan["image"], cwd="/testbed", run_args=shut)
    try:
        made = DefaultAgent(StampedPeer(outputs=outputs), sandbox, **agent)
        end = made.run(plan["problem"])
        made.save(Path(plan["out"]))
        assert end["exit_status"] == "Submitted", end
    finally:
        sandbox.cleanup()


if __name__ == "__main__":
    peer(json.loads(Path(sys.argv[1]).read_text("utf-8")))
