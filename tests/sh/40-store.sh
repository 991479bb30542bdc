# catalog, sample-writer, sample-reader, sheet-writer: awkward names, failures,
# kills, replays, round trips.
# needs: all c:ffmpeg
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
stages=$root/$BUILD/stages
command -v ffmpeg >/dev/null || { echo "no ffmpeg to make clips with"; exit 77; }
tmp=/tmp
[ -w /dev/shm ] && tmp=/dev/shm # thousands of fsyncs
dir=$(mktemp -d "$tmp/facet-sh-XXXXXX")
trap '[ -n "${KEEP:-}" ] || rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
same() { diff -r -x .facet -x dead -x .sheets "$1" "$2" || fail "$1 and $2 differ"; }
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }

# ---- clips: names as they come, broken files among them
mkdir -p 'clips/id1/-v & (x)' clips/id2/ünï clips/id3/v clips/.hidden
ffmpeg -v error -f lavfi -i testsrc=s=64x48:r=10:d=1 -c:v mpeg4 -y \
	'clips/id1/-v & (x)/-00001 [a].mp4' </dev/null
for n in 'id1/-v & (x)/2.mp4' id2/ünï/1.mp4 id2/ünï/2.avi id3/v/1.mp4 .hidden/1.mp4; do
	cp -- 'clips/id1/-v & (x)/-00001 [a].mp4' "clips/$n"
done
ln -s "$dir/clips/id3/v/1.mp4" clips/id3/v/link.mp4
ln -s nowhere clips/id3/v/dangling.mp4
ln -s .. clips/id3/v/up
echo '<html>404</html>' > clips/id3/v/page.mp4
: > clips/id3/v/empty.mp4
echo text > clips/README.md
bad=$(printf 'clips/id3/v/\377\376.mp4')
cp clips/id3/v/1.mp4 "$bad"

code=0
"$stages/catalog" --stdio --root clips > c.tape 2> c.err || code=$?
[ $code -eq 1 ] || fail "two that cannot be taken: exit $code, not 1"
"$facet" tape show --full c.tape > c.txt
has c.err "id3/v/\\xff\\xfe.mp4"
has c.err 'unsupported: the name is not UTF-8'
has c.err 'notfound: a link to nothing'
has c.err 'left out: 1 .md, 1 hidden, 1 in loops of links'
cat > want.txt <<'W'
  path str "clips/id1/-v & (x)/-00001 [a].mp4"
  path str "clips/id1/-v & (x)/2.mp4"
  path str "clips/id2/ünï/1.mp4"
  path str "clips/id2/ünï/2.avi"
  path str "clips/id3/v/1.mp4"
  path str "clips/id3/v/empty.mp4"
  path str "clips/id3/v/link.mp4"
  path str "clips/id3/v/page.mp4"
W
grep '^  path' c.txt | diff want.txt - || fail "catalog's order"
has c.txt 'name str "id1/-v & (x)"'
has c.txt 'snippet str "-00001 [a].mp4"'
has c.txt 'identity str "id2"'
# shards and limits part the same listing
for i in 0 1 2; do
	"$stages/catalog" --stdio --root clips --shard $i --shards 3 2>/dev/null |
		"$facet" tape show --full - | grep '^  path'
done | sort | diff want.txt - || fail "shards"
# a split by identity is the same every time and whole for an identity
"$stages/catalog" --stdio --root clips --split 0.5 --seed 3 2>/dev/null |
	"$facet" tape show --full - | grep -E '^  (identity|set)' | paste - - | sort -u > split.txt
[ "$(wc -l < split.txt)" -eq 3 ] || { cat split.txt; fail "split"; }
# lists
printf 'name,snippet,n_frames,set\nid3/v,1.mp4,5,test\nid2/ünï,1.mp4,5,train\n' > seed.csv
"$stages/catalog" --stdio --root clips --list seed.csv --set test |
	"$facet" tape show --full - > l.txt
has l.txt 'path str "clips/id3/v/1.mp4"'
[ "$(grep -c '^  path' l.txt)" -eq 1 ] || fail "set=test"
printf 'path,identity,split\nid3/v/1.mp4,Anna,val\n../../etc/passwd,x,val\n' > bad.csv
"$stages/catalog" --stdio --root clips --list bad.csv 2> l.err && fail "path out of root"
has l.err "'bad.csv': line 3: the path '../../etc/passwd'"
"$stages/catalog" --stdio --root nowhere 2> l.err && fail "no root"
has l.err "there is no folder 'nowhere'"
"$stages/catalog" --stdio --root clips --media pictures 2> l.err && fail "nothing listed"
has l.err "no pictures in 'clips'"

# ---- a run, then runs that are killed at any moment, give the same bytes
cat > p.yaml <<'W'
version: 1
help: "frames into a store"
vars: {out: o, retry: none, n: 1}
stages:
  catalog: {run: catalog, with: {root: clips, done: "${out}", retry: "${retry}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 3}}
  store: {run: sample-writer, from: [frames, frames.failed, catalog.failed], with: {root: "${out}", format: png}, replicas: "${n}"}
W
run() { "$facet" run p.yaml -q "$@" >run.out 2>run.err; }
began=$(date +%s%N)
code=0; run --set out=whole || code=$?
whole_ns=$(($(date +%s%N) - began))
[ $code -eq 1 ] || { cat run.err; fail "exit $code, not 1 for failed items"; }
[ "$(grep -c ',ok,' whole/index.csv)" -eq 18 ] || fail "18 samples"
has whole/index.csv 'id3/v,page.mp4,,train,,,,id3,decode error,'
has whole/index.csv 'is empty (0 bytes)'
[ "$(wc -l < whole/metadata.csv)" -eq 7 ] || fail "metadata.csv"
has whole/metadata.csv 'id3/v,1.mp4,3,train'
[ -f 'whole/id1/-v & (x)/-00001 [a].mp4/frame_2.png' ] || fail "seed layout"
"$stages/catalog" --stdio --root clips --done whole 2> d.err | "$facet" tape show --full - > d.txt
[ ! -s d.txt ] || fail "a second run has nothing to do"
has d.err '10 listed, 10 left out (finished before), 0 to do'
code=0; run --set out=whole --set retry=failed || code=$?
has run.out '10 listed, 6 left out (not failed), 4 to do'
for share in 0.2 0.4 0.6 0.8 0.95; do # of what a whole run takes now
	"$facet" run p.yaml -q --set out=torn --set n=2 >/dev/null 2>&1 &
	pid=$!
	sleep "$(awk -v s=$share -v ns="$whole_ns" 'BEGIN {print s * ns * 1e-9}')"
	kill -9 $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
done
run --set out=torn || true
same whole torn
[ -z "$(find torn -name '.tmp-*' -o -name 'writer-*' -o -name 'new-*')" ] ||
	fail "left-overs"

# a clip that was mended: only it is done, and its success replaces the failure
cp clips/id3/v/1.mp4 clips/id3/v/page.mp4
run --set out=whole --set retry=failed || true
grep -q 'page.mp4,,train' whole/index.csv && fail "the old failure is still there"
[ "$(grep -c ',ok,' whole/index.csv)" -eq 21 ] || fail "21 samples"

# ---- back from the store: the same samples, the same bytes
"$stages/sample-reader" --stdio --root whole > r.tape
"$stages/sample-writer" --stdio --root copy --format png < r.tape > /dev/null
(cd whole && find . -name 'frame_*' | sort) > a.txt
(cd copy && find . -name 'frame_*' | sort) > b.txt
diff a.txt b.txt || fail "reader and writer"
for f in $(grep id3 a.txt); do cmp "whole/$f" "copy/$f"; done
# the seed's bare tree reads the same (no index, no dot folder)
mkdir bare && cp -r whole/id* whole/metadata.csv bare
"$stages/sample-reader" --stdio --root bare | "$facet" tape show --full - |
	grep -E '^  (name|snippet|sample|set)' > b.txt
"$facet" tape show --full r.tape | grep -E '^  (name|snippet|sample|set)' > a.txt
sort a.txt > a1; sort b.txt > b1; diff a1 b1 || fail "bare tree"
# a picture that was damaged since is a failed item, the others come
head -c 60 whole/id3/v/1.mp4/frame_1.png > x && mv x whole/id3/v/1.mp4/frame_1.png
"$stages/sample-reader" --stdio --root whole 2> r.err | "$facet" tape show --full - > r.txt
[ "$(grep -c '^  frame u8' r.txt)" -eq 20 ] || fail "20 good samples"
has r.err 'id3/v/1.mp4/frame_1.png'

# ---- one folder per identity
"$stages/sample-writer" --stdio --root byid --layout identity --format png < r.tape >/dev/null
[ -f byid/train/id3/v__1.mp4_0.png ] || { find byid; fail "identity layout"; }
head -n 1 byid/train/metadata.csv | grep -q '^file_name,label,' || fail "metadata.csv"
has byid/train/metadata.csv 'id3/v__1.mp4_0.png,id3,false,id3/v,1.mp4,0,'
[ "$(ls byid/train | wc -l)" -eq 4 ] || fail "one folder per identity"
code=0; "$stages/sample-writer" --stdio --root byid < r.tape >/dev/null 2> w.err || code=$?
[ $code -ne 0 ] || fail "another layout in the same folder"
has w.err "holds a store of layout 'identity'"

# ---- views and their sheet; a failed view leaves its cell empty
"$facet" tape make -o v.tape name=str:n snippet=str:p.jpg sample=i64:0 n_frames=i64:1 \
	view=i64:0 n_views=i64:3 pose_deg=f32[3]:10,-5.5,0 method=str:warp \
	frame=u8[20,30,3]:ramp 'generated=u8[20,30,3]:fill 9' -- \
	name=str:n snippet=str:p.jpg sample=i64:0 n_frames=i64:1 \
	view=i64:1 n_views=i64:3 pose_deg=f32[3]:0,0,0 method=str:warp \
	frame=u8[20,30,3]:ramp 'generated=u8[20,30,3]:fill 99'
"$facet" tape make -o f.tape name=str:n snippet=str:p.jpg sample=i64:0 n_frames=i64:1 \
	view=i64:2 n_views=i64:3 error_code=str:noface error_text=str:gone error_stage=str:views
for t in v v f; do "$stages/sample-writer" --stdio --root views --layout views < $t.tape >/dev/null; done
[ -f views/n/p.jpg/view_0_01.png ] && [ -f views/n/p.jpg/frame_0.jpg ] || fail "views"
for w in Synthetic true 'Method' warp 'rx 10 ry -5.5 rz 0 degrees' 'n/p.jpg sample 0'; do
	grep -aqF "$w" views/n/p.jpg/view_0_00.png || fail "the picture does not say '$w'"
done
has views/index.csv 'n,p.jpg,1,,0,2,3,,no face,gone,views,'
"$stages/sheet-writer" --stdio --root sheets < v.tape > s.out
has s.out '1 sheets have empty cells'
[ -d sheets/.sheets/n/p.jpg/0 ] || fail "cells are kept"
"$stages/sheet-writer" --stdio --root sheets < f.tape > s.out
has s.out '1 sheet made'
[ -d sheets/.sheets/n ] && fail "cells are gone"
cp sheets/n/p.jpg/sheet_0.png one.png
"$stages/sheet-writer" --stdio --root sheets < v.tape > /dev/null # a replay
cmp one.png sheets/n/p.jpg/sheet_0.png
"$facet" tape cat f.tape v.tape > both.tape
"$stages/sheet-writer" --stdio --root again < both.tape > /dev/null
cmp one.png again/n/p.jpg/sheet_0.png # in any order
"$stages/sheet-writer" --stdio --root again --overwrite yes < both.tape > /dev/null
cmp one.png again/n/p.jpg/sheet_0.png
[ -d again/.sheets/n ] && fail "cells are gone after overwriting"
# paths from outside cannot leave the root
"$facet" tape make -o evil.tape name=str:../../x snippet=str:y sample=i64:0 \
	n_frames=i64:1 'frame=u8[4,4,3]:fill 9'
for s in sample-writer sheet-writer; do
	"$stages/$s" --stdio --root evil < evil.tape >/dev/null 2> e.err && fail "$s: ../ accepted"
done
"$stages/sample-writer" --stdio --root evil < evil.tape >/dev/null 2> e.err || true
has e.err "the name '../../x' has a part that begins with '.'"
exit 0
