"""Everything that a run depends on, as one typed tree."""

from swe_router.settings.batch_settings import BatchSettings
from swe_router.settings.loading import (
    build,
    changed,
    load,
    merge,
    parse_set,
    preset_of,
    read_toml,
    toml_value,
)
from swe_router.settings.price_tables import HardwareSettings, Price, PriceSettings
from swe_router.settings.schema import (
    HOW_NOT_WHAT,
    PACE_SETTINGS,
    TIER_NAME,
    EnsembleSettings,
    GradeSettings,
    LimitSettings,
    PolicySettings,
    SandboxSettings,
    Settings,
    Tier,
    VerifySettings,
    name_of,
)
from swe_router.settings.settings_table import Table

__all__ = [
    "HOW_NOT_WHAT",
    "PACE_SETTINGS",
    "TIER_NAME",
    "BatchSettings",
    "EnsembleSettings",
    "GradeSettings",
    "HardwareSettings",
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
    "changed",
    "load",
    "merge",
    "name_of",
    "parse_set",
    "preset_of",
    "read_toml",
    "toml_value",
]
