"""Doubles that plug into the seams; nothing is patched."""
