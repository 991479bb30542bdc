# head-renderer: the same bytes each time and wherever a head is asked for;
# pose grids, clips that move smoothly, and the answers to bad parameters.
# needs: c:python3 facet stages/head-renderer
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
render=$(pwd)/$BUILD/stages/head-renderer
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }

"$render" --stdio --heads 2 --frames 2 --size 48 --samples 2 > a.tape
"$render" --stdio --heads 2 --frames 2 --size 48 --samples 2 > b.tape
cmp a.tape b.tape || fail "two runs differ"
"$render" --stdio --heads 2 --frames 2 --size 48 --samples 2 --seed 2 > c.tape
cmp -s a.tape c.tape && fail "another seed, the same pictures"

# Head 2 is head 2, however many are drawn before it: ids and contents.
"$render" --stdio --first 2 --heads 1 --frames 2 --size 48 --samples 2 > d.tape
"$facet" tape cat --skip 2 -o e.tape a.tape
"$facet" tape diff --tol 0 --ids d.tape e.tape || fail "head 2 depends on head 1"

# A grid: rx outermost; the mean of the points stays; +ry moves the nose's tip
# (point 30) right, +rx up.
"$render" --stdio --heads 1 --rx=-10,10 --ry=-20:20:20 --size 64x48 \
	--samples 1 --fov 0 --grain 0 > g.tape
"$facet" tape show --json g.tape > g.json
"$PYTHON" - g.json <<'PY'
import json, sys
items = [json.loads(l) for l in open(sys.argv[1]) if l.strip()]
assert len(items) == 6, len(items)
PY
field g.tape pose_deg | tr '\n' ' ' > poses.txt
for want in "-10 -20 0" "-10 0 0" "-10 20 0" "10 -20 0" "10 0 0" "10 20 0"; do
	printf '%s ' $want
done > want.txt
tr -s ' ' < poses.txt | cmp - want.txt || { cat poses.txt; fail "poses"; }
field g.tape landmarks_true | awk '
	{p = (NR - 1) % 68; i = int((NR - 1) / 68)
	 sx[i] += $1 / 68; sy[i] += $2 / 68; sz[i] += $3 / 68
	 if (p == 30) {nx[i] = $1; ny[i] = $2}}
	END {
		if (NR != 408) exit 1
		for (i = 1; i < 6; i++)
			if ((sx[i] - sx[0]) ^ 2 + (sy[i] - sy[0]) ^ 2 > 1e-6) exit 2
		for (i = 0; i < 6; i++) if (sz[i] ^ 2 > 1e-6) exit 3
		if (!(nx[0] < nx[1] - 1 && nx[1] < nx[2] - 1)) exit 4
		if (!(ny[3] < ny[0] - 1)) exit 5
	}' || fail "points of the grid"

# A clip moves, but never jumps; blinking apart, no point goes 2 px in 40 ms.
"$render" --stdio --heads 1 --mode clip --frames 12 --size 64 --samples 1 \
	> m.tape
field m.tape landmarks_true | awk '
	{p = (NR - 1) % 68
	 if (NR > 68) {
		d = sqrt(($1 - x[p]) ^ 2 + ($2 - y[p]) ^ 2)
		if (d > most) most = d
	 }
	 x[p] = $1; y[p] = $2}
	END {if (NR != 816 || most > 2 || most < 0.05) {print NR, most; exit 1}}' ||
	fail "the clip's motion"

# A still head: the points stay, the pictures have grain of their own. The same
# head swaying: it leaves its place, and turns.
small="--heads 1 --frames 8 --size 48 --samples 1 --fps 8"
"$render" --stdio --mode still $small > s.tape
"$render" --stdio --mode sway --snippet s2 $small > w.tape
[ "$(field s.tape landmarks_true | sort -u | wc -l)" -eq 68 ] || fail "a still head moves"
"$facet" tape get -n 0 -o 0.png s.tape frame
"$facet" tape get -n 1 -o 1.png s.tape frame
cmp -s 0.png 1.png && fail "no grain"
[ "$(field w.tape yaw_true | sort -u | wc -l)" -eq 8 ] || fail "it does not turn"
field w.tape landmarks_true | awk '
	{i = int((NR - 1) / 68); sx[i] += $1 / 68}
	END {
		for (i = 0; i < 8; i++) {
			if (!i || sx[i] < lo) lo = sx[i]
			if (!i || sx[i] > hi) hi = sx[i]
		}
		# half an eye distance (7 px) to either side, a quarter of a period missed
		if (hi - lo < 5 || hi - lo > 16) {print hi - lo; exit 1}
	}' || fail "it does not go to and fro"
"$facet" tape show w.tape | grep -q 'head00001/video/s2' || fail "snippet"
"$render" --stdio --mode still --jpeg 20 $small > j.tape
"$facet" tape get -n 0 -o j.png j.tape frame
cmp -s 0.png j.png && fail "jpeg changes nothing"

# answers STATUS TEXT COMMAND...
answers() {
	status=$1 text=$2
	shift 2
	got=0
	"$@" > out.txt 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat out.txt; fail "exit $got: $*"; }
	grep -qF -- "$text" out.txt || { cat out.txt; fail "no '$text': $*"; }
}
answers 3 "size '3' is not WIDTHxHEIGHT" "$render" --stdio --size 3
answers 3 "size '64x' is not WIDTHxHEIGHT" "$render" --stdio --size 64x
answers 3 "snippet '../x' is no name" "$render" --stdio --snippet ../x
answers 2 "200 is outside 0..90" "$render" --stdio --yaw 200
answers 2 "did you mean 'clip'" "$render" --stdio --mode clp
answers 0 "landmarks_true f32[68,3]" "$render" --describe
