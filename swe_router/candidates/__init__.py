"""Patches and trajectories that others made: read without any label, and put together."""
