"""Settings -> wired objects: the only room that knows every name."""
