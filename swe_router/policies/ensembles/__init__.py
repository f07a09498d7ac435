"""Policies that make several candidates and select one."""
