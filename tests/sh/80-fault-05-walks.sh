# A walk of a folder loses nothing without a word: what cannot be taken is named,
# counted as failed, reaches index.csv and is found by retry=failed.
# needs: all c:python3
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
stages=$root/$BUILD/stages
tmp=${TMPDIR:-/tmp}
[ -w /dev/shm ] && tmp=/dev/shm # many fsyncs
dir=$(mktemp -d "$tmp/facet-sh-XXXXXX")
trap 'chmod -R u+rwx "$dir"; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }
hasnt() { ! grep -qF -- "$2" "$1" || { cat "$1"; fail "'$2' in $1"; }; }
picture() { # FILE GREY: 4 x 4 pixels
	printf 'P5 4 4 255\n' > "$1"
	printf "\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2\\$2" >> "$1"
}
status() { # the exit status of a command into $code
	code=0
	"$@" > out 2> err || code=$?
}
paths() { "$facet" tape show --full "$1" | sed -n 's/^  path str //p'; }

cat > pics.yaml <<'Y'
version: 1
vars: {pictures: p, out: o, retry: none}
stages:
  catalog: {run: catalog, with: {root: "${pictures}", media: pictures, done: "${out}", retry: "${retry}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  store: {run: sample-writer, from: [frames, frames.failed, catalog.failed], with: {root: "${out}", format: png}}
Y

# ---- unusual kinds, links, endings
mkdir -p p/id p/elsewhere
picture p/id/a.pgm 100
mkfifo p/id/pipe.jpg p/id/control
ln -s nowhere p/id/gone.png
ln -s nowhere p/album
ln -s nowhere p/id/notes.txt
ln -s circle.png p/id/circle.png
ln -s .. p/id/up
ln -s ../id/a.pgm p/elsewhere/again.pgm
"$PYTHON" -c 'import socket; socket.socket(socket.AF_UNIX).bind("p/id/socket.jpeg")'
status sh -c '"$1/catalog" --stdio --root p --media pictures > c.tape' sh "$stages"
[ $code -eq 1 ] || { cat err; fail "odd kinds: exit $code, not 1"; }
printf '"p/elsewhere/again.pgm"\n"p/id/a.pgm"\n' > want
paths c.tape | diff want - || fail "what is listed"
has err "'p/album') failed: notfound: a link to nothing"
has err "'p/id/gone.png') failed: notfound: a link to nothing"
has err "'p/id/circle.png') failed: io: cannot look at 'p/id/circle.png': Too many levels"
has err "'p/id/pipe.jpg') failed: unsupported: a pipe (FIFO), not a file"
has err "'p/id/socket.jpeg') failed: unsupported: a socket, not a file"
[ "$(grep -c 'failed:' err)" -eq 5 ] || { cat err; fail "five fail"; }
has err 'left out: 1 .txt, 1 without an ending, 1 in loops of links'
# each in the store, with its reason; a second run tells again of what may be a
# folder, retry=failed of all
status "$facet" run -q pics.yaml
[ $code -eq 1 ] || { cat out err; fail "exit $code, not 1"; }
[ "$(grep -c ',ok,' o/index.csv)" -eq 2 ] || fail "two are good"
has o/index.csv 'id,gone.png,,train,,,,id,not found,a link to nothing,catalog,p/id/gone.png'
has o/index.csv 'id,pipe.jpg,,train,,,,id,unsupported,"a pipe (FIFO), not a file",catalog'
has o/index.csv 'p,album,,train,,,,,not found,a link to nothing,catalog,p/album'
[ "$(grep -c ',catalog,' o/index.csv)" -eq 5 ] || fail "five rows"
status "$facet" run -q pics.yaml
[ $code -eq 1 ] || fail "what may be a folder is told again: exit $code"
has out '7 listed, 6 left out (finished before), 1 to do'
status "$facet" run -q pics.yaml --set retry=failed
has out '7 listed, 2 left out (not failed), 5 to do'
rm p/id/gone.png p/id/pipe.jpg p/id/socket.jpeg p/id/circle.png p/album
picture p/id/gone.png 150
picture p/id/pipe.jpg 160
status "$facet" run -q pics.yaml --set retry=failed
[ $code -eq 0 ] || { cat out err; fail "mended: exit $code"; }
has o/index.csv 'id,pipe.jpg,1,train,0,,,id,ok,'

# ---- names
mkdir -p "n/a b " n/-x 'n/q"uote' "n/apo's" n/ünï n/UP n/up
long=$(printf '%0251d' 1).pgm
for f in "a b /t .pgm" -x/-v.pgm 'q"uote/"q".pgm' "apo's/'.pgm" ünï/é.pgm UP/A.pgm UP/a.pgm \
	up/a.pgm "$long" "-x/a,b.pgm" '-x/$HOME `ls` \n %s.pgm' '-x/*.PGM'; do
	picture "n/$f" 200
done
picture "n/-x/new
line.pgm" 201
bad=$(printf 'n/-x/\377\376.pgm')
picture "$bad" 202
picture n/-x/.hidden.pgm 203
status "$facet" run -q pics.yaml --set pictures=n --set out=no
[ $code -eq 1 ] || { cat out err; fail "names: exit $code"; }
[ "$(grep -c ',ok,' no/index.csv)" -eq 12 ] || { cat no/index.csv; fail "12 of 12 good names"; }
[ "$(find no -name 'frame_0.png' | wc -l)" -eq 12 ] || fail "12 pictures"
[ -f "no/n/$long/frame_0.png" ] || fail "a name of 255 bytes"
has no/index.csv '-x,new\x0aline.pgm,,'
has no/index.csv 'holds a control character'
has no/index.csv '-x,\xff\xfe.pgm,,'
has no/index.csv 'the name is not UTF-8'
has out 'left out: 1 hidden'
[ "$(wc -l < no/index.csv)" -eq 15 ] || { cat no/index.csv; fail "15 lines"; }
status "$facet" run -q pics.yaml --set pictures=n --set out=no --set retry=failed
has out '14 listed, 12 left out (not failed), 2 to do'

# ---- two that would stand in one place of the store
mkdir -p twice/twice
picture twice/a.pgm 10
picture twice/twice/a.pgm 250
status "$facet" run -q pics.yaml --set pictures=twice --set out=nt
[ $code -eq 1 ] || { cat out err; fail "two in one place: exit $code"; }
has nt/index.csv 'twice,a.pgm,1,'
has nt/index.csv 'twice,twice/a.pgm,,'
has nt/index.csv "it would be stored as 'twice/a.pgm', and so would 'a.pgm'"
printf 'path,name,snippet\nid/a.pgm,x,y.pgm\nid/gone.png,x,y.pgm\n' > list.csv
status sh -c '"$1/catalog" --stdio --root p --list list.csv > c.tape' sh "$stages"
[ $code -eq 1 ] || { cat err; fail "a list with one name for two: exit $code"; }
has err "it would be stored as 'x/y.pgm', and so would 'id/a.pgm'"
[ "$(paths c.tape)" = '"p/id/a.pgm"' ] || fail "the first is taken"

# ---- a store inside the folder: its pictures are no sources
mkdir -p in/id
picture in/id/a.pgm 90
status "$facet" run -q pics.yaml --set pictures=in --set out=in/out
[ $code -eq 0 ] || { cat out err; fail "a store inside: exit $code"; }
status "$facet" run -q pics.yaml --set pictures=in --set out=in/out
[ $code -eq 0 ] || fail "again: exit $code"
has out '1 listed, 1 left out (finished before), 0 to do'
has out 'in the store'
[ "$(wc -l < in/out/index.csv)" -eq 2 ] || fail "its own pictures were taken"

# ... and one in the very folder, whose pictures look like sources: refused
mkdir -p same/id/v
picture same/id/v/a.pgm 90
"$stages/catalog" --stdio --root same --media pictures |
	"$stages/frame-sampler" --stdio --count 1 |
	"$stages/sample-writer" --stdio --root same --layout identity > /dev/null
status sh -c '"$1/catalog" --stdio --root same --media pictures --done same > c.tape' sh "$stages"
[ $code -eq 3 ] || { cat err; fail "a store among its sources: exit $code, not 3"; }
has err "'same' is both the folder of the sources and a store of layout identity"

# ---- a bare tree of the seed, read back
mkdir -p bare/n/v bare/n/w
picture bare/n/v/x.pgm 1
cp no/n/"$long"/frame_0.png bare/n/v/frame_0.png
cp bare/n/v/frame_0.png bare/n/v/frame_0001.png
cp bare/n/v/frame_0.png bare/n/v/pose_0001.PNG
cp bare/n/v/frame_0.png bare/n/w/frame_3.png
cp bare/n/v/frame_0.png bare/n/w/frame_03.png
cp bare/n/v/frame_0.png bare/n/w/frame_x.png
ln -s nowhere bare/n/w/frame_4.png
status sh -c '"$1/sample-reader" --stdio --root bare > r.tape' sh "$stages"
[ $code -eq 1 ] || { cat err; fail "bare tree: exit $code"; }
[ "$(paths r.tape | wc -l)" -eq 0 ] || fail "a bare tree has no sources"
"$facet" tape show --full r.tape > r.txt
[ "$(grep -c '^  frame u8' r.txt)" -eq 3 ] || { cat r.txt err; fail "three frames"; }
[ "$(grep -c '^  pose u8' r.txt)" -eq 1 ] || fail "the pose of frame_0001"
has err "bare/n/w/frame_3.png') failed: unsupported: 'n/w/frame_03.png' has the same number"
has err "bare/n/w/frame_x.png') failed: unsupported: not <name>"
has err "bare/n/w/frame_4.png') failed: notfound: a link to nothing"

# ---- a list of poses: a name that is no text is a failed item, and pictures
# whose paths end alike for long are told apart
mkdir poses
l=$(printf '%0100d' 0)
printf 'path,yaw_deg\na.jpg,10\n\377.jpg,20\none/%s.jpg,1\ntwo/%s.jpg,2\n' "$l" "$l" > poses/index.csv
status sh -c '"$1/pose-reader" --stdio --root poses > y.tape' sh "$stages"
[ $code -eq 1 ] || { cat err; fail "poses: exit $code, not 1"; }
has err 'poses/\xff.jpg'
"$facet" tape show y.tape > y.txt
[ "$(grep -c '^item' y.txt)" -eq 3 ] || fail "three poses"
[ "$(sed -n 's/^item [0-9]*  //p' y.txt | sort -u | wc -l)" -eq 3 ] || { cat y.txt; fail "three ids"; }

# ---- rights, as a person who has them not
if [ "$(id -u)" -eq 0 ]; then
	as="setpriv --reuid=65534 --regid=65534 --clear-groups"
	$as true 2> /dev/null || { echo "no way to be another user (setpriv): rights were left out"; exit 77; }
	$as test -x "$stages/catalog" || { echo "$stages cannot be run by another user: rights were left out"; exit 77; }
else
	as=
fi
mkdir -p r/ok r/closed r/shut
for d in ok closed shut; do picture r/$d/1.pgm 100; picture r/$d/2.pgm 110; done
echo text > r/closed/readme.txt
mkdir r/closed/sub
chmod 744 r/closed # names, but nothing behind them
[ -n "$as" ] || chmod 444 r/closed
chmod 000 r/shut
status sh -c '$2 "$1/catalog" --stdio --root r --media pictures > c.tape' sh "$stages" "$as"
[ $code -eq 1 ] || { cat err; fail "rights: exit $code, not 1"; }
[ "$(paths c.tape | wc -l)" -eq 2 ] || fail "two can be listed"
has err "'r/closed/1.pgm') failed: io: cannot look at 'r/closed/1.pgm': Permission denied"
has err "'r/closed/2.pgm') failed: io:"
has err "'r/closed/sub') failed: io:"
has err "'r/shut') failed: io: cannot open folder 'r/shut': Permission denied"
[ "$(grep -c 'failed:' err)" -eq 4 ] || { cat err; fail "four fail"; }
has err 'left out: 1 .txt'
# annotated folders are walked in the same way
for d in ok closed shut; do
	{ echo 'version: 1'; echo 'n_points: 68'; echo '{'; i=0
	while [ $i -lt 68 ]; do echo "$((i % 9 + 1)) $((i / 9 + 1))"; i=$((i + 1)); done
	echo '}'; } > pts
	chmod 755 r/$d
	cp pts r/$d/1.PTS
done
chmod 744 r/closed
[ -n "$as" ] || chmod 444 r/closed
chmod 000 r/shut
status sh -c '$2 "$1/annotation-reader" --stdio --root r --split all > a.tape' sh "$stages" "$as"
[ $code -eq 1 ] || { cat err; fail "annotations: exit $code, not 1"; }
[ "$(paths a.tape)" = '"r/ok/1.pgm"' ] || { paths a.tape; cat err; fail "one annotation"; }
has err "cannot look at 'r/closed/1.PTS': Permission denied"
has err "cannot open folder 'r/shut': Permission denied"
has err 'left out: 1 pictures without points'
