#!/bin/sh
# Kill -9 the runner at random moments, run again, ROUNDS times: the store must
# end as the same bytes as one that nobody disturbed, and no process be left.
set -eu
BUILD=${BUILD:-build}
ROUNDS=${ROUNDS:-6}
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
pre "$tmp/calm" > "$tmp/log" 2>&1
tree "$tmp/calm" > "$tmp/want"
round=0
kills=0
while [ $round -lt "$ROUNDS" ]; do
	round=$((round + 1))
	out=$tmp/killed$round
	while :; do
		pre "$out" > "$tmp/log" 2>&1 &
		pid=$!
		sleep "$(awk -v s="$(od -An -N2 -tu2 /dev/urandom)" 'BEGIN {print 0.05 + s / 65536 * 1.2}')"
		if kill -9 $pid 2> /dev/null; then kills=$((kills + 1)); fi
		rc=0
		wait $pid 2> /dev/null || rc=$?
		[ $rc -eq 137 ] || break
	done
	[ $rc -eq 0 ] || { cat "$tmp/log"; echo "round $round: status $rc"; exit 1; }
	tree "$out" | diff "$tmp/want" - || { echo "round $round: the store differs"; exit 1; }
done
sleep 1
for p in /proc/[0-9]*/cmdline; do
	if tr '\0' ' ' < "$p" 2> /dev/null | grep -q -- "$tmp"; then
		case $p in /proc/$$/*) continue ;; esac
		echo "a process is left: $(tr '\0' ' ' < "$p")"
		exit 1
	fi
done
echo "$ROUNDS stores killed $kills times: the same bytes"
