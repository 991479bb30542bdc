#!/bin/sh
# Every frame of every clip in ../shared/data/clips and clips-odd against the
# ffmpeg tool, byte for byte (a JPEG picture: within 8 levels, libjpeg and
# FFmpeg interpolate its chroma differently). Some minutes. Run from the
# repository root: BUILD=build tests/long/frames-vs-ffmpeg.sh [THREADS]
set -eu
BUILD=${BUILD:-build} PYTHON=${PYTHON:-/usr/bin/python3}
threads=${1:-2}
[ -d ../shared/data/clips ] || { echo "no ../shared/data/clips"; exit 77; }
run() {
	tol=$1
	shift
	find "$@" -type f ! -name '*.md' ! -name '*.csv' -print0 | sort -z |
		xargs -0 "$PYTHON" tests/long/frames_vs_ffmpeg.py --all --tol "$tol" \
		--threads "$threads" --tool "$BUILD/tests/stages/video-frames"
}
rc=0
run 0 ../shared/data/clips || rc=1
run 0 ../shared/data/clips-odd ! -name made-jpeg-named.mp4 || rc=1
run 8 ../shared/data/clips-odd/made-jpeg-named.mp4 || rc=1
exit $rc
