"""The marks that reader and writer of the text form share."""

from __future__ import annotations

import re

NO_NEWLINE = "(no final newline)"
"""Stands behind ``<<WORD`` when the text does not end in a newline."""
BARE = r"[A-Za-z_][A-Za-z0-9_.-]*"
"""A name that needs no quotes."""
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Characters that are always written as JSON escapes."""
