#!/bin/sh
# Kill -9 the runner at random moments, run again, ROUNDS times: the store must
# end as the same bytes as one that nobody disturbed, and no process be left.
set -eu
BUILD=${BUILD:-build}
ROUNDS=${ROUNDS:-6}
. tests/support/wait.sh
fail() { echo "FAILED: $*" >&2; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
facet=$BUILD/facet
"$facet" run --quiet pipelines/render-clips.yaml --set out="$tmp/clips" \
	--set heads=6 --set frames=10 --set size=192 > "$tmp/log" 2>&1
tree() { # the store's files, without its journal
	(cd "$1" && find . -type f ! -path './.facet/*' ! -path './dead/*' \
		-exec md5sum {} + | sort -k 2)
}
pre() { "$facet" run --quiet pipelines/preprocess.yaml --set videos="$tmp/clips" --set out="$1"; }
began=$(date +%s%N)
pre "$tmp/calm" > "$tmp/log" 2>&1
calm=$(($(date +%s%N) - began))
tree "$tmp/calm" > "$tmp/want"
round=0
kills=0
while [ $round -lt "$ROUNDS" ]; do
	round=$((round + 1))
	out=$tmp/killed$round
	while :; do
		pre "$out" > "$tmp/log" 2>&1 &
		pid=$!
		# Up to half as long again as a whole run takes now.
		sleep "$(awk -v s="$(od -An -N2 -tu2 /dev/urandom)" -v ns="$calm" \
			'BEGIN {print 0.05 + s / 65536 * 1.5e-9 * ns}')"
		if kill -9 $pid 2> /dev/null; then kills=$((kills + 1)); fi
		rc=0
		wait $pid 2> /dev/null || rc=$?
		[ $rc -eq 137 ] || break
	done
	[ $rc -eq 0 ] || { cat "$tmp/log"; echo "round $round: status $rc"; exit 1; }
	tree "$out" | diff "$tmp/want" - || { echo "round $round: the store differs"; exit 1; }
done
# The pattern is kept out of grep's own command line.
echo "$tmp/killed" > "$tmp/pattern"
none_left() { ! grep -qsFaf "$tmp/pattern" /proc/[0-9]*/cmdline; }
wait_for "all processes of killed runs go" none_left
echo "$ROUNDS stores killed $kills times: the same bytes"
