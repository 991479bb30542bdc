# Results follow what they depend on: for each thing that can change, how many
# files are made anew, kept, and what is said; and with nothing changed nothing
# is made, and no source is read again.
# needs: all c:python3 py:msgpack py:numpy py:zmq
set -eu
. "$(pwd)/tests/support/settings_world.sh"

# nothing changed: nothing made, nothing said, nothing read
same() {
	run "$@"
	has run.out '3 listed, 3 left out (finished before), 0 to do'
	has run.out '0 files written, 0 were there, 0 failures'
	hasnt run.out 'other settings'
}
# what changed -- files new, same, replaced -- what is said
changed() {
	what=$1 want=$2 say=$3
	shift 3
	run "$@"
	has run.out "$want"
	has run.out "$say"
	hasnt run.out 'still there'
	same "$@"
	echo "ok: $what: $want"
}

run
has run.out '9 files written, 0 were there, 0 failures'
same
sums out > first.txt

# how it is written, where it runs, and what only says where or which: no change
same --set points.min-score=0.0
same --set store.overwrite=yes --set store.pose=true
same --set frames.threads=1 --set catalog.limit=3
cp -r models moved
FACET_MODELS=$dir/moved; same; FACET_MODELS=$dir/models

changed 'a parameter' '0 files written, 6 were there, 3 replaced' \
	"$told (poses.radius: 2 -> 3): made anew" --set radius=3
changed 'back' '0 files written, 6 were there, 3 replaced' \
	"$told (poses.radius: 3 -> 2): made anew"
sums out | diff first.txt - || fail "back again, but other bytes"
changed 'a model' '0 files written, 3 were there, 6 replaced' \
	"$told (points.model: points-128 -> fan1-128): made anew" --set model=fan1-128
changed 'back' '0 files written, 3 were there, 6 replaced' "$told" 

# weights under the same name: the last four bytes are a weight
"$PYTHON" - models/points-128.safetensors <<'P'
import sys
f = open(sys.argv[1], "r+b")
f.seek(-4000, 2)
f.write(bytes(4000))
P
changed "weights' bytes" '0 files written, 3 were there, 6 replaced' \
	"$told (points.model: another points-128): made anew"
cp "$root/models/points-128.safetensors" models/
changed 'back' '0 files written, 3 were there, 6 replaced' "$told"

# the environment: how networks reckon; what is no such value changes nothing
FACET_NN_PATH=blas
export FACET_NN_PATH
run
has run.out "$told (points/FACET_NN_PATH: (none) -> blas): made anew"
same
FACET_NN_PATH=
changed 'back' '0 files written' "$told (points/FACET_NN_PATH: blas -> (none))"
unset FACET_NN_PATH
same
echo 'ok: the environment'

# a program: its help text stands for its code (all of it is one text); it is
# the same when it is stripped
patch_program() {
	"$PYTHON" - "$@" <<'P'
import os, sys
path, a, b = sys.argv[1], sys.argv[2].encode(), sys.argv[3].encode()
data = open(path, "rb").read()
assert a in data and len(a) == len(b)
os.unlink(path)
open(path, "wb").write(data.replace(a, b))
os.chmod(path, 0o755)
P
}
if command -v strip > /dev/null; then
	strip -o stages/x stages/landmarker && mv stages/x stages/landmarker
	same
fi
patch_program stages/pose-drawer picture Picture
changed 'a stage program' '0 files written, 9 were there, 0 failures' \
	"$told (poses/program: another pose-drawer): made anew"
# facet's version stands in the writer itself
patch_program stages/sample-writer 'facet 0.1' 'facet 0.2'
changed "facet's version" '0 files written, 9 were there, 0 failures' \
	"$told (store/program: another sample-writer): made anew"

# a source: another picture under the same name; touched only; the same size and
# time, but other bytes
cp pictures/a/1.png one.png
cp pictures/a/2.png pictures/a/1.png
run
has run.out '3 listed, 2 left out (finished before), 1 to do'
has run.out '1 of them changed since they were stored: anew'
has run.out '3 replaced'
same
touch pictures/a/1.png
same
touch -r pictures/a/2.png one.png
cp -p one.png pictures/a/1.png
run
has run.out '1 of them changed since they were stored: anew'
same
same --set sources=bytes
echo 'ok: a source'
# who it belongs to: the identity stands in the rows
run --set identity=none
has run.out '3 of them changed since they were stored: anew'
grep -q ',a,ok,' out/index.csv && fail "the old identity"
run
echo 'ok: identity and set'

# results that someone removed: a file of one picture, and all of another
sums out > before
rm out/a/2.png/frame_0.jpg
rm -r out/a/3.png
run
has run.out '3 listed, 1 left out (finished before), 2 to do'
has run.out "of 2 there are files missing or cut in 'out': made again"
has run.out '4 files written, 2 were there, 0 failures'
sums out > after
cmp before after || fail 'the files are not the same again'
same
# and one that was cut off
: > out/a/1.png/pose_0.png
run
has run.out '3 listed, 2 left out (finished before), 1 to do'
has run.out "of 1 there are files missing or cut in 'out': made again"
sums out > after
cmp before after || fail 'the cut file is not the same again'
same
echo 'ok: results that are gone'

# the tables of a source's folder: all of them, in any order, and annotations
mkdir -p faces
awk 'BEGIN { print "version: 1"; print "n_points: 68"; print "{"; for (i = 0; i < 68; i++) print 20 + i, 100 - i; print "}" }' > faces/1.pts
cp pictures/a/2.png faces/1.png
cat > faces.yaml <<W
version: 1
stages:
  faces: {run: annotation-reader, with: {root: faces}}
  frames: {run: frame-sampler, from: faces, with: {count: 1}}
  store: {run: annotation-writer, from: frames, with: {root: faces-out, format: png}}
W
faces() {
	"$facet" run -q faces.yaml > run.out 2> run.err || { cat run.out run.err; fail faces; }
	has run.out "$1"
}
faces 'annotations: 1 written, 0 there already'
faces 'annotations: 0 written, 1 there already'
sed 's/^20 100/21 100/' faces/1.pts > x && mv x faces/1.pts
faces 'annotations: 1 written (1 in place'
n=0
while [ $n -lt 400 ]; do echo 1 > faces/t$n.csv; n=$((n + 1)); done
faces 'annotations: 1 written (1 in place'
faces 'annotations: 0 written, 1 there already'
n=0
while [ $n -lt 400 ]; do echo 1 > x && mv x faces/t$n.csv; n=$((n + 7)); done
faces 'annotations: 0 written, 1 there already'
for n in 0 199 256 257 399; do
	echo 2 > faces/t$n.csv
	faces 'annotations: 1 written (1 in place'
done
mv faces/t17.csv faces/T17.CSV
echo 2 > faces/T17.CSV
faces 'annotations: 1 written (1 in place'
echo 3 > faces/T17.CSV
faces 'annotations: 1 written (1 in place'
faces 'annotations: 0 written, 1 there already'
echo 'ok: the tables of a folder'

# a stage in another language: its script counts by its bytes
if "$PYTHON" -c '
import zmq, msgpack, numpy' 2> /dev/null; then
	cp "$root/examples/pose-rotator.py" rot.py
	cat > py.yaml <<W
version: 1
stages:
  catalog: {run: catalog, with: {root: pictures, media: pictures, done: py}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  points: {run: landmarker, from: frames, with: {box: frame, min-score: 0}, threads: 1}
  turns: {run: "$PYTHON rot.py", from: points, with: {rx: "0", ry: "-10,10"}}
  store: {run: sample-writer, from: turns, with: {root: py, layout: views}}
W
	pyrun() { "$facet" run -q py.yaml > run.out 2> run.err || { cat run.out run.err; fail py; }; }
	pyrun
	has run.out '9 files written'
	pyrun
	has run.out '3 listed, 3 left out (finished before), 0 to do'
	sed -i 's/points.mean(0)) @ turn/points.mean(0)) * 1.5 @ turn/' rot.py
	pyrun
	has run.out "6 of 6 samples in 'py' are there from other settings (turns/program: another $PYTHON rot.py): made anew"
	has run.out '6 replaced'
	pyrun
	has run.out '3 listed, 3 left out (finished before), 0 to do'
	echo 'ok: a stage in another language'
fi
