# The server behind the tier `local` of eval/presets/hybrid.toml: vLLM on an NVIDIA GPU.
#
#   docker build -f docker/vllm.Dockerfile -t swe-router/vllm docker
#   docker run --rm --gpus all --ipc=host -p 127.0.0.1:8000:8000 \
#     -v "$HOME/.cache/huggingface:/root/.cache/huggingface" swe-router/vllm
#
# MODEL and WINDOW are what the tier says as `model` and `window`; more flags of `vllm serve` may
# follow the image's name. Pin BASE to a version for runs that are to be compared.
ARG BASE=vllm/vllm-openai:latest
FROM ${BASE}
ARG MODEL=deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct
ARG WINDOW=32768
ENV MODEL=${MODEL} WINDOW=${WINDOW} VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
EXPOSE 8000
# Prefix caching makes the append-only conversations cheap; the details flag shows it in the usage.
ENTRYPOINT ["/bin/sh", "-c", "exec vllm serve \"$MODEL\" --host 0.0.0.0 --port 8000 --max-model-len \"$WINDOW\" --trust-remote-code --enable-prefix-caching --enable-prompt-tokens-details \"$@\"", "vllm"]
