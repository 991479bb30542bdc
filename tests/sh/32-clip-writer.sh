#!/bin/sh
# clip-writer over --stdio: frames out of order become clips, whole or not at
# all; what is there is left alone; names stay below the root.
# needs: facet stages/clip-writer stages/frame-sampler stages/head-renderer
set -eu
facet=$(pwd)/$BUILD/facet writer=$(pwd)/$BUILD/stages/clip-writer
sampler=$(pwd)/$BUILD/stages/frame-sampler
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
cd "$t"
fail() { echo "FAILED: $*" >&2; exit 1; }

set --
for k in 2 0 3 1 1; do
	set -- "$@" "frame=u8[32,48,3]:fill $((k * 50 + 20))" clip=str:deep/a \
		"frame_index=i64:$k" n_frames=i64:4 fps=f64:10 --
	set -- "$@" "frame=u8[31,45,3]:fill $((k * 40 + 30))" clip=str:b \
		"frame_index=i64:$((k * 7))" "sample=i64:$k" n_frames=i64:4 --
done
"$facet" tape make -o in.tape "$@" "frame=u8[8,8,3]:fill 1" clip=str:c frame_index=i64:0 n_frames=i64:1
"$writer" --root out --stdio < in.tape > said 2>&1 || fail "exit $?: $(cat said)"
grep -q "clips: 3 written, 0 there already, 0 incomplete" said || fail "$(cat said)"
[ "$(find out -type f | sort | tr '\n' ' ')" = "out/b.mp4 out/c.mp4 out/deep/a.mp4 " ] || fail "files: $(find out)"

# read back: order, rate, levels
"$facet" tape make -o clips.tape path=str:out/deep/a.mp4 -- path=str:out/b.mp4
"$sampler" --stdio --mode all < clips.tape > back.tape || fail "cannot read back"
"$facet" tape show back.tape | awk '$1 == "frame" {for (i = 1; i < NF; i++) if ($i == "mean") print int($(i + 1) + 0.5)}' > means
printf '%s\n' 20 70 120 170 30 70 110 150 > want
paste means want | awk '{d = $1 - $2; if (d > 2 || d < -2) exit 1; n++} END {exit n != 8}' ||
	fail "levels: $(paste means want)"
[ "$("$facet" tape show back.tape | awk '$1 == "fps" {printf "%s ", $3}')" = "10 10 10 10 25 25 25 25 " ] || fail fps

# again: nothing is written; the same bytes when written afresh
cp -r out before
"$writer" --root out --stdio < in.tape > said 2>&1
grep -q "clips: 0 written" said || fail "$(cat said)"
rm -r out
"$writer" --root out --stdio < in.tape > said 2>&1
diff -r out before || fail "other bytes the second time"

# bad names, sizes and numbers; a clip that stays incomplete leaves no file
for name in ../x /abs a//b . a/../b ''; do
	"$facet" tape make -o bad.tape "frame=u8[8,8,3]:fill 1" "clip=str:$name" frame_index=i64:0 n_frames=i64:1
	rc=0
	"$writer" --root out2 --stdio < bad.tape > said 2>&1 || rc=$?
	[ $rc = 1 ] && grep -q "no path below the root" said || fail "name '$name': exit $rc, $(cat said)"
done
"$facet" tape make -o bad.tape "frame=u8[8,8,3]:fill 1" clip=str:d frame_index=i64:2 n_frames=i64:2 -- \
	"frame=u8[8,8,3]:fill 1" clip=str:e frame_index=i64:0 n_frames=i64:3 -- \
	"frame=u8[8,9,3]:fill 1" clip=str:e frame_index=i64:1 n_frames=i64:3
rc=0
"$writer" --root out2 --stdio < bad.tape > said 2>&1 || rc=$?
[ $rc = 3 ] || fail "incomplete clips: exit $rc"
for text in "frame 2 of 2" "takes u8\[8,8,3\], not u8\[8,9,3\]" "clip 'e' is not written: 1 of 3 frames came"; do
	grep -q "$text" said || fail "no '$text' in: $(cat said)"
done
[ -z "$(find out2 -type f 2>/dev/null)" ] || fail "left: $(find out2)"

# ... whatever lies in memory: glibc fills it as MALLOC_PERTURB_ says.
"${writer%clip-writer}head-renderer" --stdio --heads 1 --frames 30 --size 96 > heads.tape || fail "heads"
for fill in 0 1 85 170 255; do
	MALLOC_PERTURB_=$fill "$writer" --root "filled" --stdio < heads.tape > said 2>&1 || fail "$(cat said)"
	find filled -name '*.mp4' -exec cksum {} + | cut -d' ' -f1,2 >> sums
	rm -r filled
done
[ "$(sort -u sums | wc -l)" = 1 ] || fail "bytes depend on memory: $(cat sums)"
