#!/bin/sh
# Preprocessing clips, and the landmark network, against OpenCV + PyTorch:
# the same weights, the same clips, turn by turn in one run; medians of ROUNDS.
# CLIPS (a folder) defaults to ../shared/data/clips where that is, else clips
# are rendered. Each line: name, ours, peer, ratio (ours / peer).
set -eu
BUILD=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
ROUNDS=${ROUNDS:-3}
CLIPS=${CLIPS:-../shared/data/clips}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/facet-bench-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

if [ ! -d "$CLIPS" ]; then
	CLIPS=$tmp/clips
	"$BUILD/facet" run --quiet pipelines/render-clips.yaml \
		--set out="$CLIPS" --set heads=20 --set frames=100
fi
weights=models/fan1-128.safetensors

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

i=0
while [ $i -lt "$ROUNDS" ]; do
	i=$((i + 1))
	start=$(date +%s%N)
	# Items that fail are part of the work: only a broken run stops us.
	"$BUILD/facet" run --quiet pipelines/preprocess.yaml \
		--set points.model="$weights" \
		--set videos="$CLIPS" --set out="$tmp/ours$i" > "$tmp/log" 2>&1 || {
		rc=$?
		[ $rc -eq 1 ] || { cat "$tmp/log" >&2; exit $rc; }
	}
	end=$(date +%s%N)
	echo "$start $end" | awk '{printf "%.3f\n", ($2 - $1) / 1e9}' >> "$tmp/ours"
	"$PYTHON" bench/preprocess_peer.py "$weights" "$CLIPS" "$tmp/peer$i" \
		> "$tmp/peer.out"
	awk '{print $3}' "$tmp/peer.out" >> "$tmp/peer"
	awk '{print $1}' "$tmp/peer.out" > "$tmp/n"
	rm -rf "$tmp/ours$i" "$tmp/peer$i"
done
awk -v n="$(cat "$tmp/n")" -v a="$(median < "$tmp/ours")" \
	-v b="$(median < "$tmp/peer")" 'BEGIN {
	printf "%-32s ours %8.2f clips/s  peer %8.2f clips/s  ratio %.2f\n",
		"preprocess (" n " clips)", n / a, n / b, b / a
}'
[ "${NETWORK:-yes}" = no ] || sh bench/landmarker.sh
