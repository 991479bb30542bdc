# Kinds that are not read are counted in one line by their ending; endings count
# in any case; an MPO is read as the JPEG that it begins with.
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
status() { # the exit status of a command into $code
	code=0
	"$@" > out 2> err || code=$?
}
# A JPEG of ours: the frame of a store.
"$facet" tape make -o j.tape name=str:n snippet=str:x 'frame=u8[16,24,3]:ramp'
"$stages/sample-writer" --stdio --root made < j.tape > /dev/null
jpeg=made/n/x/frame_0.jpg

mkdir -p p/id
cp $jpeg p/id/IMG_1.JPG
cp $jpeg p/id/IMG_2.JpEg
# two JPEGs one after the other, as cameras with two lenses write them; the first
# says so (MPF)
{
	head -c 2 $jpeg
	printf '\377\342\000\010MPF\000\000\000'
	tail -c +3 $jpeg
	cat $jpeg
} > p/id/DJI_3.MPO
for i in 1 2 3; do echo raw > p/id/$i.CR2; done
echo text > p/id/notes.txt
echo text > p/id/Makefile
: > p/id/a.a-very-long-ending-it-is
cat > pics.yaml <<'Y'
version: 1
vars: {pictures: p, out: o}
stages:
  catalog: {run: catalog, with: {root: "${pictures}", media: pictures, done: "${out}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  store: {run: sample-writer, from: [frames, frames.failed, catalog.failed], with: {root: "${out}", format: png}}
Y
status "$facet" run -q pics.yaml
[ $code -eq 0 ] || { cat out err; fail "exit $code"; }
has out 'left out: 3 .cr2, 2 without an ending, 1 .txt'
[ "$(grep -c ',ok,' o/index.csv)" -eq 3 ] || { cat o/index.csv; fail "three pictures"; }
cmp o/id/DJI_3.MPO/frame_0.png o/id/IMG_1.JPG/frame_0.png || fail "the MPO's first picture"
# where there is nothing to list, the same line says why
rm p/id/*.JPG p/id/*.JpEg p/id/*.MPO
status "$facet" run -q pics.yaml --set out=o2
[ $code -eq 3 ] || fail "nothing to list: exit $code, not 3"
has err "no pictures in 'p' (left out: 3 .cr2, 2 without an ending, 1 .txt)"
# with a pattern the endings say nothing
cp $jpeg p/id/7.cr2
status sh -c '"$1/catalog" --stdio --root p --pattern "id/[0-9].CR2" > c.tape' sh "$stages"
has err 'left out: 4 not fitting the pattern'
# many endings: the most frequent are named
mkdir -p many
cp $jpeg many/x.jpg
for i in 01 02 03 04 05 06 07 08 09 10 11 12 13 14; do echo x > many/1.e$i; done
echo x > many/2.e14
status sh -c '"$1/catalog" --stdio --root many --media pictures > c.tape' sh "$stages"
[ $code -eq 0 ] || fail "many endings: exit $code"
has err 'left out: 2 .e14, 1 .e01,'
has err ', 2 of other kinds'
