#!/bin/sh
# Faces a second, ours against PyTorch and OpenCV: landmarks (crops to points),
# lift (points to points in 3-D), both (frames and boxes to points in 3-D),
# detect (frames to boxes) and all (frames to points in 3-D), on rendered heads,
# with the same weights and threads, turn by turn; medians of ROUNDS processes,
# the ratio from the same run. The peer takes its fastest form (eager,
# channels-last, jit) and number of faces at once; ours takes one at a time. A
# part whose results are apart stops the bench. One line a part: name, ours,
# peer, ratio (ours / peer, in faces a second), the peer's choice.
# PARTS, MODE (fast, exact, bf16), LANDMARKS, LIFT, DETECTOR (weights), FACES,
# SIZE (of the frames) may be set; CHOICE="jit 8" saves the peer's choosing. Without DETECTOR's file the last two parts
# are left out.
set -eu
BUILD=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
ROUNDS=${ROUNDS:-3}
PASSES=${PASSES:-5}
THREADS=${THREADS:-2}
MODE=${MODE:-fast}
FACES=${FACES:-32}
SIZE=${SIZE:-640x480}
LANDMARKS=${LANDMARKS:-models/points-128.safetensors}
LIFT=${LIFT:-models/lift-384.safetensors}
DETECTOR=${DETECTOR:-models/faces-16.safetensors}
PARTS=${PARTS:-landmarks lift both detect all}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/facet-bench-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# How far the two may be apart in the mean, pixels of frames of $SIZE: crops
# that are given differ by arithmetic only; those that each side cuts itself by
# the resampling of shrunken pictures, and boxes move with the detector's look.
limit() {
	case $MODE-$1 in
	bf16-*) echo 2 ;;
	*-landmarks | *-lift) echo 0.02 ;;
	*) echo 0.5 ;;
	esac
}

case $MODE in
fast) flag= ;;
exact | bf16) flag=--$MODE ;;
*) echo "MODE: fast, exact or bf16" >&2; exit 2 ;;
esac
"$BUILD/stages/head-renderer" --stdio --heads "$FACES" --frames 1 \
	--size "$SIZE" --fill 0.35 > "$tmp/heads.tape"
"$PYTHON" bench/faces_data.py "$tmp/heads.tape" "$LANDMARKS" "$tmp/data"

ours() { # part
	"$BUILD/bench/faces" "$1" "$tmp/data" --landmarks "$LANDMARKS" \
		--lift "$LIFT" --detector "$DETECTOR" --threads "$THREADS" \
		--passes "$PASSES" --out "$tmp/a" $flag
}
peer() { # part [form batch out]
	part=$1
	shift
	"$PYTHON" bench/faces_torch.py "$part" "$tmp/data" "$LANDMARKS" "$LIFT" \
		"$DETECTOR" "$THREADS" "$PASSES" "$@"
}

for part in $PARTS; do
	case $part in detect | all)
		if [ ! -e "$DETECTOR" ]; then
			echo "$part: left out, there is no $DETECTOR"
			continue
		fi ;;
	esac
	choice=${CHOICE:-$(peer "$part")}
	: > "$tmp/ours"
	: > "$tmp/peer"
	i=0
	while [ $i -lt "$ROUNDS" ]; do
		i=$((i + 1))
		ours "$part" >> "$tmp/ours"
		# shellcheck disable=SC2086 # form and batch
		peer "$part" $choice "$tmp/b" >> "$tmp/peer"
	done
	apart=$("$PYTHON" bench/faces_torch.py compare "$tmp/a" "$tmp/b" \
		"$(limit "$part")") || {
		echo "$part: ours and the peer $apart" >&2
		exit 1
	}
	awk -v name="$part $MODE" -v a="$(median < "$tmp/ours")" \
		-v b="$(median < "$tmp/peer")" -v c="$choice" -v d="$apart" 'BEGIN {
		split(c, form, " ")
		printf "%-16s ours %8.1f faces/s  peer %8.1f faces/s  ratio %.2f",
			name, 1e3 / a, 1e3 / b, b / a
		printf "  (peer: %s, %d at once; %s)\n", form[1], form[2], d
	}'
done
