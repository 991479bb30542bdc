# The landmarker's second look: tilted heads are seen upright, boxes that are off
# are mended; neither changes what one look finds in a good box.
# needs: all c:python3 py:msgpack py:numpy
set -eu
. "$(pwd)/tests/support/field.sh"
bin=$(pwd)/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
export OMP_WAIT_POLICY=passive
"$bin/head-renderer" --stdio --heads 8 --frames 1 --size 200 --yaw 10 --pitch 5 --roll 45 \
	--seed 11 > "$dir/tilted.tape"
"$bin/head-renderer" --stdio --heads 8 --frames 1 --size 200 --yaw 10 --pitch 5 --roll 0 \
	--seed 11 > "$dir/upright.tape"
# The same heads in boxes that are a quarter too large and beside the face.
"$PYTHON" - "$dir/upright.tape" "$dir/off.tape" <<'P'
import sys
sys.path.insert(0, "tests/py")
import facet_tape
import numpy as np
out = []
for it in facet_tape.read(open(sys.argv[1], "rb")):
    f = it["fields"]
    x0, y0, x1, y1 = f["box"]
    w, h = x1 - x0, y1 - y0
    f["box"] = np.array([x0 - .1 * w, y0 - .3 * h, x1 + .3 * w, y1 + .05 * h], "<f4")
    it["fields"] = {k: facet_tape.tensor(np.ascontiguousarray(v)) if hasattr(v, "shape")
                    else v for k, v in f.items()}
    out.append((it, []))
with open(sys.argv[2], "wb") as f:
    facet_tape.write(f, out)
P
nme() { # TAPE ARGUMENTS: percent
	tape=$1; shift
	"$bin/landmarker" --stdio --box item --min-score 0 --flip no "$@" < "$dir/$tape.tape" |
		"$bin/landmark-evaluator" --stdio 2>&1 | sed -n 's/.*NME \([0-9.]*\) %.*/\1/p'
}
less() { # A B FACTOR: A < FACTOR B
	awk -v a="$1" -v b="$2" -v k="$3" 'BEGIN {exit !(a != "" && b != "" && a < k * b)}'
}
with=$(nme tilted) without=$(nme tilted --upright 360 --again 100)
less "$with" "$without" 0.98 || fail "tilted: $with % upright, $without % as they are"
with=$(nme off --upright 360) without=$(nme off --upright 360 --again 100)
less "$with" "$without" 0.9 || fail "boxes that are off: $with % again, $without % once"
# Good boxes: one look is enough, and says the same.
"$bin/landmarker" --stdio --box item --flip no --upright 360 < "$dir/upright.tape" > "$dir/a.tape"
"$bin/landmarker" --stdio --box item --flip no --upright 360 --again 100 < "$dir/upright.tape" > "$dir/b.tape"
cmp "$dir/a.tape" "$dir/b.tape" || fail "a good box was looked at twice"
# The mirrored crop after a first look is what the network gives for both.
"$bin/landmarker" --stdio --box item --flip yes --upright 360 < "$dir/upright.tape" > "$dir/c.tape"
cmp -s "$dir/a.tape" "$dir/c.tape" && fail "flip changes nothing"
echo ok
