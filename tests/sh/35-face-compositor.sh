# face-compositor: boxes lie where the faces are, nothing of a face lies where
# no box is, the same bytes each time, held-back pictures stay apart. The "faces"
# are red rectangles whose points go round them, so that every pixel tells.
# needs: all c:python3 py:cv2 py:msgpack py:numpy
set -eu
. "$(pwd)/tests/support/field.sh"
bin=$(pwd)/$BUILD/stages
facet=$(pwd)/$BUILD/facet
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

"$PYTHON" - "$dir/set" <<'P'
import csv, os, sys
import cv2
import numpy as np
root = sys.argv[1]
os.makedirs(root)
rng = np.random.default_rng(1)
with open(root + "/landmarks.csv", "w") as f, open(root + "/index.csv", "w") as g:
    points, index = csv.writer(f), csv.writer(g)
    points.writerow(["path"] + [c + str(i) for i in range(68) for c in "xy"])
    index.writerow(["path", "photo_id", "split"])
    for k in range(40):
        h, w = rng.integers(150, 260, 2)
        img = np.full((h, w, 3), (rng.integers(60, 200), 90, 0), np.uint8)  # BGR
        x0, y0 = int(w * .3), int(h * .35)
        x1, y1 = x0 + int(w * .35), y0 + int(h * .4)
        img[y0:y1 + 1, x0:x1 + 1] = (0, 0, 255 if k % 2 else 200)
        name = "p%02d.png" % k
        cv2.imwrite(root + "/" + name, img)
        t = np.arange(68) / 17
        corner = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        xy = [np.array(corner[int(u)]) * (1 - u % 1) +
              np.array(corner[int(u) + 1]) * (u % 1) for u in t]
        points.writerow([name] + ["%.2f" % v for p in xy for v in p])
        index.writerow([name, name, "train"])
P
"$bin/annotation-reader" --stdio --root "$dir/set" --split train --epochs 2 \
	--val-share 0.25 > "$dir/in.tape"
all=$("$facet" tape show "$dir/in.tape" | grep -c '^item')
make() { # OUT ARGUMENTS
	out=$1; shift
	"$bin/face-compositor" --stdio --root "$dir/set" --val-share 0.25 --size 192 "$@" \
		< "$dir/in.tape" > "$dir/$out.tape"
}
make a --look no
make b --look no --cache 0
cmp "$dir/a.tape" "$dir/b.tape" || fail "the cache changes pictures"
"$PYTHON" - "$dir/a.tape" "$all" <<'P' || fail "boxes"
import sys
sys.path.insert(0, "tests/py")
import facet_tape
import numpy as np
n = faces = empty = beyond = 0
for it in facet_tape.read(open(sys.argv[1], "rb")):
    f = it["fields"]
    img = f["frame"].astype(int)
    red = (img[:, :, 0] > 150) & (img[:, :, 2] < 40) & (img[:, :, 1] < 60)
    # Soft edges of pastes and resampling leave a pixel or two of mixture.
    solid = red.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            solid &= np.roll(np.roll(red, dy, 0), dx, 1)
    solid[0] = solid[-1] = solid[:, 0] = solid[:, -1] = False
    known = np.zeros_like(red)
    for box in list(f["boxes_true"]) + list(f["boxes_ignore"]):
        x0, y0, x1, y1 = np.clip(np.round(box + [-2, -2, 2, 2]), 0, 191).astype(int)
        known[y0:y1 + 1, x0:x1 + 1] = True
    n += 1
    # A ground of blotches may be red by chance; it is rare, and has no edge.
    if solid[~known].sum() > 0:
        beyond += 1
    for x0, y0, x1, y1 in f["boxes_true"]:
        faces += 1
        assert x1 - x0 > 3 and y1 - y0 > 3
        # At least what a rectangle turned by 45 degrees fills of its box, less
        # its soft edge.
        inside = red[max(int(y0), 0):int(y1) + 2, max(int(x0), 0):int(x1) + 2]
        assert inside.mean() > 0.35, inside.mean()
    empty += len(f["boxes_true"]) == 0
assert n == int(sys.argv[2]) and faces > n and empty >= 3, (n, faces, empty)
assert beyond <= 2, beyond
P

# Light and camera too: other bytes, and another seed gives others again.
make v
"$bin/face-compositor" --stdio --root "$dir/set" --val-share 0.25 --size 192 --seed 9 \
	< "$dir/in.tape" > "$dir/s.tape"
cmp -s "$dir/v.tape" "$dir/s.tape" && fail "another seed, the same pictures"
make e --empty 1 --whole 0
"$PYTHON" - "$dir/e.tape" <<'P' || fail "--empty 1"
import sys
sys.path.insert(0, "tests/py")
import facet_tape
for it in facet_tape.read(open(sys.argv[1], "rb")):
    f = it["fields"]
    assert len(f["boxes_true"]) == 0 and len(f["boxes_ignore"]) == 0
P
# A picture that is gone is that item's failure; the others go on without it.
rm "$dir/set/p07.png"
make g --cache 0 2> "$dir/log" || true
count=$("$facet" tape show "$dir/g.tape" | grep -c '^item' || true)
[ "$count" -ge $((all - 4)) ] && [ "$count" -lt "$all" ] || fail "$count pictures without p07.png"
grep -q 'p07.png' "$dir/log" || fail "no word of p07.png"
