"""Baselines that a router must beat: random mixes of tiers."""
