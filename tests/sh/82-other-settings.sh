# What is there from other settings: left, kept apart, refused; stores without
# keys; two items for one sample; files that were changed since.
# needs: all c:python3
set -eu
. "$(pwd)/tests/support/settings_world.sh"

run
# left, apart, refused
sums out > before.txt
run --set radius=3 --set other=keep
has run.out '3 listed, 3 left out (finished before; 3 of other settings or sources kept), 0 to do'
has run.out "$told (poses.radius: 2 -> 3): kept"
sums out | diff before.txt - || fail "other=keep changed files"
run --set radius=3 --set other=keep --set retry=all
has run.out '3 samples left as they are, of other settings'
has run.err "3 samples were not made: 'out' holds their clips or pictures from other settings"
sums out | diff before.txt - || fail "other=keep with retry=all changed files"
code=0; "$facet" run -q p.yaml --set radius=3 --set other=refuse > run.out 2> run.err || code=$?
[ $code -eq 3 ] || fail "other=refuse: exit $code"
has run.err "'out' holds 3 samples from other settings (poses.radius: 2 -> 3), which other=refuse does not touch"
run --set radius=3 --set other=apart
has run.out '9 files written'
[ "$(ls -d out/settings-* | wc -l)" -eq 1 ] || fail "apart"
sums out | grep -v settings- | diff before.txt - || fail "other=apart changed files"
run --set radius=3 --set other=apart
has run.out '3 listed, 3 left out (finished before), 0 to do'
run --set radius=4 --set other=apart
[ "$(ls -d out/settings-* | wc -l)" -eq 2 ] || fail "apart, twice"
echo 'ok: keep, apart, refuse'

# a store without keys: of unknown settings, said once, made anew
rm -rf old
cp -r heads old
"$PYTHON" - old/index.csv <<'P'
import csv, sys
rows = list(csv.reader(open(sys.argv[1])))
n = rows[0].index("face")
csv.writer(open(sys.argv[1], "w"), lineterminator="\n").writerows(r[:n] for r in rows)
P
rm -r old/.facet
sed 's/root: heads,/root: old,/' heads.yaml > old.yaml
"$facet" run -q old.yaml > run.out 2> run.err || { cat run.err; fail old; }
has run.out "3 of 3 samples in 'old' are there from other settings (unknown): made anew"
has run.out '0 files written, 3 were there'
"$facet" run -q old.yaml > run.out 2> run.err || { cat run.err; fail old; }
hasnt run.out 'other settings'

# two items for one sample: an error, never a silent drop
cat > twice.yaml <<'W'
version: 1
vars: {same: yes}
stages:
  one: {run: head-renderer, with: {heads: 1, frames: 1, size: 64, seed: 1}}
  two: {run: head-renderer, with: {heads: 1, frames: 1, size: 64, seed: 2}}
  store: {run: sample-writer, from: [one, two], with: {root: twice, format: png}}
W
code=0; "$facet" run -q twice.yaml > run.out 2> run.err || code=$?
[ $code -eq 1 ] || { cat run.err; fail "two items for one sample: exit $code"; }
has run.err "sample 0 of 'head00001/00001' was stored in this run already, of another item"

# a file that was changed since is not read as what the row says
printf x >> heads/head00002/00001/frame_0.png
"$root/$BUILD/stages/sample-reader" --stdio --root heads > r.tape 2> r.err || true
has r.err "'heads/head00002/00001/frame_0.png' is not the file that was stored"
"$facet" tape show r.tape > r.txt
[ "$(grep -c 'u8\[128,128,3\]' r.txt)" -eq 2 ] || { cat r.txt; fail "two good samples"; }

# facet store verify: names what is missing or changed, and mends it
cp -r out mended
"$facet" store verify mended > v.out || { cat v.out; fail "a sound store"; }
has v.out '3 rows, 9 files, 0 missing or changed'
rm mended/a/1.png/pose_0.png
printf x >> mended/a/2.png/landmarks_0.csv
code=0; "$facet" store verify mended > v.out || code=$?
[ $code -eq 1 ] || fail "verify: exit $code"
has v.out 'missing or changed: mended/a/1.png/pose_0.png'
has v.out 'missing or changed: mended/a/2.png/landmarks_0.csv'
has v.out '3 rows, 9 files, 2 missing or changed'
"$facet" store verify mended --mend > v.out && fail "verify --mend: exit 0"
has v.out 'their rows were taken away'
"$facet" store verify mended > v.out || { cat v.out; fail "after --mend"; }
has v.out '1 rows, 3 files, 0 missing or changed'
run --set out=mended
has run.out '3 listed, 1 left out (finished before), 2 to do'
"$facet" store verify mended > v.out || { cat v.out; fail "made again"; }
sums mended | grep -v settings- > m.txt
sums out | grep -v settings- | diff m.txt - || fail "mended, but not the same"
code=0; "$facet" store verify nowhere 2> v.err || code=$?
[ $code -eq 2 ] || fail "no store: exit $code"
has v.err "'nowhere' is no store"
