#!/bin/sh
# Convolution kernels on SEEDS x ROUNDS random geometries against the slowest
# loop, each seed in a process of its own: every failure is printed. It is how
# faults of a oneDNN version are found (lib/nn/dnnl_conv_choose.c).
set -u
BUILD=${BUILD:-build}
SEEDS=${SEEDS:-20} ROUNDS=${ROUNDS:-150} FIRST=${FIRST:-1}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=0 seed=$FIRST
while [ "$seed" -lt $((FIRST + SEEDS)) ]; do
	if ! CMOCKA_TEST_FILTER=test_geometries CONV_SEED=$seed CONV_ROUNDS=$ROUNDS \
		"$BUILD/tests/test_nn_conv_edges" > "$log" 2>&1; then
		bad=$((bad + 1))
		echo "seed $seed:"
		grep -E 'ERROR|LINE|difference' "$log"
	fi
	seed=$((seed + 1))
done
echo "$SEEDS seeds of $ROUNDS geometries, $bad with failures"
[ $bad -eq 0 ]
