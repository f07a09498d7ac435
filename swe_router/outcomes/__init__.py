"""Outcome tables: import, audit, replay of policies over them, metrics, statistics."""
