"""The composition root: settings to wired objects; the one room that knows every name."""
