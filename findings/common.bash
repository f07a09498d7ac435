# Sourced by every finding: a venv in a temp folder that goes with the script, and its Python.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

# packages NAME==VERSION... : install them, pinned, and nothing of this repository. uv is faster.
packages() {
  if command -v uv >/dev/null; then
    uv venv --quiet --python "${PYTHON:-python3}" "$place/venv"
    uv pip install --quiet --python "$place/venv/bin/python" "$@"
  else
    "${PYTHON:-python3}" -m venv "$place/venv"
    "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  fi
}

# seen: run the Python text on standard input; it asserts what was seen when the finding was made.
seen() { "$place/venv/bin/python" -I - "$@"; }
