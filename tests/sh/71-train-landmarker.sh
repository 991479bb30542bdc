# The landmark network trained by its pipeline, small and short: on rendered
# heads; what it writes; a run that is stopped and goes on gives the same bytes,
# also with other replicas; the weights work in the landmarker.
# needs: all c:python3 tests/stages
set -eu
facet=$PWD/$BUILD/facet
. "$PWD/tests/support/wait.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAIL: $*" >&2; cat "$tmp/log" >&2; exit 1; }
cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
# One thread: sums in the same order whatever the machine. Others are at work
# on it too, so nobody spins at barriers.
export OMP_WAIT_POLICY=passive
"$facet" run -q pipelines/render-faces.yaml --set out="$tmp/heads" --set heads=20 \
	--set frames=1 --set yaw=20 --set pitch=10 > "$tmp/log" 2>&1 || fail "no heads"
train_() { # OUT SETTING...; in a process of its own
	out=$1; shift
	exec taskset -c "$cpu" "$facet" run "${file:-pipelines/train-landmarker.yaml}" --set data="$tmp/heads" --set out="$out" \
		--set epochs=3 --set batch=4 --set features=16 --set stem=8 --set trunk=16 \
		--set val=0.2 "$@" > "$tmp/report" 2> "$tmp/log"
}
train() { (train_ "$@"); }
train "$tmp/a" --set lr=5e-3 || fail "training"
grep -q '^best NME [0-9.]* %, epoch [1-3] of 3$' "$tmp/report" || fail "no report"
[ "$(sed -n '$=' "$tmp/a/epochs.csv")" = 4 ] || fail "epochs.csv"
head -1 "$tmp/a/epochs.csv" | grep -qx 'epoch,step,samples,loss,NME,best,lr,seconds' || fail "its head"
# It learns: the loss falls from epoch to epoch.
awk -F, 'NR > 1 {if (last && $4 >= last) bad = 1; last = $4} END {exit bad}' \
	"$tmp/a/epochs.csv" || fail "the loss does not fall"
for f in curves.png sheets/epoch-0001.png sheets/epoch-0003.png; do
	[ "$(head -c 4 "$tmp/a/$f" | tail -c 3)" = PNG ] || fail "$f"
done
grep -q '^lr: 0.005$' "$tmp/a/config.yaml" || fail "config.yaml"
grep -q 'facet run pipelines/train-landmarker.yaml' "$tmp/a/model.md" || fail "model.md"
grep -q 'research only' "$tmp/a/model.md" || fail "no terms"
"$facet" model "$tmp/a/model.safetensors" --summary > "$tmp/log" 2>&1 || fail "facet model"
grep -q 'fan' "$tmp/log" || fail "not recognised"

# Stopped by a signal in the middle, then again to the end: the same bytes.
sed 's/^    from: \[crops, /    from: [gate, /
s/^stages:/&\n  gate: {run: t-gate, from: crops, with: {samples: 26}}/' \
	pipelines/train-landmarker.yaml > "$tmp/gated.yaml"
FACET_STAGES=$PWD/$BUILD/tests/stages file=$tmp/gated.yaml train_ "$tmp/b" --set lr=5e-3 --set augmenters=2 &
pid=$!
epochs() { [ "$(sed -n '$=' "$tmp/b/epochs.csv" 2> /dev/null || echo 0)" -ge 2 ]; }
wait_for "an epoch" epochs
kill -TERM $pid
wait $pid || true
[ "$(cat "$tmp/b/position")" -lt 52 ] || fail "it was over too soon"
# Going on, the gate lets all through: that is said, and nothing else.
again() (
	export FACET_STAGES="$PWD/$BUILD/tests/stages"
	file=$tmp/gated.yaml
	train "$tmp/b" --set lr=5e-3 --set gate.samples=1000000 "$@"
)
again || fail "going on"
grep -q 'going on after epoch' "$tmp/log" || fail "it began anew"
grep -q 'than it began with (gate.samples: 26 -> 1000000):' "$tmp/log" ||
	fail "other settings than the gate's, or not told"
# The command is noted in the file; all else is the same.
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

# Other options than those of the checkpoint are an error, not a mixture.
rc=0
again --set train.optimiser=sgd || rc=$?
[ $rc = 3 ] || fail "status $rc for another optimiser"
grep -q 'another folder begins anew' "$tmp/log" || fail "no word of the folder"

# In use: every head gets points (poor ones: it has hardly been trained).
"$facet" run pipelines/landmark-error.yaml --set data="$tmp/heads" --set split=train \
	--set model="$tmp/a/model.safetensors" --set points.min-score=0 \
	> "$tmp/report" 2> "$tmp/log" || fail "landmark-error"
grep -q '^20 faces, 0 not found' "$tmp/report" || fail "$(cat "$tmp/report")"

# Going on with other settings, or with other data, is said.
again --set train.points=0.4 || fail "going on with other settings"
grep -q "goes on with other settings than it began with (.*train.points: 0.5 -> 0.4" "$tmp/log" ||
	fail "other settings are not said"
sed -i '$s/\.[0-9]*$/.125/' "$tmp/heads/landmarks.csv"
again --set train.points=0.4 || fail "going on with other data"
grep -q "goes on with other settings than it began with (.*root: another $tmp/heads" "$tmp/log" ||
	fail "other data is not said"
