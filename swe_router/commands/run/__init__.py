"""``run`` and ``resume``: create, drive, resume and finish a run."""
