from swe_router.api.ranking import Leaderboard as Leaderboard
from swe_router.api.ranking import leaderboard as leaderboard
from swe_router.api.run_view import Run as Run
from swe_router.api.run_view import load_run as load_run
from swe_router.api.runner import run as run
from swe_router.errors import SweRouterError as SweRouterError
from swe_router.errors import UsageError as UsageError
from swe_router.records import Arm as Arm
from swe_router.records import Attempt as Attempt
from swe_router.records import Candidate as Candidate
from swe_router.records import Features as Features
from swe_router.records import Instance as Instance
from swe_router.records import Outcome as Outcome
from swe_router.records import RunRecord as RunRecord
from swe_router.records import Verdict as Verdict
from swe_router.settings import Settings as Settings
from swe_router.settings import load as load_settings

__version__: str
__all__ = [
    "Arm",
    "Attempt",
    "Candidate",
    "Features",
    "Instance",
    "Leaderboard",
    "Outcome",
    "Run",
    "RunRecord",
    "Settings",
    "SweRouterError",
    "UsageError",
    "Verdict",
    "__version__",
    "leaderboard",
    "load_run",
    "load_settings",
    "run",
]
