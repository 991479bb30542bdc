#!/bin/sh
# The short tests with the machine under load: LOAD busy loops run beside
# `make check-built`, TIMES times; time and load of each round are shown. The
# loops end with the last round, however that ends, and at the latest after
# HOURS. Run from the repository root:
# BUILD=build LOAD=12 TIMES=3 scripts/under-load.sh
set -eu
BUILD=${BUILD:-build} LOAD=${LOAD:-12} TIMES=${TIMES:-3} HOURS=${HOURS:-3}
dir=$(mktemp -d)
loops=
stop() {
	# shellcheck disable=SC2086
	[ -z "$loops" ] || kill $loops 2> /dev/null || true
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
make B="$BUILD" tests > "$dir/log" 2>&1 || { tail -n 40 "$dir/log"; exit 1; }
i=0
while [ $i -lt "$LOAD" ]; do
	i=$((i + 1))
	# CPU time ends a loop whose parent was killed.
	(ulimit -t $((HOURS * 3600)) && exec sh -c 'while :; do :; done') &
	loops="$loops $!"
done
round=0 failed=0
while [ $round -lt "$TIMES" ]; do
	round=$((round + 1)) rc=0
	began=$(date +%s)
	make B="$BUILD" --no-print-directory check-built > "$dir/log" 2>&1 || rc=$?
	seconds=$(($(date +%s) - began))
	grep -A 80 '^FAILED' "$dir/log" || true
	printf 'round %d of %d beside %d busy loops: %s, %d s, load %s, status %d\n' \
		$round "$TIMES" "$LOAD" "$(grep ' passed, ' "$dir/log" | tail -n 1)" $seconds \
		"$(cut -d' ' -f1-3 /proc/loadavg)" $rc
	[ $rc -eq 0 ] || failed=$((failed + 1))
done
[ $failed -eq 0 ] || { echo "$failed of $TIMES rounds failed"; exit 1; }
