#!/bin/sh
# What the programs give, as text: the bytes of every stored file and the
# printed figures. Run it before and after a change that should change nothing,
# and compare the two folders with diff -r.
#
#     [DATA=FOLDER] tests/long/baseline.sh OUT
#
# OUT/bytes.txt: a hash of each file that render-clips, preprocess and augment
# write from rendered heads; OUT/rows.txt: their rows, without what names
# programs, folders and times; OUT/figures.txt: what the error pipelines print.
# DATA: the folder with 300w-afw-helen, pointing04-fasseg and head-model; without
# it, their pipelines are left out.
# One thread a process: sums are made in one order.
set -eu
[ $# = 1 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1 facet=${BUILD:-build}/facet
[ -x "$facet" ] || { echo "baseline: no '$facet': run \`make\` first" >&2; exit 3; }
mkdir -p "$out"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
FACET_THREADS=1
export FACET_THREADS
DEAD=0 # runs that end with status 1: some items fail

run() { "$facet" run "$@" --quiet > "$tmp/said" 2> "$tmp/log" || [ $? = 1 ] || {
	cat "$tmp/log" >&2
	echo "baseline: facet run $* ended with status $?" >&2
	exit 3
}; }

run render-clips --set out="$tmp/clips" --set heads=4 --set frames=12
run preprocess --set videos="$tmp/clips" --set out="$tmp/pairs"
mkdir "$tmp/pictures"
find "$tmp/pairs" -name 'frame_0.jpg' | sort | while read -r f; do
	id=${f#"$tmp/pairs/"}
	mkdir -p "$tmp/pictures/${id%%/*}"
	cp "$f" "$tmp/pictures/${id%%/*}/0.jpg"
done
run augment --set pictures="$tmp/pictures" --set out="$tmp/views"
(cd "$tmp" && find clips pairs views -name .facet -prune -o -name dead -prune -o \
	-type f ! -name index.csv ! -name settings.csv -print | LC_ALL=C sort |
	xargs -d '\n' sha256sum) > "$out/bytes.txt"
"${PYTHON:-/usr/bin/python3}" - "$tmp" > "$out/rows.txt" <<'P'
import csv, sys
LEFT_OUT = {"source", "item", "recipe"}
for store in ("pairs", "views"):
    with open(f"{sys.argv[1]}/{store}/index.csv", newline="") as f:
        for row in csv.DictReader(f):
            print(store, *(f"{k}={v}" for k, v in row.items()
                           if v and k not in LEFT_OUT))
P

figures() {
	echo "== $*"
	DEAD=$((DEAD + 1))
	run "$@" --set dead="$tmp/dead$DEAD"
	LC_ALL=C sort "$tmp/said" # two sinks print in the order they end
}
{
	figures rendered-error
	figures rendered-surface-error
	figures surface-error
	figures steadiness --set heads=2 --set seed=7
	if [ -n "${DATA:-}" ]; then
		figures landmark-error --set data="$DATA/300w-afw-helen"
		figures landmark-error --set data="$DATA/300w-afw-helen" --set detect=yes
		figures detector-error --set data="$DATA/300w-afw-helen"
		figures pose-error --set data="$DATA/pointing04-fasseg" --set split=test
		for m in "$DATA"/head-model/*.safetensors; do
			figures surface-error --set model="$m"
		done
	fi
} | sed "s|$tmp|TMP|g; s|${DATA:-/no data/}|DATA|g" > "$out/figures.txt"
wc -l "$out"/*.txt
