"""A run, made again from what it recorded: no model, no key, no sandbox."""
