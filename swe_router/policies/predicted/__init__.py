"""Policies that predict quality and cost per tier, then choose one tier."""
