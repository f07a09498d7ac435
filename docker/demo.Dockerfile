# One instance of the demo suite: git, python, pytest, and the package at /testbed, at its base
# commit, with no later object. Build it (from the repository root) under the row's image name:
#
#   docker build -f docker/demo.Dockerfile --build-arg INSTANCE=demo__confet-3 \
#     -t swe-router/demo:demo__confet-3 eval/suites/demo
#
# and all of them:
#
#   for id in $(grep -o '"instance_id": "[^"]*"' eval/suites/demo/instances.jsonl | cut -d'"' -f4); do
#     docker build -q -f docker/demo.Dockerfile --build-arg INSTANCE="$id" \
#       -t "swe-router/demo:$id" eval/suites/demo || break
#   done
#
# BASE is any image with a shell. What it lacks of git, python and pytest is installed, so a base
# that has all three builds with no network, e.g. a Debian one:
#
#   debootstrap --variant=minbase --include=git,python3,python3-pytest bookworm rootfs
#   tar -C rootfs -c . | docker import - demo-base
#   docker build --build-arg BASE=demo-base ...
ARG BASE=python:3.11-slim

FROM ${BASE} AS tools
RUN set -eu; \
    if ! command -v git > /dev/null || ! command -v python3 > /dev/null; then \
        apt-get update; \
        apt-get install -y --no-install-recommends git python3 python3-pytest; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    command -v python > /dev/null || ln -s "$(command -v python3)" /usr/local/bin/python; \
    python -m pytest --version || python -m pip install --no-cache-dir 'pytest>=7'

# The rows hold the answer key: they stay behind in this stage.
FROM tools AS repository
ARG INSTANCE
COPY instances.jsonl /suite/
COPY repos /suite/repos
RUN set -eu; \
    row() { python -c 'import json, sys; print(*(r[sys.argv[2]] for r in map(json.loads, open("/suite/instances.jsonl")) if r["instance_id"] == sys.argv[1]))' "${INSTANCE}" "$1"; }; \
    name="$(row repo)"; base="$(row base_commit)"; \
    [ -n "${base}" ] || { echo "no instance '${INSTANCE}': give --build-arg INSTANCE=ID"; exit 1; }; \
    git init -q --bare /suite/all.git; \
    git -C /suite/all.git fast-import --quiet < "/suite/repos/${name#demo/}.fi"; \
    git -C /suite/all.git branch start "${base}"; \
    git init -q -b main /testbed; \
    cd /testbed; \
    git fetch -q /suite/all.git start; \
    git reset -q --hard FETCH_HEAD; \
    rm -f .git/FETCH_HEAD .git/ORIG_HEAD

FROM tools
COPY --from=repository /testbed /testbed
ENV LANG=C.UTF-8 TZ=UTC
WORKDIR /testbed
CMD ["/bin/bash"]
