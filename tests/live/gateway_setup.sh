#!/usr/bin/env bash
# LiteLLM's proxy and Portkey's gateway, for `make live TIERS=gateway`: PyPI and npm alone, about 600 MB.
#   tests/live/gateway_setup.sh FOLDER     # Python 3.11 and Node 18 or newer; two minutes
# FOLDER gets litellm/ and portkey/, each with its own packages; a second call finds them.
# The tier also needs a vLLM server with an OpenAI API: SWE_ROUTER_VLLM_URL and SWE_ROUTER_VLLM_MODEL.
set -euo pipefail
folder=${1:?usage: tests/live/gateway_setup.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
if [ ! -x litellm/bin/litellm ]; then
  "${PYTHON311:-python3.11}" -m venv litellm
  litellm/bin/pip install --quiet 'litellm[proxy]==1.108.7'
fi
if [ ! -d portkey/node_modules/@portkey-ai/gateway ]; then
  mkdir -p portkey
  (cd portkey && npm init --yes >/dev/null && npm install --silent @portkey-ai/gateway@1.15.2)
fi
echo "export SWE_ROUTER_GATEWAYS=$PWD"
