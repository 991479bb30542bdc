# Folders in folders: one that is deep beside good pictures is taken like any, up
# to the longest path that the system can open; what lies below that is named and
# counted, and the rest goes on.
# needs: all c:python3
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
stages=$root/$BUILD/stages
tmp=${TMPDIR:-/tmp}
[ -w /dev/shm ] && tmp=/dev/shm # hundreds of fsyncs
dir=$(mktemp -d "$tmp/facet-sh-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || { cut -c 1-400 "$1"; fail "no '$2' in $1"; }; }
status() { # the exit status of a command into $code
	code=0
	"$@" > out 2> err || code=$?
}
picture() { printf 'P5 4 4 255\n0123456789abcdef' > "$1"; }
deep() { # FOLDER N: N folders in each other
	p=$1
	i=0
	while [ $i -lt "$2" ]; do p=$p/d; i=$((i + 1)); done
	mkdir -p "$p"
	picture "$p/deep.pgm"
}

for n in 1 25 26 33 200; do deep "pics/$n" $n; done
picture pics/good.pgm
cat > pics.yaml <<'Y'
version: 1
vars: {pictures: pics, out: o, retry: none, layout: pairs}
stages:
  catalog: {run: catalog, with: {root: "${pictures}", media: pictures, done: "${out}", retry: "${retry}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  store: {run: sample-writer, from: [frames, frames.failed, catalog.failed], with: {root: "${out}", layout: "${layout}", format: png}}
Y
status "$facet" run -q pics.yaml
[ $code -eq 0 ] || { cat out err; fail "exit $code"; }
[ "$(grep -c ',ok,' o/index.csv)" -eq 6 ] || { cat o/index.csv; fail "six of six"; }
[ "$(find o -name frame_0.png | wc -l)" -eq 6 ] || fail "six pictures"
"$stages/sample-reader" --stdio --root o > r.tape
"$facet" tape show --full r.tape > r.txt
[ "$(grep -c '^  frame u8' r.txt)" -eq 6 ] || fail "six read back"
status "$facet" run -q pics.yaml
has out '6 listed, 6 left out (finished before), 0 to do'

# ---- as long as a path may be, and longer
cat > tree.py <<'P'
import os, sys
# Folders of ten letters below argv[1] until a path from there has argv[2] bytes.
os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
length = len(sys.argv[1])
while length + 11 < int(sys.argv[2]):
    os.makedirs("0123456789", exist_ok=True)
    os.chdir("0123456789")
    length += 11
    if 2000 < length <= 2011 or length + 11 >= int(sys.argv[2]):
        with open("x.pgm", "wb") as f:
            f.write(b"P5 4 4 255\n0123456789abcdef")
P
"$PYTHON" tree.py long 5000
picture long/good.pgm
status sh -c '"$1/catalog" --stdio --root long --media pictures > c.tape' sh "$stages"
[ $code -eq 1 ] || { cut -c 1-400 err; fail "too long: exit $code, not 1"; }
"$facet" tape show --full c.tape | sed -n 's/^  path str //p' > c.txt
[ "$(wc -l < c.txt)" -eq 2 ] || { cut -c 1-100 c.txt; fail "two can be listed"; }
has err 'File name too long'
[ "$(grep -c 'failed: io: cannot open folder' err)" -eq 1 ] || { cut -c 1-400 err; fail "one folder fails"; }
# where the store's path is longer than the source's, the sample has its row
"$PYTHON" tree.py edge 4080
status "$facet" run -q pics.yaml --set pictures=edge --set out=o-with-a-longer-name
[ $code -eq 1 ] || { cut -c 1-400 out err; fail "too long for the store: exit $code, not 1"; }
has o-with-a-longer-name/index.csv 'File name too long'
has o-with-a-longer-name/index.csv ',ok,'
has out '1 failures noted'
status "$facet" run -q pics.yaml --set pictures=edge --set out=o-with-a-longer-name --set retry=failed
has out '2 listed, 1 left out (not failed), 1 to do'
