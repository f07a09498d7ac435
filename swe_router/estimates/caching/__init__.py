"""What prompt caches saved, what it cost where they did not hold, and caches as providers do it."""
