# annotation-writer: what annotation-reader reads back is what was written;
# a killed run goes on to the same bytes; replicas together write one set.
# needs: all c:python3 py:msgpack py:numpy
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
bin=$(pwd)/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
sums() { (cd "$1" && find . -type f ! -path './.facet/*' ! -path './dead/*' -exec md5sum {} + | sort -k 2); }

"$bin/head-renderer" --stdio --heads 4 --frames 3 --size 64 --samples 1 --yaw 90 > "$dir/h.tape"
"$bin/annotation-writer" --stdio --root "$dir/a" --format png < "$dir/h.tape" 2> "$dir/log"
[ "$(find "$dir/a" -name '*.png' | wc -l)" -eq 12 ] || fail "not 12 pictures"

# Back again: points to a thousandth of a pixel, pictures exactly, one photo_id
# a head.
"$bin/annotation-reader" --stdio --root "$dir/a" --split all > "$dir/r.tape"
"$bin/frame-sampler" --stdio --count 1 < "$dir/r.tape" > "$dir/f.tape"
"$PYTHON" - "$dir/h.tape" "$dir/f.tape" "$dir/a/index.csv" <<'P' || fail "not what was written"
import csv, sys
sys.path.insert(0, "tests/py")
import facet_tape, numpy as np
a, b = [list(facet_tape.read(open(p, "rb"))) for p in sys.argv[1:3]]
rows = list(csv.DictReader(open(sys.argv[3])))
for x, y, row in zip(a, b, rows, strict=True):
    x, y = x["fields"], y["fields"]
    assert np.abs(x["landmarks_true"][:, :2] - y["landmarks_true"]).max() <= 0.00051
    assert (x["frame"] == y["frame"]).all()
    assert y["name"] == x["name"] == row["photo_id"] and y["split"] == x["set"]
    pose = [float(row[k]) for k in ("rx_deg", "ry_deg", "rz_deg")]
    assert np.abs(pose - x["pose_deg"]).max() <= 0.00051
P

# Killed after five (tables missing), after a picture without rows, after half
# a picture: the next run ends with the same bytes.
sums "$dir/a" > "$dir/want"
"$facet" tape cat -n 5 -o "$dir/h5.tape" "$dir/h.tape"
"$bin/annotation-writer" --stdio --root "$dir/b" --format png < "$dir/h5.tape" 2> /dev/null
rm "$dir/b/index.csv" "$dir/b/landmarks.csv" "$dir/b/.facet/rows/head00001/00001_00002.png.csv"
: > "$dir/b/head00001/00001_00002.png"
: > "$dir/b/head00001/.tmp-00001_00002.png-abc123"
"$bin/annotation-writer" --stdio --root "$dir/b" --format png < "$dir/h.tape" 2> /dev/null
sums "$dir/b" | diff "$dir/want" - || fail "after a kill: other bytes"
# In another order too, and a second time nothing is written.
"$facet" tape cat --skip 5 -o "$dir/h7.tape" "$dir/h.tape"
"$facet" tape cat "$dir/h7.tape" "$dir/h5.tape" |
	"$bin/annotation-writer" --stdio --root "$dir/c" --format png 2> /dev/null
sums "$dir/c" | diff "$dir/want" - || fail "another order: other bytes"
ls -l --time-style=full-iso "$dir"/c/head*/ > "$dir/times"
"$bin/annotation-writer" --stdio --root "$dir/c" --format png < "$dir/h.tape" 2> /dev/null
ls -l --time-style=full-iso "$dir"/c/head*/ | cmp - "$dir/times" || fail "written again"

# The pipeline, and from its folder a stream for training.
"$facet" run --quiet pipelines/render-faces.yaml --set out="$dir/p" --set heads=3 \
	--set frames=2 --set size=64 > "$dir/log" 2>&1 || { cat "$dir/log"; fail "pipeline"; }
grep -q "6 written, 0 there already; 6 in" "$dir/log" || { cat "$dir/log"; fail "report"; }
"$facet" run --quiet pipelines/render-faces.yaml --set out="$dir/p" --set heads=4 \
	--set frames=2 --set size=64 > "$dir/log" 2>&1 || { cat "$dir/log"; fail "pipeline again"; }
grep -q "2 written, 6 there already; 8 in" "$dir/log" || { cat "$dir/log"; fail "second report"; }
"$bin/annotation-reader" --stdio --root "$dir/p" --split train --epochs 2 --val-share 0.4 > "$dir/s.tape"
"$bin/face-augmenter" --stdio --size 64 < "$dir/s.tape" > "$dir/x.tape"
[ "$(field "$dir/x.tape" sample | tr -d '\n')" = "$(seq 0 $(($(field "$dir/x.tape" sample | wc -l) - 1)) | tr -d '\n')" ] ||
	fail "stream"

# What must not be written anywhere.
"$PYTHON" - "$dir/h.tape" "$dir/evil.tape" <<'P'
import sys
sys.path.insert(0, "tests/py")
import facet_tape, numpy as np
head = next(facet_tape.read(open(sys.argv[1], "rb")))
fields = head["fields"]
def item(**change):
    new = {**fields, **change}
    return {**head, "fields": {k: facet_tape.tensor(v) if hasattr(v, "shape") else v
                               for k, v in new.items()}}, []
nan = fields["landmarks_true"].copy()
nan[5, 1] = np.nan
with open(sys.argv[2], "wb") as f:
    facet_tape.write(f, [item(name="../up"), item(name="/top"), item(snippet="a/b"),
                         item(name=".hidden"), item(landmarks_true=nan), item()])
P
answers() { # STATUS TEXT COMMAND...
	status=$1 text=$2
	shift 2
	got=0
	"$@" > "$dir/out" 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat "$dir/out"; fail "exit $got: $*"; }
	grep -qaF -- "$text" "$dir/out" || { cat "$dir/out"; fail "no '$text': $*"; }
}
answers 1 "../up" "$bin/annotation-writer" --stdio --root "$dir/evil" < "$dir/evil.tape"
grep -q "point 5 is not finite" "$dir/out" || { cat "$dir/out"; fail "NaN"; }
[ "$(find "$dir/evil" -name '*.jpg' | wc -l)" -eq 1 ] || fail "only the last one is good"
[ ! -e "$dir/up" ] && [ ! -e "$dir/evil/.hidden" ] || fail "written outside"
echo x > "$dir/a/.facet/rows/head00001/00001_00000.png.csv"
answers 3 "no rows of an annotation" "$bin/annotation-writer" --stdio --root "$dir/a" < "$dir/h5.tape"
