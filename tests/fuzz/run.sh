#!/bin/sh
# Runs every libFuzzer target of a clang build for FUZZ_SECONDS each, starting
# from the committed corpus; what it finds on the way is kept in
# $BUILD/corpus. `make fuzz` calls it. Ends with "N passed, N failed".
set -u
BUILD=${BUILD:-build-fuzz}
passed=0 failed=0
for target in "$BUILD"/fuzz/fuzz_*; do
	[ -x "$target" ] || continue
	name=$(basename "$target")
	mkdir -p "$BUILD/corpus/$name"
	printf '%s: ' "$name"
	if "$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=60 \
		-rss_limit_mb=2048 -artifact_prefix="$BUILD/$name-" \
		"$BUILD/corpus/$name" "tests/fuzz/corpus/${name#fuzz_}" \
		> "$BUILD/$name.log" 2>&1
	then
		passed=$((passed + 1))
		tail -n 1 "$BUILD/$name.log"
	else
		failed=$((failed + 1))
		echo "FAILED"
		tail -n 40 "$BUILD/$name.log"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
