#!/bin/sh
# Extreme numbers in a video's header: display matrix, pixel aspect, time scale,
# durations, edit list, sizes. Frames or a reason, no undefined behaviour.
# needs: c:ffmpeg c:python3 py:numpy tests/stages
set -eu
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
export BUILD
PYTHONPATH=tests/py "$PYTHON" tests/py/odd_numbers.py "$t"
