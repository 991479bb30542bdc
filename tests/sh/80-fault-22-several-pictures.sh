#!/bin/sh
# Files with several pictures: JPEGs in a row and animated PNG are clips; MPO,
# TIFF with pages and animated WebP give the first and say that it is one of
# several (23).
# needs: c:ffmpeg c:python3 py:numpy tests/stages
set -eu
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
export BUILD
PYTHONPATH=tests/py "$PYTHON" tests/py/picture_faults.py several "$t"
