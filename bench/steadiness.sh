#!/bin/sh
# Jitter and lag of the landmarks for a grid of the filter's parameters, on the
# heads of pipelines/steadiness.yaml: what landmark-smoother's defaults are
# chosen by. The landmarker runs once. MODEL, BOX, HEADS, FRAMES, FPS, GRAIN,
# JPEG, SEED, MIN_CUTOFFS, BETAS, DERIVATIVE_CUTOFFS may be set.
set -eu
BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
stage() { s=$1; shift; "$BUILD/stages/$s" --stdio "$@"; }
heads() {
	stage head-renderer --mode "$1" --snippet "$1" --heads "${HEADS:-6}" --frames "${FRAMES:-75}" \
		--fps "${FPS:-25}" --yaw 20 --grain "${GRAIN:-3}" --jpeg "${JPEG:-80}" --seed "${SEED:-1}"
}
points() { stage landmarker --model "${MODEL:-points-128}" --box "${BOX:-two-pass}"; }
# What fails (status 1: no face) is said by the stage itself.
heads still | points > "$tmp/still.tape" || [ $? -eq 1 ]
heads sway | points > "$tmp/sway.tape" || [ $? -eq 1 ]
# row NAME...: one line of the table from the evaluator's table of clips
row() {
	awk -F, -v name="$*" '
		NR > 1 && $2 == "still" {n++; j += $8 * $8; s += $10 * $10}
		NR > 1 && $2 == "moving" {m++; e += $12; t += $10 * $10; if ($13 != "") {l++; lag += $13}}
		END {printf "%-16s  %6.3f %6.3f   %6.3f %6.3f   %6.1f\n", name, sqrt(j / n), sqrt(s / n),
			e / m, sqrt(t / m), lag / l}' "$tmp/out.csv"
}
both() { "$BUILD/facet" tape cat "$tmp/still.tape" "$tmp/sway.tape"; }
echo "percentages of the outer-eye distance; lag in ms"
echo "cutoff beta deriv  still: jitter, steps   moving: error, steps, lag"
both | stage steadiness-evaluator --csv "$tmp/out.csv" > /dev/null
row "no filter"
for m in ${MIN_CUTOFFS:-0.3 0.5 1 2}; do
	for b in ${BETAS:-10 20 40}; do
		for d in ${DERIVATIVE_CUTOFFS:-1}; do
			both | stage landmark-smoother --min-cutoff "$m" --beta "$b" --derivative-cutoff "$d" |
				stage steadiness-evaluator --csv "$tmp/out.csv" > /dev/null
			row "$m" "$b" "$d"
		done
	done
done
