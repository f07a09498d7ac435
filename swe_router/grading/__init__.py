"""Patches and the answer key become official verdicts here, and nowhere else."""
