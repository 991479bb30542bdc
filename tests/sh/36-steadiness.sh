# steadiness-evaluator on made points, and its pipeline: the filter makes still
# points steadier and moving ones later.
# needs: all c:python3 py:msgpack py:numpy
set -eu
facet=$(pwd)/$BUILD/facet
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; cat "$dir/log" >&2; exit 1; }
stage() { s=$1; shift; "$BUILD/stages/$s" --stdio "$@"; }
small="--heads 2 --frames 50 --size 32 --samples 1"

# Two frames at 25 a second are 80 ms; points that swing by 0.5 px to either
# side deviate by 0.5 and step by 1.
stage head-renderer --mode still --snippet still $small > "$dir/still.tape"
stage head-renderer --mode sway --snippet moving $small > "$dir/moving.tape"
"$facet" tape cat "$dir/still.tape" "$dir/moving.tape" > "$dir/in.tape"
"$PYTHON" tests/py/steadiness_tapes.py "$dir/in.tape" "$dir/out.tape" 2
stage steadiness-evaluator --csv "$dir/a.csv" < "$dir/out.tape" > "$dir/log" 2>&1 || fail "evaluator"
grep -q 'still: jitter 0.500 px, .* frame to frame 1.000 px, .* 2 clips, 100 frames, 2 without' "$dir/log" ||
	fail "still"
grep -q 'moving: lag 80.0 ms, 2.00 frames' "$dir/log" || fail "lag"
grep -q 'moving: error .* 2 clips, 100 frames, 2 without' "$dir/log" || fail "moving"
awk -F, 'NR > 1 {n[$2]++; if ($2 == "moving" && ($13 - 80) ^ 2 > 0.25) bad = 1
	if ($2 == "still" && $13 != "") bad = 1}
	END {exit bad || n["still"] != 2 || n["moving"] != 2}' "$dir/a.csv" || { cat "$dir/a.csv"; fail csv; }
# The same frame again is refused.
rc=0
"$facet" tape cat "$dir/out.tape" "$dir/out.tape" | stage steadiness-evaluator > "$dir/log" 2>&1 || rc=$?
[ $rc -eq 1 ] && grep -q 'comes twice; one face a frame' "$dir/log" || fail "twice"

# The pipeline: one head of the landmarker's, with the exact box.
"$facet" run --quiet pipelines/steadiness.yaml --set heads=1 --set frames=36 --set size=160 \
	--set box=item --set csv="$dir/steady.csv" --set raw_csv="$dir/raw.csv" --set dead="$dir/dead" \
	> "$dir/log" 2>&1 || fail "pipeline"
value() { awk -F, -v k="$2" -v c="$3" '$2 == k {print $c}' "$dir/$1.csv"; }
# At rest the cutoff is far below the 25 frames a second: less than two thirds
# of the jitter is left (a third seen), and less than half of the steps.
awk -v a="$(value raw still 7)" -v b="$(value steady still 7)" -v c="$(value raw still 9)" \
	-v d="$(value steady still 9)" 'BEGIN {exit !(a > 0.02 && b < a / 1.5 && d < c / 2)}' || fail "jitter"
# Found points cannot be late by themselves; filtered ones are, but not by much
# of a swing of two seconds.
awk -v a="$(value raw moving 13)" -v b="$(value steady moving 13)" \
	'BEGIN {exit !(a < 15 && a > -15 && b > a && b < 60)}' || fail "lag"

# A video: a table of points for each frame, the same whatever the replicas, and
# smoother than without the filter (a cutoff beyond any motion).
run() {
	"$facet" run --quiet pipelines/"$@" > "$dir/log" 2>&1 || fail "$1"
}
run render-clips.yaml --set out="$dir/clips" --set heads=1 --set frames=8 --set size=128
run video-landmarks.yaml --set videos="$dir/clips" --set out="$dir/p1"
run video-landmarks.yaml --set videos="$dir/clips" --set out="$dir/p2" --set replicas=3
run video-landmarks.yaml --set videos="$dir/clips" --set out="$dir/p3" --set min_cutoff=1000
for p in p1 p2 p3; do
	(cd "$dir/$p" && cat head00001/video/00001.mp4/landmarks_?.csv) > "$dir/$p.csv"
done
[ "$(ls "$dir"/p1/head00001/video/00001.mp4/landmarks_*.csv | wc -l)" -eq 8 ] || fail "not 8 tables"
[ ! -e "$dir/p1/head00001/video/00001.mp4/frame_0.jpg" ] || fail "frames are stored unasked"
cmp "$dir/p1.csv" "$dir/p2.csv" || fail "replicas change the points"
cmp -s "$dir/p1.csv" "$dir/p3.csv" && fail "the filter does nothing"
exit 0
