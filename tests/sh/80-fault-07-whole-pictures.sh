#!/bin/sh
# A picture whose end is missing has all its pixels or is refused; where
# something is missing that is no pixel, decode_note says so. All formats are cut
# at several places: never other pixels without a note.
# needs: c:ffmpeg c:python3 py:numpy tests/stages
set -eu
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
export BUILD
PYTHONPATH=tests/py "$PYTHON" tests/py/picture_faults.py whole "$t"
