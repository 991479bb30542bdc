# The face detector trained by its pipeline, small and short: on rendered heads;
# what it writes; a run that is stopped and goes on gives the same bytes; the
# weights work in the stage and in the pipeline that measures them.
# needs: all c:python3 tests/stages
set -eu
facet=$PWD/$BUILD/facet
. "$PWD/tests/support/wait.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAIL: $*" >&2; cat "$tmp/log" >&2; exit 1; }
cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
export OMP_WAIT_POLICY=passive
"$facet" run -q pipelines/render-faces.yaml --set out="$tmp/heads" --set heads=24 \
	--set frames=1 --set size=128 --set yaw=20 --set pitch=10 > "$tmp/log" 2>&1 || fail "no heads"
train_() { # OUT SETTING...; in a process of its own
	out=$1; shift
	exec taskset -c "$cpu" "$facet" run "${file:-pipelines/train-detector.yaml}" --set data="$tmp/heads" --set out="$out" \
		--set batch=4 --set width=4 --set size=128 --set val=0.2 --set lr=1e-2 "$@" \
		> "$tmp/report" 2> "$tmp/log"
}
train() { (train_ "$@"); }
train "$tmp/a" --set epochs=8 || fail "training"
grep -q '^best AP [0-9.]* %, epoch [1-8] of 8$' "$tmp/report" || fail "no report"
awk -F, 'NR == 2 {first = $4} NR > 1 {last = $4} END {exit !(last < 0.85 * first)}' \
	"$tmp/a/epochs.csv" || fail "the loss does not fall"
for f in curves.png sheets/epoch-0001.png; do
	[ "$(head -c 4 "$tmp/a/$f" | tail -c 3)" = PNG ] || fail "$f"
done
grep -q 'research only' "$tmp/a/model.md" || fail "no terms"
"$facet" model "$tmp/a/model.safetensors" --summary > "$tmp/log" 2>&1 || fail "facet model"
grep -q 'face-detector' "$tmp/log" || fail "not recognised"

sed 's/^    from: \[scenes, /    from: [gate, /
s/^stages:/&\n  gate: {run: t-gate, from: scenes, with: {samples: 45}}/' \
	pipelines/train-detector.yaml > "$tmp/gated.yaml"
FACET_STAGES=$PWD/$BUILD/tests/stages file=$tmp/gated.yaml train_ "$tmp/b" --set epochs=8 --set compositors=2 &
pid=$!
epochs() { [ "$(sed -n '$=' "$tmp/b/epochs.csv" 2> /dev/null || echo 0)" -ge 3 ]; }
wait_for "an epoch" epochs
kill -TERM $pid
wait $pid || true
train "$tmp/b" --set epochs=8 || fail "going on"
grep -q 'going on after epoch' "$tmp/log" || fail "it began anew"
"$PYTHON" - "$tmp/a/model.safetensors" "$tmp/b/model.safetensors" <<'P' || fail "not the same weights"
import json, struct, sys
def read(path):
    b = open(path, 'rb').read()
    n = struct.unpack('<Q', b[:8])[0]
    head = json.loads(b[8:8 + n])
    head['__metadata__'].pop('command')
    return head, b[8 + n:]
sys.exit(read(sys.argv[1]) != read(sys.argv[2]))
P

# In use: poor boxes (it has hardly been trained), but boxes.
"$facet" run pipelines/detector-error.yaml --set data="$tmp/heads" --set split=train \
	--set model="$tmp/a/model.safetensors" --set boxes.min-score=0.001 --set boxes.side=128 \
	--set dead="$tmp/dead" > "$tmp/report" 2> "$tmp/log" || fail "detector-error"
grep -q '^recall .* of 24 faces in 24 pictures' "$tmp/report" || fail "$(cat "$tmp/report")"
