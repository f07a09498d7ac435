"""Harbor task folders: the task's own verifier (``tests/test.sh``) and the reward that it writes.

Shared mode: the patch is applied in a fresh container of the task's image and ``tests/`` is put
in. Separate mode: the verifier's own image, built from ``tests/`` where it has a Dockerfile.
Only a patch of the work folder is handed in: what a task changes elsewhere cannot be graded.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from swe_router.errors import GradingError, SandboxError
from swe_router.grading.evaluation import (
    APPLY_PATCH,
    BROKEN,
    FOLDER,
    PATCH,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
    setup_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.instances import harbor as tasks
from swe_router.records import Instance

REWARDS = ("/logs/verifier/reward.txt", "/logs/verifier/reward.json")
ARTIFACT = "/logs/artifacts/model.patch"
STEP = 1800.0
"""Seconds that a task's solution may take."""
_DIFF = "git add -A && git diff --cached --binary HEAD"


class Harbor(ScriptedGrader):
    """Grades Harbor tasks: resolved with a reward of 1 or more, unresolved below."""

    answers = ("tests", "solution")

    def answer_row(self, instance_id: str) -> AnswerRow:
        """The task's folder and settings, under ``folder`` and ``settings``."""
        folders = tasks.task_folders(self._context.path)
        if instance_id not in folders:
            raise GradingError(f"{self._context.label!r} has no task {instance_id}")
        folder = folders[instance_id]
        return {"folder": folder, "settings": tasks.task_settings(folder)}

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """The task must have tests that ask for nothing of this machine."""
        tests = Path(answer_row["folder"]) / "tests"
        if not (tests / "test.sh").is_file():
            raise GradingError(f"{tests} has no test.sh")
        _exports(_table(answer_row["settings"], "verifier").get("env") or {})

    def evaluated_instance(self, instance: Instance, answer_row: AnswerRow) -> Instance:
        """The verifier's image, where it has one of its own."""
        settings, folder = answer_row["settings"], Path(answer_row["folder"])
        if not _separate(settings):
            return instance
        environment = _table(settings, "verifier", "environment")
        tests = folder / "tests"
        image = str(environment.get("docker_image") or "")
        if not image and (tests / "Dockerfile").is_file():
            image = tasks.image_tag_of(tests)
            return instance.model_copy(update={"image": image, "build": str(tests)})
        return instance.model_copy(update={"image": image}) if image else instance

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """The patch, the tests, ``tests/test.sh`` in the work folder."""
        settings, folder = answer_row["settings"], Path(answer_row["folder"])
        tests = folder / "tests"
        self.require_usable(instance.id, answer_row)
        artifacts = [str(item) for item in settings.get("artifacts") or []]
        applies = not any(item.endswith((".patch", ".diff")) for item in artifacts)
        handed = {ARTIFACT, *(item for item in artifacts if item.endswith(".patch"))}
        script = [
            *setup_lines(instance.workdir),
            "mkdir -p /logs/verifier /logs/artifacts /logs/agent",
            *(f"cat {PATCH} > {shlex.quote(file)} || exit {BROKEN}" for file in sorted(handed)),
            APPLY_PATCH if applies else "",
            *_exports(_table(settings, "verifier").get("env") or {}),
            f"rm -f {' '.join(REWARDS)}",
            f"bash /tests/test.sh > {FOLDER}/verifier.log 2>&1",
            f"cat {FOLDER}/verifier.log",
            "exit 0",
        ]
        own_image = _separate(settings) and (tests / "Dockerfile").is_file()
        given = {} if own_image else dict(_files(tests, "/tests"))
        return EvaluationPlan("\n".join(script), given, REWARDS)

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The reward; below 0 the verifier says that it broke down itself."""
        reward, more = _reward(output)
        evidence = {"reward": reward, **more}
        if reward < 0:
            return PatchJudgement("ungraded", "the task's verifier broke down", evidence)
        if reward >= 1:
            return PatchJudgement("resolved", "the task's verifier gave its reward", evidence)
        return PatchJudgement("unresolved", "the task's verifier gave no full reward", evidence)

    def gold(self) -> Mapping[str, str]:
        """The patch that each task's solution makes; a task without one is left out.

        A patch file of the solution is taken as it is; else ``solve.sh`` is run in a sandbox.
        """
        found = {}
        for name, folder in tasks.task_folders(self._context.path).items():
            patches = sorted((folder / "solution").glob("*.patch"))
            if len(patches) == 1:
                found[name] = patches[0].read_text(encoding="utf-8", errors="surrogateescape")
            elif (folder / "solution" / "solve.sh").is_file():
                found[name] = self._solved(tasks.task_question(folder, self._context.label), folder)
        return found

    def _solved(self, instance: Instance, folder: Path) -> str:
        """The change that ``solution/solve.sh`` makes in the work folder."""
        with self.opened(instance) as sandbox:
            for path, data in _files(folder / "solution", "/solution"):
                sandbox.write(path, data)
            start = "git rev-parse -q --verify HEAD >/dev/null || { git init -q . && git add -A &&"
            start += " git -c user.name=task -c user.email=task commit -q -m start; }"
            for line in (start, "bash /solution/solve.sh"):
                command = "\n".join([*setup_lines(instance.workdir), line])
                result = sandbox.run(command, timeout=STEP)
                if result.exit_code:
                    raise SandboxError(
                        f"the solution of {instance.id} failed: {result.output[-300:]}"
                    )
            file = f"{FOLDER}/gold.patch"
            taking = [*setup_lines(instance.workdir), f"mkdir -p {FOLDER}", f"{_DIFF} > {file}"]
            sandbox.run("\n".join(taking), timeout=STEP)
            return sandbox.read(file, limit=64_000_000).decode("utf-8", "surrogateescape")


def _separate(settings: Mapping[str, Any]) -> bool:
    return _table(settings, "verifier").get("environment_mode") == "separate"


def _table(settings: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = settings.get(name)
        settings = value if isinstance(value, Mapping) else {}
    return settings


def _files(folder: Path, target: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{target}/{path.relative_to(folder).as_posix()}", path.read_bytes()


_NEEDED = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def _exports(env: Mapping[str, Any]) -> Sequence[str]:
    """``export`` lines; a value that asks for a variable of the host gets its default.

    Raises ``GradingError`` where it has none: secrets of this machine are not handed to tests.
    """

    def given(match: re.Match[str]) -> str:
        if match[2] is None:
            raise GradingError(
                f"its verifier asks for {match[1]} of this machine, which it is not given"
            )
        return match[2]

    return [
        f"export {name}={shlex.quote(_NEEDED.sub(given, str(value)))}"
        for name, value in env.items()
    ]


def _reward(output: EvaluationOutput) -> tuple[float, Mapping[str, float]]:
    text, record = (output.outputs.get(path, "") for path in REWARDS)
    with suppress(ValueError):
        return float(text.strip()), {}
    with suppress(ValueError):
        found = json.loads(record)
        if isinstance(found, Mapping):
            numbers = {str(k): float(v) for k, v in found.items() if isinstance(v, int | float)}
            if "reward" in numbers:
                return numbers.pop("reward"), {"metrics": numbers}  # type: ignore[dict-item]
            if len(numbers) == 1:
                return next(iter(numbers.values())), {}
    raise GradingError("the task's verifier wrote no reward")
