#!/bin/sh
# generator by tape: method warp on made-up faces. No real picture is needed.
# needs: all c:python3 py:msgpack py:numpy
set -eu
"${PYTHON:-python3}" -c 'import numpy, msgpack' 2>/dev/null || exit 77
B=${BUILD:-build}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }
facet() { "$B/facet" "$@"; }
gen() { "$B/stages/generator" --stdio "$@"; }
turn() { "$B/stages/pose-rotator" --stdio "$@"; }
count() { facet tape show --json "$1" | grep -c '"generated"' || true; }

"$PYTHON" tests/py/generator_check.py make "$d"

# No turn: the source itself, bit for bit, with its provenance.
facet tape make -o "$d/in.tape" frame="npy:$d/frame.npy" \
	landmarks="npy:$d/points.npy" name=str:a
facet tape make -o "$d/want.tape" frame="npy:$d/frame.npy" \
	landmarks="npy:$d/points.npy" name=str:a target="npy:$d/points.npy" \
	pose_deg=f32[3]:0,0,0 view=i64:0 n_views=i64:1 \
	generated="npy:$d/frame.npy" synthetic=bool:true method=str:warp \
	model=str:head-relief-2 seed=i64:0
turn --rx 0 < "$d/in.tape" | gen > "$d/got.tape"
facet tape diff --tol 1e-4 "$d/got.tape" "$d/want.tape" || fail "no turn"

# Markers painted on landmarks arrive at the targets in all 25 views.
facet tape make frame="npy:$d/marks.npy" landmarks="npy:$d/points.npy" |
	turn | gen > "$d/marks.tape"
"$PYTHON" tests/py/generator_check.py marks "$d/marks.tape"

# The bytes depend on the item alone: two pictures' views one after another,
# interleaved, and each alone, all agree.
facet tape make -o "$d/two.tape" frame="npy:$d/frame.npy" \
	landmarks="npy:$d/points.npy" -- frame="npy:$d/other.npy" \
	landmarks="npy:$d/other_points.npy" -- frame="npy:$d/grey.npy" \
	landmarks="npy:$d/points.npy"
turn --rx 0,15 --ry -30,45 < "$d/two.tape" > "$d/turned.tape"
gen < "$d/turned.tape" > "$d/all.tape"
[ "$(count "$d/all.tape")" = 12 ] || fail "not 12 views"
i=0
: > "$d/order"
while [ $i -lt 4 ]; do
	for k in 0 4 8; do
		facet tape cat --skip $((k + i)) -n 1 -o "$d/i.tape" "$d/turned.tape"
		gen < "$d/i.tape" > "$d/alone.tape"
		facet tape cat --skip $((k + i)) -n 1 -o "$d/r.tape" "$d/all.tape"
		facet tape diff --ids "$d/alone.tape" "$d/r.tape" ||
			fail "view $((k + i)) alone differs"
		mv "$d/i.tape" "$d/mix$i$k.tape"
		mv "$d/r.tape" "$d/res$i$k.tape"
	done
	i=$((i + 1))
done
facet tape cat "$d"/mix??.tape | gen > "$d/blend.tape"
facet tape cat "$d"/res??.tape > "$d/expect.tape"
facet tape diff --ids "$d/blend.tape" "$d/expect.tape" ||
	fail "interleaved views differ"

# Grey stays grey: only colours of the source (and factors on them) occur.
facet tape cat --skip 8 -n 1 "$d/all.tape" > "$d/g.tape"
[ "$(count "$d/g.tape")" = 1 ] || fail "the grey view"

# pose_deg alone will do; a face cut by the border, a tiny picture, points
# partly outside, a half turn and more: all give a picture of the frame's size.
facet tape make -o "$d/hard.tape" \
	frame="npy:$d/cut.npy" landmarks="npy:$d/cut_points.npy" \
	pose_deg=f32[3]:10,20,5 \
	-- frame="npy:$d/tiny.npy" landmarks="npy:$d/tiny_points.npy" \
	pose_deg=f32[3]:10,-20,0 \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/outside_points.npy" \
	pose_deg=f32[3]:0,30,0 \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	pose_deg=f32[3]:0,180,0 \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	pose_deg=f32[3]:90,-90,120 \
	-- frame=u8[1,1,3]:7,8,9 landmarks="npy:$d/tiny_points.npy" \
	pose_deg=f32[3]:0,10,0
rc=0
gen < "$d/hard.tape" > "$d/got.tape" 2> "$d/err" || rc=$?
[ "$(count "$d/got.tape")" -ge 5 ] || { cat "$d/err"; fail "hard pictures"; }

# What cannot be done fails with its reason, one by one.
nan=$(awk 'BEGIN { for (i = 0; i < 204; i++) printf "%s%s", i ? "," : "", i == 7 ? "nan" : i }')
facet tape make -o "$d/bad.tape" \
	frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	target="f32[68,3]:$nan" \
	-- frame="npy:$d/frame.npy" landmarks="f32[68,3]:$nan" \
	target="npy:$d/points.npy" \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	-- frame="npy:$d/frame.npy" landmarks="f32[68,3]:fill 5" \
	target="npy:$d/points.npy" \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	target="f32[68,3]:fill 5" \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	pose_deg=f32[3]:nan,0,0 \
	-- frame="npy:$d/frame.npy" landmarks="npy:$d/points.npy" \
	pose_deg=f32[3]:0,5,0
rc=0
gen < "$d/bad.tape" > "$d/got.tape" 2> "$d/err" || rc=$?
[ $rc = 1 ] || fail "status $rc for bad items"
[ "$(count "$d/got.tape")" = 1 ] || fail "the good one among the bad"
rc=0
gen --out-port failed < "$d/bad.tape" > "$d/failed.tape" 2> /dev/null || rc=$?
facet tape show --json "$d/failed.tape" > "$d/failed.json"
for text in "neither 'target' nor 'pose_deg'" 'not finite' 'degenerate\|smaller'; do
	grep -q "$text" "$d/failed.json" || fail "no failure says: $text"
done
echo ok
