# face-detector on rendered heads in frames of all shapes: which face of several,
# none, small, cut by the border, boxes that are there already, S3FD's weights.
# needs: all c:python3 py:cv2 py:msgpack py:numpy py:torch
set -eu
. "$(pwd)/tests/support/field.sh"
facet=$(pwd)/$BUILD/facet
bin=$(pwd)/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
export OMP_WAIT_POLICY=passive

# Heads of 160 px put into larger frames, as a tape of scenes: what is in them
# stands in boxes_true. One large and two small heads; one far to the side; one
# cut by the border; one tiny in a large frame; nothing but noise.
"$bin/head-renderer" --stdio --heads 3 --frames 1 --size 160 --yaw 25 --pitch 10 \
	--seed 5 > "$dir/h.tape"
"$PYTHON" - "$dir/h.tape" "$dir/in.tape" <<'P'
import hashlib
import sys
sys.path.insert(0, "tests/py")
import cv2
import facet_tape
import numpy as np
heads = [it["fields"] for it in facet_tape.read(open(sys.argv[1], "rb"))]
rng = np.random.default_rng(2)
def scene(name, h, w, *places):
    """places: (head, middle x, middle y, side of its picture)"""
    img = cv2.GaussianBlur(rng.integers(0, 255, (h, w, 3)).astype(np.uint8), (0, 0), 3)
    boxes = []
    for k, x, y, side in places:
        face = cv2.resize(heads[k]["frame"], (side, side), interpolation=cv2.INTER_AREA)
        x0, y0 = x - side // 2, y - side // 2
        a, b = max(x0, 0), max(y0, 0)
        part = face[b - y0:h - y0, a - x0:w - x0]
        img[b:b + part.shape[0], a:a + part.shape[1]] = part
        p = (heads[k]["landmarks_true"][:, :2] + .5) * side / 160 - .5 + (x0, y0)
        boxes.append(np.r_[p.min(0), p.max(0)])
    fields = {"name": name, "frame": facet_tape.tensor(np.ascontiguousarray(img)),
              "boxes_true": facet_tape.tensor(np.array(boxes, "<f4").reshape(-1, 4))}
    return {"v": 1, "kind": "item", "fields": fields,
            "id": hashlib.md5(name.encode()).digest()}, []
items = [
    scene("three", 360, 640, (0, 150, 180, 300), (1, 420, 200, 130), (2, 570, 90, 110)),
    scene("side", 240, 400, (1, 330, 110, 150)),
    scene("cut", 240, 300, (2, 25, 130, 200)),
    scene("tall", 500, 200, (0, 100, 380, 140)),
    scene("tiny", 1080, 1920, (1, 1500, 300, 60)),
    scene("noise", 240, 320),
]
with open(sys.argv[2], "wb") as f:
    facet_tape.write(f, items)
P
look() { # OUT ARGUMENTS
	out=$1; shift
	"$bin/face-detector" --stdio "$@" < "$dir/in.tape" > "$dir/$out.tape" 2> "$dir/log" ||
		[ $? = 1 ] || fail "$* ($(cat "$dir/log"))"
}
for p in largest central all; do look $p --policy $p; done
look coarse --max-side 320
look thorough --policy all --thorough yes
"$PYTHON" - "$dir" <<'P' || fail "boxes"
import sys
sys.path.insert(0, "tests/py")
import facet_tape
import numpy as np
def read(name):
    out = {}
    for it in facet_tape.read(open(sys.argv[1] + "/%s.tape" % name, "rb")):
        out.setdefault(it["fields"]["name"], []).append(it["fields"])
    return out
def iou(a, b):
    w = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    i = max(w[0], 0) * max(w[1], 0)
    return i / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - i)
largest, central, every = read("largest"), read("central"), read("all")
assert "noise" not in largest and "noise" not in every
for name in ("three", "side", "cut", "tall", "tiny"):
    f, = largest[name]
    o = iou(f["box"], f["boxes_true"][0])
    assert o > 0.5, (name, o, f["box"], f["boxes_true"])
    assert f["faces"] == len(f["boxes"]) == len(f["box_scores"])
    assert (np.diff(f["box_scores"]) <= 0).all()
    assert np.array_equal(f["box"], f["boxes"][f["face"]])
    assert f["box_score"] == f["box_scores"][f["face"]]
f, = central["three"]
assert iou(f["box"], f["boxes_true"][1]) > 0.5
got = every["three"]
assert [g["face"] for g in got] == list(range(len(got)))
for t in got[0]["boxes_true"]:
    assert max(iou(g["box"], t) for g in got) > 0.5, t
assert len({g["box"].tobytes() for g in got}) == len(got)
# The head that is cut: its box reaches beyond the border.
assert largest["cut"][0]["box"][0] < -1
# The tiny one (4 px in the first look) needs the finer looks.
coarse = read("coarse").get("tiny")
f, = largest["tiny"]
assert not coarse or (iou(coarse[0]["box"], f["boxes_true"][0]) <
                      iou(f["box"], f["boxes_true"][0]))
assert len(read("thorough")["three"]) >= 3
P
grep -q 'noface: no face: the best score is 0\.[0-9]*, below' "$dir/log" || fail "no reason"

# A box that is there: kept on demand, replaced otherwise.
"$bin/head-renderer" --stdio --heads 1 --frames 1 --size 200 > "$dir/one.tape"
"$bin/face-detector" --stdio --replace no < "$dir/one.tape" > "$dir/kept.tape"
"$facet" tape show --json "$dir/kept.tape" > "$dir/kept"
grep -q '"boxes"' "$dir/kept" && fail "looked although there was a box"
"$bin/face-detector" --stdio < "$dir/one.tape" | "$facet" tape show --json - > "$dir/new"
grep -q '"boxes"' "$dir/new" || fail "did not look"

# The same bytes again, and with one thread after another size was planned.
look again --policy all
cmp "$dir/all.tape" "$dir/again.tape" || fail "a replay differs"

# S3FD's weights (small random ones) are told by their shapes.
"$PYTHON" - "$dir/s3fd.safetensors" <<'P'
import json, struct, sys
sys.path.insert(0, "tests/py")
import numpy as np
import goldens_s3fd
net = goldens_s3fd.seeded_s3fd()
head, data = {}, b""
for name, t in net.state_dict().items():
    a = np.ascontiguousarray(t.detach().numpy().astype("<f4"))
    head[name] = {"dtype": "F32", "shape": list(a.shape),
                  "data_offsets": [len(data), len(data) + a.nbytes]}
    data += a.tobytes()
h = json.dumps(head).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(h)) + h + data)
P
"$facet" tape cat -n 2 -o "$dir/two.tape" "$dir/in.tape"
mv "$dir/two.tape" "$dir/in.tape"
look s3fd --model "$dir/s3fd.safetensors" --min-score 0.05 --policy all
"$facet" tape show --json "$dir/s3fd.tape" | grep -q '"box_score"' || fail "S3FD finds nothing"

rc=0
"$bin/face-detector" --stdio --model lift-384 < "$dir/in.tape" > /dev/null 2> "$dir/log" || rc=$?
[ $rc != 0 ] || fail "the lifting network passed for a detector"
grep -q 'holds no face detector' "$dir/log" || fail "$(cat "$dir/log")"
