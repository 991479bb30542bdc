#!/bin/sh
# Pictures are turned upright by EXIF in JPEG, PNG, WebP and TIFF (both byte
# orders, nonsense values), by irot and imir in HEIC and AVIF.
# needs: c:ffmpeg c:python3 py:numpy tests/stages
set -eu
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
export BUILD
PYTHONPATH=tests/py "$PYTHON" tests/py/picture_faults.py orientation "$t"
