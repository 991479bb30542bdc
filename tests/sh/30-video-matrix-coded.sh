#!/bin/sh
# Containers x codecs against the ffmpeg tool, the short form (coded); the whole:
# tests/long/video-matrix.sh. tests/py/video_matrix.py says what is compared.
# needs: c:ffmpeg c:python3 py:numpy tests/stages
set -eu
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
"$PYTHON" tests/py/video_matrix.py --short --part coded --tool "$BUILD/tests/stages/video-frames"
