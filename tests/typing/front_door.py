"""What a type checker sees of the front door; read by ``make check``, never run."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import swe_router
from swe_router import Leaderboard, Run, RunRecord, Settings, UsageError, Verdict

given: Settings = swe_router.load_settings("demo", sets=["limits.instance_usd=2"])
run = swe_router.run("demo", budget=1, settings={"seed": 2}, progress=print)
assert_type(run, Run)
assert_type(swe_router.run(settings=given, budget=Decimal("0.5"), instances=["a"]), Run)
assert_type(swe_router.load_run(Path("runs") / "latest"), Run)
assert_type(run.resume(budget="2", hours=1.5), Run)
assert_type(run.records, Mapping[str, RunRecord])
assert_type(run.spend, dict[str, Any])
assert_type(run.instances[0], dict[str, Any])
verdicts: tuple[Verdict, ...] = run.records["a"].outcomes[0].verdicts
board = swe_router.leaderboard([run], policies=["cascade"], weak="a", strong="b")
assert_type(board, Leaderboard)
assert_type(swe_router.__version__, str)

try:
    run.to_pandas("spend")
except UsageError as error:
    print(error)

run.to_pandas("steps")  # type: ignore[arg-type]
swe_router.run(budgets=1)  # type: ignore[call-arg]
swe_router.rnu  # type: ignore[attr-defined]  # noqa: B018
