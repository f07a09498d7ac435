"""Figures for people, with the digits that decide."""

from __future__ import annotations


def apart(score: float, bar: float) -> tuple[str, str]:
    """A score and the threshold it is held against, with as many digits as tell them apart."""
    if score == bar:
        return f"{score:.4g}", f"{bar:.4g}"
    digits = next((n for n in range(2, 9) if f"{score:.{n}f}" != f"{bar:.{n}f}"), 9)
    return f"{score:.{digits}f}", f"{bar:.{digits}f}"
