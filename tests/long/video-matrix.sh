#!/bin/sh
# Every container and codec that this FFmpeg writes, and time stamps of every
# wrong kind, against the ffmpeg tool: more than a thousand files, half an hour.
# Run from the repository root.
set -eu
BUILD=${BUILD:-build} PYTHON=${PYTHON:-/usr/bin/python3}
exec "$PYTHON" tests/py/video_matrix.py --tool "$BUILD/tests/stages/video-frames" "$@"
