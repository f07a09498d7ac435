#!/bin/bash
# The verifier's own image: the patch is handed in as a file.
cd /app && patch -s -p1 < /logs/artifacts/model.patch
if python3 /tests/check.py; then echo '{"reward": 1, "f2p": 1.0}'
else echo '{"reward": 0, "f2p": 0.0}'; fi > /logs/verifier/reward.json
