# Pose, points and surface from pictures: axes and signs, the pipelines that
# print errors, and what these are made of.
# needs: all c:python3 py:msgpack py:numpy
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
stage() { s=$1; shift; "$BUILD/stages/$s" --stdio "$@"; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
# pose STATUS SETTING...: the pipeline's words in $dir/log.
pose() {
	want=$1; shift; rc=0
	"$facet" run --quiet pipelines/pose-error.yaml --set dead="$dir/dead" "$@" > "$dir/log" 2>&1 || rc=$?
	[ $rc -eq "$want" ] || { cat "$dir/log" >&2; fail "status $rc, $want expected"; }
}
mae() { sed -n 's/^.*yaw MAE \([0-9.]*\) deg$/\1/p' "$dir/log"; }

# Rendered heads, turned by known angles; yaw_deg is + to the right here.
stage head-renderer --heads 2 --seed 5 --size 224 --jitter 0.3 --rx 0 --ry=-45,-20,0,20,45 \
	--surface true > "$dir/heads.tape"
"$PYTHON" tests/py/lift_check.py map "$dir/heads.tape"
mkdir -p "$dir/d/p"
echo "path,yaw_deg,split" > "$dir/d/index.csv"
n=0
for yaw in $(field "$dir/heads.tape" yaw_true); do
	"$facet" tape get -n $n -o "$dir/d/p/$n.png" "$dir/heads.tape" frame
	echo "p/$n.png,$yaw,test" >> "$dir/d/index.csv"
	n=$((n + 1))
done
[ $n -eq 10 ] || fail "10 heads expected"
pose 0 --set data="$dir/d" --set positive=right --set csv="$dir/poses.csv"
# 3 degrees seen; people that the network never saw have 6.
awk -v x="$(mae)" 'BEGIN {exit !(x > 0 && x < 8)}' || { cat "$dir/log" >&2; fail "yaw MAE '$(mae)'"; }
grep -q '|yaw| 45: MAE .*; 4 pictures, 0 without' "$dir/log" || { cat "$dir/log" >&2; fail bins; }
[ "$(wc -l < "$dir/poses.csv")" -eq 11 ] || fail poses.csv
# Told the other convention, the same heads are 2 x 26 degrees off.
pose 0 --set data="$dir/d"
awk -v x="$(mae)" 'BEGIN {exit !(x > 40)}' || fail "the other sign: MAE '$(mae)'"

# One that is no angle, one without a face, one of another split, one missing.
{ printf 'P6\n64 64\n255\n'; head -c 12288 /dev/zero | tr '\0' '\200'; } > "$dir/d/p/flat.ppm"
printf 'path,yaw_deg,split\np/2.png,0,test\np/1.png,x,test\np/flat.ppm,15,test\np/0.png,-45,skip\n' > "$dir/d/index.csv"
pose 1 --set data="$dir/d" --set positive=right
grep -q 'to 60 deg: 2 pictures, 1 without a face' "$dir/log" || { cat "$dir/log" >&2; fail "what is counted"; }
grep -q "yaw_deg is no angle" "$dir/log" || fail "the reason is not told"
pose 3 --set data="$dir/d" --set split=nobody
echo "path,angle" > "$dir/d/index.csv"
if stage pose-reader --root "$dir/d" > /dev/null 2> "$dir/e"; then fail "no yaw_deg"; fi
grep -q "index.csv' line 1: no columns" "$dir/e" || { cat "$dir/e" >&2; fail "the reason"; }

# The lifter alone: jaw points come off the outline, the rest stays about where
# it was; pitch and roll have the right sign.
angles() { # PITCH ROLL: of a head that is turned so
	stage head-renderer --heads 1 --seed 9 --rx "$1" --ry 0 --rz "$2" --fov 0 |
		stage landmarker --box item | stage landmark-lifter > "$dir/l.tape"
	echo "$(field "$dir/l.tape" pitch_deg) $(field "$dir/l.tape" roll_deg)"
}
up=$(angles 15 0); down=$(angles -15 0); right=$(angles 0 20)
echo "$up $down $right" | awk '{exit !($1 - $3 > 15 && $6 > 14 && $6 < 26 && $2 < 6 && $2 > -6)}' ||
	fail "pitch roll: '$up' '$down' '$right'"
printf '\0' | stage landmark-lifter > /dev/null 2>&1 && fail "a broken tape was taken"
if stage landmark-lifter --model "$(pwd)/models/fan1-128.safetensors" < /dev/null > /dev/null 2> "$dir/e"; then
	fail "FAN's weights were taken"
fi
grep -q "holds no lifting network" "$dir/e" || { cat "$dir/e" >&2; fail "the reason"; }

# Surfaces: the measure itself, on true ones moved by a tenth ...
stage head-model-sampler --val 0 --epoch-size 6 --seen true > "$dir/s.tape"
"$PYTHON" tests/py/lift_check.py map "$dir/s.tape"
"$PYTHON" tests/py/lift_check.py shift "$dir/s.tape" "$dir/m.tape" 0.1
stage surface-evaluator < "$dir/m.tape" > "$dir/log" 2>&1
grep -q 'points 17-67: 10.00 %, jaw points: 10.00 %' "$dir/log" || { cat "$dir/log" >&2; fail "the points' measure"; }
[ "$(grep -c ' 10.00 % to the same place' "$dir/log")" -eq 3 ] || { cat "$dir/log" >&2; fail "the measure"; }
# ... and of the network, on heads that it has not seen.
surface() { sed -n "s/^.*$1: \([0-9.]*\) % to the surface.*/\1/p" "$dir/log"; }
"$facet" run --quiet pipelines/surface-error.yaml --set heads=40 --set dead="$dir/dead" > "$dir/log" 2>&1 ||
	{ cat "$dir/log" >&2; fail surface-error; }
awk -v v="$(surface 'visible parts')" -v h="$(surface 'hidden parts')" 'BEGIN {exit !(v > 0 && v < 4 && h > 0 && h < 8)}' ||
	{ cat "$dir/log" >&2; fail "surface"; }
"$facet" run --quiet pipelines/rendered-surface-error.yaml --set heads=3 --set frames=2 --set dead="$dir/dead" \
	> "$dir/log" 2>&1 || { cat "$dir/log" >&2; fail rendered-surface-error; }
awk -v v="$(surface 'visible parts')" 'BEGIN {exit !(v > 0 && v < 7)}' || { cat "$dir/log" >&2; fail "rendered"; }
echo "ok"
