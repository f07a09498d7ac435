# The server behind the tier `local` of eval/presets/hybrid.toml: vLLM on an NVIDIA GPU.
#
#   docker build -f docker/vllm.Dockerfile -t swe-router/vllm docker
#   export SWE_ROUTER_SERVE_KEY="sk-local-$(openssl rand -hex 24)"
#   docker run --rm --gpus all --ipc=host -p 127.0.0.1:8000:8000 -e VLLM_API_KEY="$SWE_ROUTER_SERVE_KEY" \
#     -v "$HOME/.cache/huggingface:/root/.cache/huggingface" swe-router/vllm
#
# or docker/compose.yaml, which starts it again after a crash. `swe-router serve NAME --dry-run --card GB`
# has MODEL and WINDOW for a card, and the tier; more options of `vllm serve` may follow the image's
# name. Pin BASE to a version for runs that are to be compared.
ARG BASE=vllm/vllm-openai:latest
FROM ${BASE}
ARG MODEL=deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct
ARG WINDOW=32768
ENV MODEL=${MODEL} WINDOW=${WINDOW} VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=15m \
  CMD python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=8)"
# Prefix caching makes the append-only conversations cheap; the details flag shows it in the usage.
ENTRYPOINT ["/bin/sh", "-c", ": \"${VLLM_API_KEY:?set VLLM_API_KEY}\"; exec vllm serve \"$MODEL\" --host 0.0.0.0 --port 8000 --max-model-len \"$WINDOW\" --enable-prefix-caching --enable-prompt-tokens-details \"$@\"", "vllm"]
