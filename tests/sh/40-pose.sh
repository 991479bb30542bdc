#!/bin/sh
# pose-rotator and pose-drawer by tape, against an independent Python version:
# rotations to 1e-4 px (f32 rounding of coordinates near 1e3), pictures exact.
# needs: all c:python3 py:numpy
set -eu
"${PYTHON:-python3}" -c 'import numpy' 2>/dev/null || exit 77
B=${BUILD:-build}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }
facet() { "$B/facet" "$@"; }

"$PYTHON" tests/py/pose_reference.py "$d"
facet tape make -o "$d/in.tape" landmarks="npy:$d/points.npy" name=str:one

# The seed's grid, in the seed's order, with what the item brought along.
args=
k=0
while [ $k -lt 25 ]; do
	args="$args -- landmarks=npy:$d/points.npy name=str:one \
target=npy:$d/turned_$k.npy pose_deg=npy:$d/angles_$k.npy \
view=i64:$k n_views=i64:25"
	k=$((k + 1))
done
# shellcheck disable=SC2086
facet tape make -o "$d/want.tape" ${args# -- }
"$B/stages/pose-rotator" --stdio < "$d/in.tape" > "$d/grid.tape"
facet tape diff --tol 1e-4 "$d/grid.tape" "$d/want.tape" ||
	fail "the seed's grid"
# The same ids every time, all different.
"$B/stages/pose-rotator" --stdio < "$d/in.tape" > "$d/again.tape"
cmp "$d/grid.tape" "$d/again.tape" || fail "a replay gave other bytes"

# Single turns under both names; lists side by side.
one() {
	want=$1
	shift
	"$B/stages/pose-rotator" --stdio "$@" < "$d/in.tape" > "$d/one.tape"
	n=$(facet tape show --json "$d/one.tape" | grep -c '"n_views"') || true
	[ "$n" = 1 ] || fail "$*: $n items, not 1"
	facet tape make -o "$d/w.tape" landmarks="npy:$d/points.npy" \
		name=str:one target="npy:$want" "$angles" view=i64:0 n_views=i64:1
	facet tape diff --tol 1e-4 "$d/one.tape" "$d/w.tape" || fail "$*"
}
angles='pose_deg=f32[3]:0,30,0'
one "$d/yaw30.npy" --yaw 30
one "$d/yaw30.npy" --ry=30 --no-grid
angles='pose_deg=f32[3]:-7,12,40'
one "$d/roll.npy" --pitch=-7 --yaw 12 --roll 40
one "$d/roll.npy" --rx=-7 --ry 12 --rz 40 --no-grid
"$B/stages/pose-rotator" --stdio --rx 0,1,2 --ry 5,6,7 --rz 0 --no-grid \
	< "$d/in.tape" > "$d/zip.tape"
n=$(facet tape show --json "$d/zip.tape" | grep -c '"n_views"') || true
[ "$n" = 3 ] || fail "side by side: $n items, not 3"
for bad in '--rx 0,1 --ry 1,2,3 --no-grid' '--yaw 3 --ry 4' '--rx 999' \
	'--ry x' '--rx -180:180:0.1 --ry -180:180:0.1'; do
	rc=0
	# shellcheck disable=SC2086
	"$B/stages/pose-rotator" --stdio $bad < "$d/in.tape" \
		> /dev/null 2> "$d/err" || rc=$?
	[ $rc -ge 2 ] || fail "'$bad' was taken (status $rc)"
	[ -s "$d/err" ] || fail "'$bad' was refused without a word"
done

# Pose pictures: bit for bit, also far outside and at other sizes.
draw() {
	want=$1 points=$2
	shift 2
	facet tape make -o "$d/p.tape" landmarks="npy:$d/$points.npy" \
		frame="npy:$d/frame.npy"
	"$B/stages/pose-drawer" --stdio "$@" < "$d/p.tape" > "$d/got.tape"
	facet tape make -o "$d/w.tape" landmarks="npy:$d/$points.npy" \
		frame="npy:$d/frame.npy" pose="npy:$d/$want.npy"
	facet tape diff "$d/got.tape" "$d/w.tape" || fail "pose picture $want"
}
draw pose points
draw pose_wild wild
draw pose_nearest points --snap nearest
draw pose_big points --width 234 --height 262
draw pose points --field landmarks
# target where it is, and asked for where it is not
facet tape make -o "$d/t.tape" landmarks="npy:$d/wild.npy" \
	target="npy:$d/points.npy" frame="npy:$d/frame.npy"
"$B/stages/pose-drawer" --stdio < "$d/t.tape" > "$d/got.tape"
facet tape make -o "$d/w.tape" landmarks="npy:$d/wild.npy" \
	target="npy:$d/points.npy" frame="npy:$d/frame.npy" \
	pose="npy:$d/pose.npy"
facet tape diff "$d/got.tape" "$d/w.tape" || fail "target was not drawn"

# What cannot be drawn fails, says why, and the run goes on.
nan=$(awk 'BEGIN { for (i = 0; i < 204; i++) printf "%s%s", i ? "," : "", i == 7 ? "nan" : i }')
far=$(awk 'BEGIN { for (i = 0; i < 204; i++) printf "%s%s", i ? "," : "", i == 9 ? "1e30" : i }')
facet tape make -o "$d/bad.tape" \
	landmarks="f32[68,3]:$nan" frame="npy:$d/frame.npy" \
	-- landmarks="f32[68,3]:$far" frame="npy:$d/frame.npy" \
	-- landmarks="npy:$d/points.npy" frame="npy:$d/frame.npy"
rc=0
"$B/stages/pose-drawer" --stdio < "$d/bad.tape" > "$d/got.tape" \
	2> "$d/err" || rc=$?
[ $rc = 1 ] || fail "status $rc for two bad items"
n=$(facet tape show --json "$d/got.tape" | grep -c '"pose"') || true
[ "$n" = 1 ] || fail "$n good items, not 1"
rc=0
"$B/stages/pose-drawer" --stdio --out-port failed < "$d/bad.tape" \
	> "$d/failed.tape" 2> /dev/null || rc=$?
facet tape show --json "$d/failed.tape" > "$d/failed.json"
grep -q 'point 2 is not finite' "$d/failed.json" || fail "the NaN's text"
grep -q 'too far outside' "$d/failed.json" || fail "the far point's text"
rc=0
"$B/stages/pose-drawer" --stdio < "$d/in.tape" > /dev/null 2> "$d/err" || rc=$?
[ $rc = 1 ] || fail "no frame and no size: status $rc"
rc=0
"$B/stages/pose-rotator" --stdio < "$d/bad.tape" > /dev/null 2> "$d/err" ||
	rc=$?
[ $rc = 1 ] || fail "pose-rotator took NaN (status $rc)"
echo ok
