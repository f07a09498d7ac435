"""Policies that let several candidates compete."""
