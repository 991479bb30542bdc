#!/bin/sh
# Runs every libFuzzer target of a clang build for FUZZ_SECONDS each, starting
# from the committed corpus; what it finds on the way is kept in
# $BUILD/corpus. With FUZZ_RUNS, so many inputs from a fixed seed instead: the
# same ones every time. `make fuzz` calls it. Ends with "N passed, N failed".
set -u
if [ -n "${FUZZ_RUNS:-}" ]; then
	how="-runs=$FUZZ_RUNS -seed=1"
else
	how="-max_total_time=${FUZZ_SECONDS:-60}"
fi
BUILD=${BUILD:-build-fuzz}
passed=0 failed=0
for target in "$BUILD"/fuzz/fuzz_*; do
	[ -x "$target" ] || continue
	name=$(basename "$target")
	[ -z "${FUZZ_RUNS:-}" ] || rm -rf "$BUILD/corpus/$name"
	mkdir -p "$BUILD/corpus/$name"
	printf '%s: ' "$name"
	# shellcheck disable=SC2086 # two options
	if "$target" $how -timeout=60 \
		-rss_limit_mb=2048 -artifact_prefix="$BUILD/$name-" \
		"$BUILD/corpus/$name" "tests/fuzz/corpus/${name#fuzz_}" \
		> "$BUILD/$name.log" 2>&1
	then
		passed=$((passed + 1))
		tail -n 1 "$BUILD/$name.log"
	else
		failed=$((failed + 1))
		echo "FAILED"
		sed -n '/ERROR: /,/^SUMMARY/p' "$BUILD/$name.log" | head -n 40
		tail -n 6 "$BUILD/$name.log" # the input itself
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
