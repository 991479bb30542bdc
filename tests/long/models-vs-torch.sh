#!/bin/sh
# Full-size networks against PyTorch run live: every entry of every output and
# gradient, exact, fast and on OpenBLAS, and ten training steps. Some minutes
# and 5 GB. Run from the repository root:
# BUILD=build tests/long/models-vs-torch.sh [CASE ...]
set -eu
BUILD=${BUILD:-build} PYTHON=${PYTHON:-/usr/bin/python3}
"$PYTHON" -c 'import torch' 2> /dev/null || { echo "no PyTorch"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/facet-models-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
"$PYTHON" tests/long/models_vs_torch.py "$BUILD/tests/stages/model-grads" \
	"$dir" "$@"
