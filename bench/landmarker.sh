#!/bin/sh
# FAN's network against PyTorch's best mode (eager, eager channels-last, jit
# optimize_for_inference): same weights, same threads, turn by turn; medians
# of ROUNDS processes. One line a case: name, ours, peer, ratio (ours / peer,
# crops per second); bf16 where the CPU has it. LARGE=no leaves FAN-4 out.
set -eu
BUILD=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
ROUNDS=${ROUNDS:-3}
THREADS=${THREADS:-2}
LARGE=${LARGE:-yes}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/facet-bench-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# The processes are alone in a bench: PyTorch's threads wait as it likes, ours
# as they do in a stage (lib/nn/threads.h).
bench() { # name weights batch runs
	for kind in exact fast bf16 eager nhwc jit; do : > "$tmp/$kind"; done
	i=0
	while [ $i -lt "$ROUNDS" ]; do
		i=$((i + 1))
		"$BUILD/bench/landmarker_net" "$2" --threads "$THREADS" \
			--batch "$3" --runs "$4" >> "$tmp/exact"
		"$BUILD/bench/landmarker_net" "$2" --threads "$THREADS" \
			--batch "$3" --runs "$4" --fast >> "$tmp/fast"
		"$BUILD/bench/landmarker_net" "$2" --threads "$THREADS" \
			--batch "$3" --runs "$4" --bf16 >> "$tmp/bf16" 2>/dev/null ||
			: # not on this CPU
		"$PYTHON" bench/landmarker_torch.py "$2" "$3" "$4" "$THREADS" \
			> "$tmp/torch"
		read -r a b c < "$tmp/torch"
		echo "$a" >> "$tmp/eager"; echo "$b" >> "$tmp/nhwc"
		echo "$c" >> "$tmp/jit"
	done
	peer=$(for k in eager nhwc jit; do median < "$tmp/$k"; done | sort -n | head -n 1)
	for kind in fast exact bf16; do
		[ -s "$tmp/$kind" ] || continue
		awk -v name="$1 $kind, batch $3" -v n="$3" -v b="$peer" \
			-v a="$(median < "$tmp/$kind")" 'BEGIN {
			printf "%-32s ours %8.2f crops/s  peer %8.2f crops/s  ratio %.2f\n",
				name, 1e3 * n / a, 1e3 * n / b, b / a
		}'
	done
}

bench "network fan1-128" models/fan1-128.safetensors 1 25
bench "network fan1-128" models/fan1-128.safetensors 8 5
if [ "$LARGE" = yes ]; then
	"$PYTHON" tests/py/make_goldens.py --weights 4 256 "$tmp/fan4.safetensors"
	bench "network fan4-256" "$tmp/fan4.safetensors" 1 7
fi
