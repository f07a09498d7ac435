"""Everything that a run depends on, as one typed tree."""

from swe_router.settings.loading import build, load, merge, parse_set, read_toml, toml_value
from swe_router.settings.tables import (
    TIER_NAME,
    EnsembleSettings,
    GradeSettings,
    LimitSettings,
    PolicySettings,
    Price,
    PriceSettings,
    SandboxSettings,
    Settings,
    Table,
    Tier,
    VerifySettings,
    name_of,
)

__all__ = [
    "TIER_NAME",
    "EnsembleSettings",
    "GradeSettings",
    "LimitSettings",
    "PolicySettings",
    "Price",
    "PriceSettings",
    "SandboxSettings",
    "Settings",
    "Table",
    "Tier",
    "VerifySettings",
    "build",
    "load",
    "merge",
    "name_of",
    "parse_set",
    "read_toml",
    "toml_value",
]
