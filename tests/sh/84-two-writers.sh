# Several sinks of one run that write into one store: each keeps its rows and
# files, nothing is made twice, a change in one of them is noticed.
# needs: all
set -eu
. "$(pwd)/tests/support/scratch.sh"
run() { "$facet" run -q "$@" > run.out 2> run.err || { cat run.out run.err; fail "run $*"; }; }
sums() { (cd "$1" && find . -name '.?*' -prune -o -type f ! -name index.csv -exec cksum {} + | sort -k3); }
rows() { [ "$(grep -c ',ok,' out/index.csv)" -eq "$1" ] || { cat out/index.csv; fail "$1 rows"; }; }

cat > heads.yaml <<'W2'
version: 1
stages:
  heads: {run: head-renderer, with: {heads: 3, frames: 1, size: 128, fill: 0.7, yaw: 5}}
  store: {run: sample-writer, from: heads, with: {root: heads, format: png}}
W2
run heads.yaml
mkdir -p pictures/a
for i in 1 2 3; do cp heads/head0000$i/00001/frame_0.png pictures/a/$i.png; done

# one stores pictures with their points, one the views made of them, one what
# failed; sheets and clips beside
cat > p.yaml <<'W2'
version: 1
vars: {radius: 2, ry: "-20,20", other: remake, fps: 25}
stages:
  catalog: {run: catalog, with: {root: pictures, media: pictures, done: out}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  points: {run: landmarker, from: frames, with: {model: points-128, box: frame, min-score: 0}, threads: 1}
  poses: {run: pose-drawer, from: points, with: {radius: "${radius}"}}
  turns: {run: pose-rotator, from: points, with: {rx: "0", ry: "${ry}"}}
  views: {run: generator, from: turns}
  store: {run: sample-writer, from: poses, with: {root: out, layout: views, other: "${other}"}}
  made: {run: sample-writer, from: views, with: {root: out, layout: views, frame: no, other: "${other}"}}
  bad: {run: sample-writer, from: [catalog.failed, frames.failed, points.failed], with: {root: ./out/, layout: views, other: "${other}"}}
  sheets: {run: sheet-writer, from: views, with: {root: out, cell: 32, other: "${other}"}}
W2
run p.yaml
rows 9
for f in frame_0.jpg pose_0.png landmarks_0.csv view_0_00.png view_0_01.png landmarks_0_01.csv sheet_0.png; do
	[ -f "out/a/2.png/$f" ] || { find out; fail "no $f"; }
done
sums out > first.txt
[ "$(grep -c , out/metadata.csv)" -eq 4 ] || { cat out/metadata.csv; fail "metadata.csv"; }
run p.yaml
has run.out '3 listed, 3 left out (finished before), 0 to do'
sums out | diff first.txt - || fail "a second run changed files"
run p.yaml --set other=keep
has run.out '3 listed, 3 left out (finished before), 0 to do'

# a change in one of them, and back
run p.yaml --set radius=4

rows 9
sums out > second.txt
diff first.txt second.txt > changed.txt && fail "another radius changed nothing"
[ "$(grep -c '^>.*pose_0' changed.txt)" -eq 3 ] || { cat changed.txt; fail "3 poses"; }
run p.yaml --set radius=4
has run.out '3 listed, 3 left out'
run p.yaml --set radius=4 --set ry=-10,20,30
rows 12
[ -f out/a/1.png/view_0_02.png ] || fail "no third view"
[ -f out/a/1.png/pose_0.png ] || fail "no pose"
run p.yaml --set radius=4 --set ry=-10,20,30
has run.out '3 listed, 3 left out'
run p.yaml
rows 9
[ ! -e out/a/1.png/view_0_02.png ] || fail "the third view is still there"
sums out | diff first.txt - || fail "back again, but other files"
run p.yaml
has run.out '3 listed, 3 left out'

# a lost file of either, rows of one of them lost: only that is made again
rm out/a/1.png/pose_0.png out/a/3.png/view_0_01.png
run p.yaml
has run.out '3 listed, 1 left out (finished before), 2 to do'
sums out | diff first.txt - || fail "lost files"
cp -r out killed
grep -v 'a	3.png' killed/.facet/base.tsv > others
grep 'a	3.png' killed/.facet/base.tsv | grep -v 'view_0_' > own
[ "$(wc -l < own)" -eq 1 ] || { cat own; fail "one row of the first writer"; }
sort -t '	' -k 2 others own > killed/.facet/base.tsv # as a kill between the two leaves it
rm killed/a/3.png/view_0_* killed/a/3.png/landmarks_0_*
sed 's/done: out/done: killed/; s/root: out/root: killed/; s/root: .\/out/root: killed/' p.yaml > killed.yaml
run killed.yaml
has run.out '3 listed, 2 left out (finished before), 1 to do'
sums killed > killed.txt
diff first.txt killed.txt || fail "after a kill between two writers"

# without one of them its rows go, and come again with it
grep -v '^  made:' p.yaml > less.yaml
run less.yaml
rows 3
[ ! -e out/a/1.png/view_0_00.png ] || fail "the views are still there"
run less.yaml
has run.out '3 listed, 3 left out'
run p.yaml
rows 9
sums out | diff first.txt - || fail "with it again, but other files"

# what fails before all of them is noted once, and not tried again
echo no picture > pictures/a/4.png
"$facet" run -q p.yaml > run.out 2> run.err || true
[ "$(grep -c ',decode error,' out/index.csv)" -eq 1 ] || { cat out/index.csv; fail "a failure"; }
run p.yaml
has run.out '4 listed, 4 left out'
rm pictures/a/4.png

# both store the same sample: said, never one of them silently lost
sed 's/from: views, with: {root: out/from: points, with: {root: both/; s/from: poses, with: {root: out/from: poses, with: {root: both/; /^  bad/d; /^  sheets/d; s/done: out/done: both/' p.yaml > both.yaml
code=0; "$facet" run -q both.yaml > run.out 2> run.err || code=$?
[ $code -ne 0 ] || { cat run.out run.err; fail "one sample of two writers: exit 0"; }
has run.err 'samples were stored by two items or sinks each'
# annotated pictures and a store have an index.csv each: not in one folder
cat > faces.yaml <<'W2'
version: 1
vars: {store: shared, faces: shared}
stages:
  heads: {run: head-renderer, with: {heads: 1, frames: 1, size: 64}}
  store: {run: sample-writer, from: heads, with: {root: "${store}"}}
  faces: {run: annotation-writer, from: heads, with: {root: "${faces}"}}
W2
code=0; "$facet" run -q faces.yaml > run.out 2> run.err || code=$?
[ $code -eq 3 ] || { cat run.out run.err; fail "a store and annotations in one folder: exit $code"; }
has run.err "index.csv"
run faces.yaml --set faces=f2 --set store=s2
code=0; "$facet" run -q faces.yaml --set faces=s2 --set store=s3 > run.out 2> run.err || code=$?
[ $code -eq 3 ] || fail "annotations into a store: exit $code"
has run.err "'s2' holds a sample store"
code=0; "$facet" run -q faces.yaml --set faces=f3 --set store=f2 > run.out 2> run.err || code=$?
[ $code -eq 3 ] || fail "a store into annotations: exit $code"
has run.err "'f2' holds annotated pictures"
echo 'ok: two writers'
