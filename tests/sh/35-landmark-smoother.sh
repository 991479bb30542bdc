# landmark-smoother: the paper's formulas, and the same bytes and ids whatever
# the order in which frames come, with what is missing, late, double or bad.
# needs: all c:python3 py:msgpack py:numpy py:zmq tests/stages
set -eu
facet=$(pwd)/$BUILD/facet
root=$(pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; [ -f "$dir/err" ] && tail -n 20 "$dir/err" >&2; exit 1; }
tapes() { "$PYTHON" tests/py/smoother_tapes.py "$@" || fail "$*"; }
# smooth STATUS IN OUT PARAMETER...
smooth() {
	want=$1 in=$dir/$2.tape out=$dir/$3.tape got=0
	shift 3
	"$BUILD/stages/landmark-smoother" --stdio "$@" < "$in" > "$out" 2> "$dir/err" || got=$?
	[ "$got" -eq "$want" ] || fail "$in: exit status $got, $want expected"
}
items() { "$facet" tape show "$dir/$1.tape" | grep -c '^item' || true; }
tapes make "$dir"

smooth 0 a a.out --min-cutoff 1.3 --beta 2.5 --derivative-cutoff 0.7
tapes filter "$dir/a.tape" "$dir/a.out.tape" 1.3 2.5 0.7
smooth 0 a a.out
smooth 0 late late.out
tapes same "$dir/a.out.tape" "$dir/late.out.tape"
tapes order "$dir/late.out.tape"

# Three clips, one of them with two faces, one after another and mixed.
smooth 0 all all.out --faces all
[ "$(items all.out)" -eq 160 ] || fail "not 160 faces"
smooth 0 mixed mixed.out --faces all
tapes same "$dir/all.out.tape" "$dir/mixed.out.tape"
tapes order "$dir/mixed.out.tape"

# One face of each frame, which shows two: the other is not waited for; two where
# one is wanted are refused.
smooth 0 largest largest.out
[ "$(items largest.out)" -eq 40 ] || fail "not 40 faces"
grep -q 'never came' "$dir/err" && fail "a face that was not sent was waited for"
smooth 1 two two.out
[ "$(items two.out)" -eq 40 ] || fail "not 40 faces"
grep -q "one face a frame is wanted (faces: all takes several)" "$dir/err" || fail "two faces"
grep -q 'never came' "$dir/err" && fail "the last frame's second face began a clip anew"

# One that never comes is waited for until the end, or the window is full.
smooth 0 without w1
smooth 0 without w2 --window 3
smooth 0 without-late w3
[ "$(items w1)" -eq 39 ] || fail "not 39 faces"
tapes same "$dir/w1.tape" "$dir/w2.tape"
tapes same "$dir/w1.tape" "$dir/w3.tape"
grep -q '1 frames or faces never came' "$dir/err" || fail "nothing said of the gap"

# Too late, double, bad: that one fails, with its reason.
smooth 0 far f1
tapes same "$dir/a.out.tape" "$dir/f1.tape"
smooth 1 far f2 --window 8
[ "$(items f2)" -eq 39 ] || fail "not 39 faces"
grep -q "frame 3 of 'a.mp4' comes twice or too late: frame 28 is out" "$dir/err" || fail "late"
smooth 1 twice t1
grep -q "frame 4 of 'a.mp4' comes twice or too late: frame 9 is out" "$dir/err" || fail "twice"
tapes same "$dir/a.out.tape" "$dir/t1.tape"
smooth 1 bad b1
grep -q 'landmark 0 is not finite' "$dir/err" || fail "not finite"
grep -q 'a frame needs its place .* and its time' "$dir/err" || fail "no time"
[ "$(items b1)" -eq 38 ] || fail "not 38 faces"
grep -q 'never came' "$dir/err" && fail "what failed here was waited for"

"$PYTHON" -c 'import zmq' 2> /dev/null || exit 0
# In a run: three replicas before it, some slow, some frames lost.
export FACET_STAGES="$PWD/$BUILD/stages:$PWD/$BUILD/tests/stages"
cd "$dir"
cat > run.yaml <<Y
version: 1
vars: {replicas: 1, lose: 0, slow: 0, to: r1.tape}
stages:
  heads: {run: head-renderer, with: {mode: clip, heads: 2, frames: 40, size: 32, samples: 1}}
  points: {run: "$PYTHON $root/tests/py/points_stage.py", from: heads, replicas: "\${replicas}", with: {lose: "\${lose}", slow: "\${slow}"}}
  steady: {run: landmark-smoother, from: {in: points, gone: points.failed}}
  tape: {run: t-tape, from: steady, with: {file: "\${to}"}}
Y
cd "$root"
run() { # run STATUS SETTING...
	want=$1 got=0
	shift
	(cd "$dir" && "$facet" run run.yaml "$@") > "$dir/err" 2>&1 || got=$?
	[ "$got" -eq "$want" ] || fail "run: exit status $got, $want expected"
}
run 0
run 0 --set replicas=3 --set slow=30 --set to=r3.tape
[ "$(items r1)" -eq 80 ] || fail "not 80 faces"
tapes same "$dir/r1.tape" "$dir/r3.tape"
tapes order "$dir/r3.tape"
run 1 --set lose=7 --set to=l1.tape
run 1 --set lose=7 --set replicas=3 --set slow=30 --set to=l3.tape
[ "$(items l1)" -eq 68 ] || fail "not 68 faces"
tapes same "$dir/l1.tape" "$dir/l3.tape"
grep -q 'never came' "$dir/err" && fail "frames that failed before were waited for"
sed -i 's/steady: {/steady: {replicas: 2, /' "$dir/run.yaml"
run 3
grep -q 'give this stage one' "$dir/err" || fail "replicas are not refused"
