"""Policies that a router must beat: one tier, blind mixes."""
