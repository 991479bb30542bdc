# facet bench: figures for a transform, a sink and a source; failing, dying and
# silent stages. Windows are short: what is checked is that the figures are
# there and hang together, not what they are.
# needs: all c:python3 tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/stages:$PWD/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; cat out.txt >&2; exit 1; }
answers() {
	status=$1 text=$2
	shift 2
	got=0
	"$@" > out.txt 2>&1 || got=$?
	[ "$got" -eq "$status" ] || fail "exit $got: $*"
	grep -qF -- "$text" out.txt || fail "no '$text': $*"
}
short="--seconds 0.02 --windows 2 --max-windows 3 --timeout 3600"

"$facet" tape make -o in.tape 'landmarks=f32[68,3]:noise 1' i=i64:1 \
	'frame=u8[64,64,3]:noise 2' -- 'landmarks=f32[68,3]:noise 3' i=i64:2
"$facet" bench pose-rotator --tape in.tape $short --json --yaw 0,10,20 > j.txt
"$PYTHON" - <<'P'
import json
j = json.load(open("j.txt"))
assert j["stage"] == "pose-rotator" and j["outputs_per_item"] == 3, j
assert j["peak_rss_bytes"] > 1e6, j
for part in (j["latency"], j["throughput"]):
    assert part["items"] > 0 and part["failed"] == 0, part
    assert 2 <= len(part["windows"]) <= 3 and min(part["windows"]) > 0, part
    assert 0 < part["p50_ms"] <= part["p99_ms"], part
    assert part["cpu_ms_per_item"] >= 0, part
    last = part["windows"][-2:]
    agree = max(last) - min(last) <= 0.1 * max(last)
    assert part["settled"] == agree, part
    assert min(last) <= part["items_per_s"] <= max(last), part
P
answers 0 "2 items of in.tape over and over, 1 out for each" \
	"$facet" bench t-work --tape in.tape $short
answers 0 "items/s with 3 in flight" \
	"$facet" bench t-work --tape in.tape $short --in-flight 3 --threads 1
answers 0 "run to its end" "$facet" bench t-count --n 50 $short

# Items that fail are counted and told; a dead or silent stage is an error.
answers 1 "items failed, the first with data: 2 is no good" \
	"$facet" bench t-work --tape in.tape $short --fail-every 2
answers 3 "t-work ended with status 1" \
	"$facet" bench t-work --tape in.tape $short --crash-at 2
answers 3 "it ended before its" \
	"$facet" bench t-work --tape in.tape $short --exit-at 1
answers 3 "no answer for 0.2 s" \
	"$facet" bench t-work --tape in.tape --timeout 0.2 --sleep-ms 60000
answers 3 "did you mean 'yaw'" \
	"$facet" bench pose-rotator --tape in.tape $short --yow 3
answers 2 "did you mean 'pose-rotator'" "$facet" bench pose-rotato
answers 2 "needs --tape" "$facet" bench pose-rotator
answers 2 "takes no --tape" "$facet" bench t-count --tape in.tape
answers 3 "cannot open 'none.tape'" "$facet" bench t-work --tape none.tape
"$facet" tape make --repeat 0 x=i64:1 > empty.tape
answers 3 "'empty.tape' has no items" "$facet" bench t-work --tape empty.tape
