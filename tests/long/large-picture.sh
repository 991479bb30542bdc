#!/bin/sh
# A picture of 12000 x 9000: the generator alone, its view against the full one,
# and the whole of augment.yaml with a large and a small face: time, and each
# process's peak of memory (below 1.5 GiB).
set -eu
PYTHON=${PYTHON:-/usr/bin/python3} BUILD=${BUILD:-build}
B=${BUILD:-build}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
"$PYTHON" tests/py/large_picture_check.py "$B" "$d" big
for face in 3000 300; do
	mkdir -p "$d/pics/p" && rm -rf "$d/out"
	"$PYTHON" bench/large_picture.py "$B" "$d/pics/p/a.jpg" 12000x9000 $face
	echo "face of $face px, 25 views:"
	"$PYTHON" bench/run_peaks.py "$B/facet" run --quiet pipelines/augment.yaml \
		--set pictures="$d/pics" --set out="$d/out" > "$d/log" ||
		{ cat "$d/log"; exit 1; }
	grep 'peak\|wall' "$d/log"
	[ "$(ls "$d"/out/p/a.jpg/view_0_*.png | wc -l)" -eq 25 ]
	[ -s "$d/out/p/a.jpg/sheet_0.png" ]
	awk '/peak/ && $3 > 1536 {print "FAILED: " $0; bad = 1} END {exit bad}' "$d/log"
done
