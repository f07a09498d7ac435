"""A model served on this machine: what it needs, how it is started, watched and stopped."""
