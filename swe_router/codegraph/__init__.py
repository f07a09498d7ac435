"""Git objects to a graph of files, symbols, imports and calls."""

import os

# Without it the import of GitPython fails where git is missing, before anybody can say so plainly.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
