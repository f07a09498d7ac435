"""Sandboxes: Docker, or this machine behind walls; and what keeps the future out of them."""
