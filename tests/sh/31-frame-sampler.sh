#!/bin/sh
# frame-sampler over --stdio: each mode names the frames it should, bad files
# are set aside with their reason, all of ../shared's odd files come to an end.
# needs: c:ffmpeg facet stages/frame-sampler
set -eu
facet=$(pwd)/$BUILD/facet sampler=$(pwd)/$BUILD/stages/frame-sampler
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
odd=$(pwd)/../shared/data/clips-odd
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
cd "$t"
fail() { echo "FAILED: $*" >&2; exit 1; }
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=64x48:rate=10:duration=4 \
	-c:v libx264 -g 16 clip.mp4
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=64x48 -frames:v 1 pic.png
"$facet" tape make -o in.tape path=str:clip.mp4 name=str:n

# field NAME: its values in the tape out.tape, in one line
field() { "$facet" tape show out.tape | awk -v f="$1" '$1 == f {printf "%s%s", s, $3; s = " "}'; }
# gives WANT ARGUMENTS: the frames chosen with these parameters
gives() {
	want=$1
	shift
	"$sampler" --stdio "$@" < in.tape > out.tape || fail "$*: exit $?"
	got=$(field frame_index)
	[ "$got" = "$want" ] || fail "$*: frames '$got', not '$want'"
}
gives "0 10 20 29 39"
[ "$(field sample)" = "0 1 2 3 4" ] || fail "samples $(field sample)"
[ "$(field pts_ns)" = "0 1000000000 2000000000 2900000000 3900000000" ] || fail "times $(field pts_ns)"
[ "$(field n_frames)" = "5 5 5 5 5" ] || fail "n_frames $(field n_frames)"
[ "$(field clip_frames | cut -c1-5)" = "40 40" ] || fail "clip_frames"
[ "$(field name)" = '"n" "n" "n" "n" "n"' ] || fail "fields do not travel: $(field name)"
gives "19" --count 1
gives "0 39" --count 2
gives "$(seq -s ' ' 0 39)" --count 100
gives "$(seq -s ' ' 0 39)" --mode all
gives "0 15 30" --mode every --every 15
gives "0 10 20 30" --mode fps --rate 1
gives "0 5 10 15 20 25 30 35" --mode fps --rate 2
gives "$(seq -s ' ' 0 39)" --mode fps --rate 30
gives "0 3 38 39" --mode index --indices 3,-1,0,3,-2
"$sampler" --stdio --mode random --count 7 --seed 4 < in.tape > a.tape
"$sampler" --stdio --mode random --count 7 --seed 4 --threads 3 < in.tape > b.tape
cmp a.tape b.tape || fail "the same seed gives other bytes"
"$sampler" --stdio --mode random --count 7 --seed 5 < in.tape > out.tape
[ "$(field frame_index | wc -w)" = 7 ] || fail "random: $(field frame_index)"
cmp -s a.tape out.tape && fail "another seed gives the same frames"
gives "0 20 39" --count 3 --max-side 32
"$facet" tape show out.tape | grep -q 'frame  *u8\[24,32,3\]' || fail "max-side"

# what does not work is set aside with its reason
rc=0
"$sampler" --stdio --mode index --indices 40 < in.tape > out.tape 2> err || rc=$?
[ $rc = 1 ] && grep -q "frame 40 is asked for, the clip has 40" err || fail "index beyond the end: $rc"
rc=0
"$sampler" --stdio --mode index < in.tape > out.tape 2> err || rc=$?
[ $rc -ge 2 ] && grep -q "needs the parameter indices" err || fail "mode index alone: $rc"
head -c 3000 clip.mp4 > cut.mp4
echo '<html>404</html>' > page.mp4
"$facet" tape make -o in.tape path=str:none.mp4 -- path=str:pic.png -- path=str:page.mp4 -- path=str:cut.mp4 -- path=str:clip.mp4
rc=0
"$sampler" --stdio --count 2 < in.tape > out.tape 2> err || rc=$?
[ $rc = 1 ] || fail "failed items, exit $rc"
[ "$(field frame_index)" = "0 0 39" ] || fail "the others go on: $(field frame_index)"
for reason in "none.mp4.*No such file" "page.mp4.*HTML" "cut.mp4.*cut short"; do
	grep -q "$reason" err || fail "no reason '$reason': $(cat err)"
done

# every odd file: frames or a reason
[ -d "$odd" ] || exit 0
set --
for f in "$odd"/made* "$odd"/real* "$odd"/cut* "$odd"/made*/*; do
	[ -f "$f" ] && set -- "$@" -- "path=str:$f"
done
shift
"$facet" tape make -o in.tape "$@"
"$sampler" --stdio --max-side 64 < in.tape > out.tape 2> err || [ $? = 1 ] || fail "odd files"
given=$("$facet" tape show out.tape | awk '$1 == "path" {$1 = $2 = ""; print}' | sort -u | wc -l)
refused=$(grep -c 'failed: ' err || true)
all=$("$facet" tape show in.tape | grep -c '^item')
echo "$all odd files: $given gave frames, $refused were refused with a reason"
[ $((given + refused)) = "$all" ] || fail "some odd file gave neither frames nor a reason"
[ "$refused" = 5 ] || fail "refused: $(cat err)"
