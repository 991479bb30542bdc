# Failures in the sink itself: each has a row with its reason wherever the store
# can be written, is counted, and is found by retry=failed.
# needs: all
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
stages=$root/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }
hasnt() { ! grep -qF -- "$2" "$1" || { cat "$1"; fail "'$2' in $1"; }; }
# FILE SIDE: a picture of noise, which no format makes small.
picture() {
	printf 'P6 %d %d 255\n' "$2" "$2" > "$1"
	head -c $(($2 * $2 * 3)) /dev/urandom >> "$1"
}
status() { # the exit status of a command into $code
	code=0
	"$@" > out 2> err || code=$?
}

cat > pics.yaml <<'Y'
version: 1
vars: {pictures: p, out: o, retry: none, layout: pairs, dead: "", attempts: 0}
dead: "${dead}"
stages:
  catalog: {run: catalog, with: {root: "${pictures}", media: pictures, done: "${out}", retry: "${retry}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  store: {run: sample-writer, from: [frames, frames.failed], retries: "${attempts}", with: {root: "${out}", layout: "${layout}", format: png}}
Y

# ---- the store is the folder of the pictures: files stand where folders belong
mkdir -p p/id
picture p/id/1.ppm 8
status "$facet" run -q pics.yaml --set out=p --set dead=dead1 --set attempts=2
[ $code -eq 1 ] || { cat out err; fail "exit $code, not 1"; }
has p/index.csv 'id,1.ppm,1,train,0,,,id,write error,'
has p/index.csv 'Not a directory'
has p/index.csv ',store,'
[ "$(grep -c 'write error' p/index.csv)" -eq 1 ] || fail "one row a sample"
has out '0 files written, 0 were there, 1 failures noted'
has out '1 samples could not be stored (index.csv has them)'
[ "$(find dead1/store -name '*.txt' | wc -l)" -eq 1 ] || fail "a dead letter"
status "$facet" run -q pics.yaml --set out=p --set dead=dead1 --set retry=failed
[ $code -eq 1 ] || fail "retry=failed: exit $code"
has out '1 failures noted'
# mended: the success replaces the failure, and the letter goes
cp -r p q
rm q/id/1.ppm
mkdir s s/id
cp p/id/1.ppm s/id
status "$facet" run -q pics.yaml --set pictures=s --set out=q --set dead=dead1 --set retry=failed
[ $code -eq 0 ] || { cat out err; fail "mended: exit $code"; }
has q/index.csv 'id,1.ppm,1,train,0,,,id,ok,'
hasnt q/index.csv 'write error'

# ---- a name that is too long for one part of layout identity
mkdir -p long/id/video
picture "long/id/video/$(printf '%0240d' 7).ppm" 8
picture long/id/video/good.ppm 8
status "$facet" run -q pics.yaml --set pictures=long --set out=o2 --set dead=dead2 --set layout=identity
[ $code -eq 1 ] || { cat out err; fail "too long: exit $code"; }
has o2/index.csv 'has a part of more than 255 bytes'
has o2/index.csv 'good.ppm,1,train,0,,,id,ok,'
has out '1 failures noted'
status "$facet" run -q pics.yaml --set pictures=long --set out=o2 --set dead=dead2 --set layout=identity --set retry=failed
has out '2 listed, 1 left out (not failed), 1 to do'

# ---- an input that the sink's port refuses, one that has no name
"$facet" tape make -o bad.tape name=str:n snippet=str:odd sample=i64:0 \
	'frame=u8[4,4,3]:fill 9' 'landmarks=f32[5,3]:ramp' -- \
	snippet=str:nameless 'frame=u8[4,4,3]:fill 9' -- \
	name=str:../up snippet=str:x 'frame=u8[4,4,3]:fill 9' -- \
	name=str:n snippet=str:fine 'frame=u8[4,4,3]:fill 9'
status sh -c '"$1/sample-writer" --stdio --root o3 < bad.tape' sh "$stages"
[ $code -eq 1 ] || { cat out err; fail "refused inputs: exit $code"; }
has o3/index.csv 'n,odd,,,0,,,,'
has o3/index.csv 'landmarks'
has o3/index.csv 'unnamed,nameless,'
has o3/index.csv "../up,x,"
has o3/index.csv 'n,fine,1,,0,,,,ok,'
has out '3 failures noted'

# ---- a full disk, the dead letters elsewhere
mkdir disk big big/id
picture big/id/a.ppm 8
picture big/id/b.ppm 1024
picture big/id/c.ppm 8
unshare -rm mount -t tmpfs -o size=1m none disk 2> /dev/null || {
	echo "no disk of our own to be had (unshare -rm): the full disk was left out"
	exit 77
}
unshare -rm sh -eu -c '
	mount -t tmpfs -o size=1m none disk
	code=0
	"$1" run -q pics.yaml --set pictures=big --set out=disk --set dead=dead4 > out 2> err || code=$?
	echo $code > code
	cp disk/index.csv full.csv
	code=0
	"$1" run -q pics.yaml --set pictures=big --set out=disk --set dead=dead4 --set retry=failed > out2 2> err2 || code=$?
' sh "$facet" || { cat out err; fail "full disk"; }
[ "$(cat code)" -eq 1 ] || { cat out err; fail "full disk: exit $(cat code)"; }
has full.csv 'id,b.ppm,1,train,0,,,id,write error,'
has full.csv 'No space left on device'
[ "$(grep -c ',ok,' full.csv)" -eq 2 ] || fail "the other two are stored"
has out '1 failures noted'
has out2 '3 listed, 2 left out (not failed), 1 to do'
