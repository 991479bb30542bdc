#!/bin/sh
# The landmarker on annotated photographs (where they are): NME as the weights'
# README states. A small made set checks refusals everywhere.
# needs: all
set -eu
BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A flat picture and one of stripes have no face; the evaluator counts them.
mkdir "$tmp/d"
row=$(awk 'BEGIN {for (i = 0; i < 68; i++) printf ",%d,%d", 10 + i % 17 * 2, 10 + i}')
printf 'path,x0,y0\nflat.ppm%s\nstripes.ppm%s\n' "$row" "$row" > "$tmp/d/landmarks.csv"
printf 'path,split\nflat.ppm,test\nstripes.ppm,test\n' > "$tmp/d/index.csv"
{ printf 'P6\n96 96\n255\n'; head -c 27648 /dev/zero | tr '\0' '\200'; } > "$tmp/d/flat.ppm"
{ printf 'P6\n96 96\n255\n'; yes 'aaaaaa      ' | tr -d '\n' | head -c 27648; } > "$tmp/d/stripes.ppm"
rc=0
"$BUILD/facet" run --quiet pipelines/landmark-error.yaml --set data="$tmp/d" \
	--set dead="$tmp/dead" > "$tmp/out" 2>&1 || rc=$?
grep -q 'no face was found in 2' "$tmp/out" || { cat "$tmp/out"; exit 1; }
[ $rc -eq 1 ] || { echo "exit status $rc, 1 expected"; cat "$tmp/out"; exit 1; }

# Bad annotations are refused with file and record.
printf 'path,x0\nflat.ppm,1\n' > "$tmp/d/landmarks.csv"
rc=0
"$BUILD/stages/annotation-reader" --stdio --root "$tmp/d" > /dev/null 2> "$tmp/e" || rc=$?
[ $rc -ne 0 ] && grep -q 'landmarks.csv.* line 2.*137 expected' "$tmp/e" || { cat "$tmp/e"; exit 1; }
# A model that is not there: the folders searched are named.
rc=0
"$BUILD/stages/landmarker" --stdio --model no-such < /dev/null > /dev/null 2> "$tmp/e" || rc=$?
[ $rc -ne 0 ] && grep -q "no model 'no-such' in .*models" "$tmp/e" || { cat "$tmp/e"; exit 1; }

data=../shared/data/300w-afw-helen
[ -f "$data/index.csv" ] || exit 0
# Every 7th test face is enough here; the whole split gives 3.67 %.
mkdir "$tmp/s"
ln -s "$(cd "$data" && pwd)/images" "$tmp/s/images"
cp "$data/landmarks.csv" "$tmp/s/"
awk -F, 'NR == 1 || ($4 == "test" && ++n % 7 == 0)' "$data/index.csv" > "$tmp/s/index.csv"
"$BUILD/facet" run --quiet pipelines/landmark-error.yaml --set data="$tmp/s" \
	--set csv="$tmp/faces.csv" --set dead="$tmp/dead" > "$tmp/out" 2>&1 || { cat "$tmp/out"; exit 1; }
nme=$(sed -n 's/^.*NME \([0-9.]*\) %$/\1/p' "$tmp/out")
awk -v x="$nme" 'BEGIN {exit !(x > 3.2 && x < 4.2)}' || { cat "$tmp/out"; exit 1; }
[ "$(wc -l < "$tmp/faces.csv")" -eq 31 ]
