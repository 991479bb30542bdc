# face-augmenter: for validation exactly the landmarker's crop; for training
# points that follow the picture, the same bytes each time, and every change
# switched off by itself.
# needs: all c:python3 py:msgpack py:numpy
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
bin=$(pwd)/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
check() { "$PYTHON" tests/py/augment_check.py "$@" || fail "$*"; }

"$bin/head-renderer" --stdio --heads 12 --frames 1 --size 160 --samples 1 --yaw 60 \
	--jitter 1 > "$dir/h.tape"
# Unchanged: larger than the source, and shrunk.
for size in 256 64; do
	"$bin/face-augmenter" --stdio --random no --size $size < "$dir/h.tape" > "$dir/v.tape"
	check "$dir/h.tape" "$dir/v.tape" plain
done

# Random, in all its strength: points, matrix, mirror; twice the same bytes.
"$bin/face-augmenter" --stdio < "$dir/h.tape" > "$dir/r.tape"
"$bin/face-augmenter" --stdio < "$dir/h.tape" > "$dir/r2.tape"
cmp "$dir/r.tape" "$dir/r2.tape" || fail "a replay differs"
check "$dir/h.tape" "$dir/r.tape" random
"$bin/face-augmenter" --stdio --seed 1 < "$dir/h.tape" > "$dir/r3.tape"
cmp -s "$dir/r.tape" "$dir/r3.tape" && fail "another seed, the same crops"
# A crop depends on its own item only, whatever was there before.
"$facet" tape cat --skip 7 -n 1 -o "$dir/one.tape" "$dir/h.tape"
"$bin/face-augmenter" --stdio < "$dir/one.tape" > "$dir/one-r.tape"
"$facet" tape cat --skip 7 -n 1 -o "$dir/r7.tape" "$dir/r.tape"
"$facet" tape diff --tol 0 "$dir/one-r.tape" "$dir/r7.tape" || fail "depends on others"

# Only place: the picture is the frame through the matrix, black beyond.
look='--brightness 0 --contrast 0 --saturation 0 --hue 0 --warmth 0 --gamma 0 --grey 0'
camera='--blur 0 --motion 0 --rescale 0 --noise 0 --jpeg 0'
cover='--shadow 0 --cover 0'
place='--box-jitter 0 --scale 0 --shift 0 --rotate 0 --rotate-wide 0 --aspect 0 --mirror 0 --reflect 0'
"$bin/face-augmenter" --stdio $look $camera $cover --reflect 0 --size 128 --rotate-wide 180 \
	< "$dir/h.tape" > "$dir/p.tape"
check "$dir/h.tape" "$dir/p.tape" place
# Nothing at all: as for validation, but for the resampling (bilinear with
# several samples a pixel, not the exact area).
"$bin/face-augmenter" --stdio $look $camera $cover $place < "$dir/h.tape" > "$dir/n.tape"
"$bin/face-augmenter" --stdio --random no < "$dir/h.tape" > "$dir/v.tape"
"$PYTHON" - "$dir/n.tape" "$dir/v.tape" <<'P' || fail "all switched off"
import sys
sys.path.insert(0, "tests/py")
import facet_tape, numpy as np
a, b = [list(facet_tape.read(open(p, "rb"))) for p in sys.argv[1:]]
for x, y in zip(a, b):
    x, y = x["fields"], y["fields"]
    assert np.abs(x["crop"] - y["crop"]).max() < 1e-3
    assert np.abs(x["landmarks_true"] - y["landmarks_true"]).max() < 1e-3
    d = np.abs(x["frame"].astype(int) - y["frame"])
    assert d.mean() < 1, d.mean()
P
"$bin/face-augmenter" --stdio --often 1 $look $camera $cover $place --size 64 \
	< "$dir/h.tape" > "$dir/n.tape"
# Each change alone does something (in 12 crops, always where it is not rare).
for one in '--brightness 0.5' '--contrast 0.5' '--saturation 0.5' '--hue 30' '--warmth 0.2' \
	'--gamma 0.5' '--grey 1' '--blur 6' '--motion 20' '--rescale 8' '--noise 20' \
	'--jpeg 10' '--shadow 1' '--cover 1' '--box-jitter 0.1' '--scale 0.2' '--shift 0.1' \
	'--rotate 20' '--aspect 0.2' '--mirror 1'; do
	"$bin/face-augmenter" --stdio --often 1 $look $camera $cover $place --size 64 $one \
		< "$dir/h.tape" > "$dir/o.tape"
	cmp -s "$dir/o.tape" "$dir/n.tape" && fail "$one changes nothing"
done

# One of ten is turned widely: of 48 crops some are.
turned=0
for seed in 1 2 3 4; do
	"$bin/face-augmenter" --stdio $look $camera $cover $place --size 16 --rotate-wide 90 \
		--seed $seed < "$dir/h.tape" > "$dir/o.tape"
	turned=$((turned + $(field "$dir/o.tape" crop | awk 'NR % 2 && $2 ^ 2 > 1e-8' | wc -l)))
done
[ $turned -ge 1 ] && [ $turned -le 16 ] || fail "$turned of 48 turned widely"

# role val is left alone; the picture may come by its path; fields of the
# frame's pixels do not travel on.
"$facet" tape get -o "$dir/a.png" "$dir/h.tape" frame
mkdir "$dir/set"
field "$dir/h.tape" landmarks_true | head -n 68 | awk '
	BEGIN {printf "path,x0,y0\n../a.png"} {printf ",%s,%s", $1, $2} END {print ""}' \
	> "$dir/set/landmarks.csv"
printf 'path,split,photo_id\n../a.png,train,a\n' > "$dir/set/index.csv"
"$bin/annotation-reader" --stdio --root "$dir/set" --split train > "$dir/a.tape"
"$bin/face-augmenter" --stdio --random no < "$dir/a.tape" > "$dir/av.tape"
"$facet" tape cat -n 1 -o "$dir/v1.tape" "$dir/v.tape"
[ "$("$facet" tape get "$dir/av.tape" crop)" = "$("$facet" tape get "$dir/v1.tape" crop)" ] ||
	fail "by its path: another crop"
for t in av v1; do "$facet" tape get -o "$dir/$t.npy" "$dir/$t.tape" frame; done
cmp "$dir/av.npy" "$dir/v1.npy" || fail "by its path: another picture"
"$bin/annotation-reader" --stdio --root "$dir/set" --split train --more "$dir/set" \
	--epochs 2 --val-share 0.9 --seed 4 > "$dir/e.tape" || fail "stream"
"$bin/face-augmenter" --stdio < "$dir/e.tape" > "$dir/er.tape"
field "$dir/er.tape" role | grep -q train || fail "no role"

# The landmarker finds in the crop, taken as a whole, what it finds in the
# frame's box: crops are whole 256 x 256 looks in both cases. Three are enough.
if [ -f models/points-128.safetensors ]; then
	look3() { # BOX TAPE OUT
		"$facet" tape cat -n 3 "$2" | OMP_WAIT_POLICY=passive "$bin/landmarker" --stdio --flip no --upright 360 --again 100 \
			--min-score 0 --depth no --kernels exact --box "$1" > "$3"
	}
	look3 item "$dir/h.tape" "$dir/l.tape"
	look3 frame "$dir/v.tape" "$dir/lv.tape"
	"$PYTHON" - "$dir/l.tape" "$dir/lv.tape" <<'P' || fail "the landmarker's crop"
import sys
sys.path.insert(0, "tests/py")
import facet_tape, numpy as np
a, b = [list(facet_tape.read(open(p, "rb"))) for p in sys.argv[1:]]
off = []
for x, y in zip(a, b, strict=True):
    x, y = x["fields"], y["fields"]
    m = y["crop"]
    p = x["landmarks"][:, :2] @ m[:, :2].T + m[:, 2]
    off.append(np.abs(p - y["landmarks"][:, :2]).max(1))
# Bytes instead of floats go in: a few hundredths of a pixel of 256; where two
# peaks of a heatmap are equal it may choose the other one.
off = np.array(off)
assert np.median(off) < 0.02 and np.mean(off < 0.3) > 0.99, (np.median(off), off.max())
P
fi

answers() { # STATUS TEXT COMMAND...
	status=$1 text=$2
	shift 2
	got=0
	"$@" > "$dir/out" 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat "$dir/out"; fail "exit $got: $*"; }
	grep -qaF -- "$text" "$dir/out" || { cat "$dir/out"; fail "no '$text': $*"; }
}
answers 2 "2 is outside 0..1" "$bin/face-augmenter" --stdio --mirror 2
rm "$dir/a.png"
answers 1 "a.png" "$bin/face-augmenter" --stdio < "$dir/a.tape"
