# Sheets, clips and annotated pictures follow what they come from as samples do;
# all faces of a picture are kept.
# needs: all c:ffmpeg
set -eu
. "$(pwd)/tests/support/scratch.sh"
run() { "$facet" run -q "$@" > run.out 2> run.err || { cat run.out run.err; fail "run $*"; }; }

# ---- sheets beside a store: of the sheet's own settings, of what feeds it
cat > heads.yaml <<'W'
version: 1
vars: {seed: 1}
stages:
  heads: {run: head-renderer, with: {heads: 2, frames: 1, size: 64, seed: "${seed}"}}
  store: {run: sample-writer, from: heads, with: {root: heads, format: png}}
W
run heads.yaml
mkdir -p pictures/a
for i in 1 2; do cp heads/head0000$i/00001/frame_0.png pictures/a/$i.png; done
# each picture twice: the two "views" of a sample (a stage of the tests)
cat > p.yaml <<'W'
version: 1
vars: {cell: 40, max: 0, other: remake}
stages:
  catalog: {run: catalog, with: {root: pictures, media: pictures, done: out, sheets: out}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1, max-side: "${max}"}}
  store: {run: sample-writer, from: frames, with: {root: out, other: "${other}"}}
  sheets: {run: sheet-writer, from: frames, with: {root: out, picture: frame, cells: samples, source: no, cell: "${cell}", labels: none, other: "${other}"}}
W
run p.yaml
has run.out '2 sheets made in out'
hasnt run.out 'place of'
run p.yaml
has run.out '2 listed, 2 left out'
has run.out '0 sheets made in out'
rm out/a/2.png/sheet_0.png # lost: made again
run p.yaml
has run.out '2 listed, 1 left out'
has run.out '1 sheet made in out'
[ -f out/a/2.png/sheet_0.png ] || fail "the lost sheet"
cksum out/a/1.png/sheet_0.png > one
sed 's/done: out, //; s/sheets: out}}/retry: all}}/; s/catalog, with: {root: pictures/catalog, with: {root: pictures, done: out/' p.yaml > all.yaml
run all.yaml
has run.out '0 sheets made in out, 2 were there'
run all.yaml --set cell=50
has run.out '2 sheets made in out (2 in place of ones from other settings or sources)'
cksum out/a/1.png/sheet_0.png | cmp -s one - && fail "the sheet is the old one"
run all.yaml --set cell=50
has run.out '0 sheets made in out, 2 were there'
run all.yaml --set cell=60 --set other=keep
has run.out '2 sheets left as they are, of other settings'
has run.err "2 sheets in 'out' are of other settings"
run all.yaml
cksum out/a/1.png/sheet_0.png | cmp - one || fail "back again, but other bytes"
# a stage before both
run p.yaml --set max=32
has run.out '(frames.max-side: 0 -> 32): made anew'
has run.out '2 sheets made in out (2 in place of'
# a sheet that was changed since is made again
run all.yaml --set max=32
has run.out '0 sheets made in out, 2 were there'
printf x >> out/a/2.png/sheet_0.png
run all.yaml --set max=32
has run.out '1 sheet made in out (1 in place of'

# ---- clips
cat > clips.yaml <<'W'
version: 1
vars: {crf: 30, seed: 1, heads: 2, other: remake}
stages:
  heads: {run: head-renderer, with: {mode: clip, heads: "${heads}", frames: 4, size: 64, seed: "${seed}"}}
  clips: {run: clip-writer, from: heads, with: {root: clips, crf: "${crf}", other: "${other}"}}
W
run clips.yaml
has run.out 'clips: 2 written, 0 there already, 0 incomplete'
run clips.yaml
has run.out 'clips: 0 written, 2 there already, 0 incomplete'
cksum clips/head00001/video/00001.mp4 > one
run clips.yaml --set crf=45
has run.out 'clips: 2 written (2 in place of ones from other settings or sources), 0 there already'
cksum clips/head00001/video/00001.mp4 | cmp -s one - && fail "the clip is the old one"
run clips.yaml --set other=keep
has run.out '2 clips left as they are, of other settings'
run clips.yaml --set heads=1
has run.out 'clips: 1 written (1 in place'
has run.out '1 clips from other settings are still there'
cksum clips/head00001/video/00001.mp4 | cmp - one || fail "back again, but other bytes"
run clips.yaml --set seed=2 --set other=apart
[ "$(ls -d clips/settings-*/head00001/video/00001.mp4 | wc -l)" -eq 1 ] || fail "apart"
code=0; "$facet" run -q clips.yaml --set seed=2 --set other=refuse > run.out 2> run.err || code=$?
[ $code -eq 3 ] || fail "refuse: exit $code"
has run.err 'results from other settings, which other=refuse does not touch'

# ---- annotated pictures
cat > faces.yaml <<'W'
version: 1
vars: {yaw: 10, other: remake}
stages:
  heads: {run: head-renderer, with: {heads: 2, frames: 2, size: 64, yaw: "${yaw}"}}
  faces: {run: annotation-writer, from: heads, with: {root: faces, other: "${other}"}}
W
run faces.yaml
has run.out 'annotations: 4 written, 0 there already; 4 in'
run faces.yaml
has run.out 'annotations: 0 written, 4 there already; 4 in'
cksum faces/landmarks.csv faces/head*/* > one
run faces.yaml --set yaw=40
has run.out 'annotations: 4 written (4 in place of ones from other settings or sources)'
cksum faces/landmarks.csv faces/head*/* | cmp -s one - && fail "the points are the old ones"
run faces.yaml --set other=keep
has run.out '4 pictures left as they are, of other settings'
run faces.yaml
cksum faces/landmarks.csv faces/head*/* | cmp - one || fail "back again, but other bytes"

# ---- all faces of a picture
mkdir two
ffmpeg -v error -y -i heads/head00001/00001/frame_0.png -i heads/head00002/00001/frame_0.png \
	-filter_complex '[0]scale=192:192[a];[1]scale=192:192[b];[a][b]hstack' two/x.png < /dev/null
cat > all-faces.yaml <<'W'
version: 1
vars: {faces: all}
stages:
  catalog: {run: catalog, with: {root: two, media: pictures, done: views, sheets: views}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  boxes: {run: face-detector, from: frames, with: {policy: "${faces}", min-score: 0.3}}
  points: {run: landmarker, from: boxes, with: {min-score: 0}, threads: 1}
  turns: {run: pose-rotator, from: points, with: {rx: "0", ry: "-20,20"}}
  views: {run: generator, from: turns}
  store: {run: sample-writer, from: [views, points.failed, boxes.failed], with: {root: views, layout: views}}
  sheets: {run: sheet-writer, from: views, with: {root: views, cell: 32}}
W
run all-faces.yaml
has run.out '9 files written, 0 were there, 0 failures'
has run.out '2 sheets made'
[ "$(grep -c ',ok,' views/index.csv)" -eq 4 ] || { cat views/index.csv; fail "4 views"; }
for f in frame_0.jpg view_0_00.png view_0_01.png view_0_f1_00.png view_0_f1_01.png sheet_0.png sheet_0_f1.png; do
	[ -f "views/two/x.png/$f" ] || { find views; fail "no $f"; }
done
cmp -s views/two/x.png/view_0_00.png views/two/x.png/view_0_f1_00.png && fail "one face twice"
run all-faces.yaml
has run.out '1 listed, 1 left out (finished before), 0 to do'
rm views/two/x.png/sheet_0_f1.png # any of them, not the first alone
run all-faces.yaml
has run.out '1 sheet made in views'
[ -f views/two/x.png/sheet_0_f1.png ] || fail "the lost sheet of a face"
printf x >> views/two/x.png/sheet_0_f1.png
run all-faces.yaml
has run.out '1 sheet made in views'
run all-faces.yaml
has run.out '1 listed, 1 left out (finished before), 0 to do'
run all-faces.yaml --set faces=largest
[ "$(grep -c ',ok,' views/index.csv)" -eq 2 ] || fail "2 views"
[ ! -e views/two/x.png/view_0_f1_00.png ] || fail "the other face is still there"
[ ! -e views/two/x.png/sheet_0_f1.png ] || fail "the other face's sheet is still there"
