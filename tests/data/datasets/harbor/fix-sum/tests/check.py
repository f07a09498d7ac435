import sys

sys.path.insert(0, "/app")
from calc import add

sys.exit(add(1, 2) != 3)
